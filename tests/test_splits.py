from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewatch.episode import Identity
from phasewatch.errors import Refused
from phasewatch.splits import (
    HELD_OUT_BY,
    SPLITTERS,
    Split,
    find_splitter,
    grouped_folds,
    held_out_host,
    held_out_sample,
    held_out_time,
    in_turn,
    leave_one_host_out,
    unit_of,
    untested,
)

PROFILES = ("calm", "dig", "leak")
SAMPLES = 4


def identities(counts: dict[tuple[str, str], int]) -> list[Identity]:
    return [
        Identity(
            f"{host}.{profile}.{number}",
            host,
            f"{profile}-{number % SAMPLES}",
            profile,
            f"c{number % 3}",
            number % 3,
            frozenset({"benign", profile}),
        )
        for (host, profile), count in counts.items()
        for number in range(count)
    ]


def even(hosts: str = "abcd", each: int = 4) -> list[Identity]:
    return identities({(host, profile): each for host in hosts for profile in PROFILES})


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abcde"), st.sampled_from(PROFILES)), st.integers(1, 6)
    )
)
def test_parts_are_disjoint_and_hosts_are_held_out(counts: dict[tuple[str, str], int]) -> None:
    episodes = identities(counts)
    try:
        split = held_out_host(episodes, "a", "b")
    except Refused:
        return
    host = {episode.id: episode.host for episode in episodes}
    assert {host[id] for id in split.test} == {"a"}
    assert {host[id] for id in split.validation} == {"b"}
    assert not {host[id] for id in (*split.train, *split.seen)} & {"a", "b"}
    everyone = [*split.train, *split.validation, *split.seen, *split.test]
    assert sorted(everyone) == sorted(host)
    profile = {episode.id: episode.profile for episode in episodes}
    assert {profile[id] for id in split.test} <= {profile[id] for id in split.train}


def test_seen_holds_back_every_profile_and_does_not_depend_on_order() -> None:
    split = held_out_host(even(), "a", "b")
    assert {id.split(".")[1] for id in split.seen} == set(PROFILES)
    assert split == held_out_host(even()[::-1], "a", "b")


@pytest.mark.parametrize(("test", "validation"), [("x", "b"), ("a", "x"), ("a", "a")])
def test_bad_hosts_are_refused_by_name(test: str, validation: str) -> None:
    with pytest.raises(Refused, match=r"host"):
        held_out_host(even(), test, validation)


def test_a_store_without_a_usable_episode_is_refused() -> None:
    with pytest.raises(Refused, match="no usable episode"):
        held_out_host([], "a", "b")


def test_a_tested_profile_must_be_trained() -> None:
    extra = Identity("a.new.0", "a", "s", "new", "c", 0, frozenset({"benign"}))
    with pytest.raises(Refused, match="profiles new"):
        held_out_host([*even(), extra], "a", "b")


def test_an_episode_in_two_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="two sides"):
        Split("r", "a", ("one",), (), (), ("one",))


def test_untested_phases_and_profiles_are_derived_from_the_split() -> None:
    lacking = [one for one in even() if (one.host, one.profile) != ("a", "dig")]
    split = held_out_host(lacking, "a", "b")
    assert untested(lacking, split.test, "profile") == ["dig"]
    assert untested(lacking, split.test, "phase") == ["dig"]
    assert untested(even(), held_out_host(even(), "a", "b").test, "profile") == []


@given(st.integers(0, 9), st.integers(3, 9))
def test_samples_are_held_out_in_every_profile(fold: int, each: int) -> None:
    episodes = even(each=each)
    samples = min(each, SAMPLES)
    if fold >= samples:
        with pytest.raises(Refused, match=f"a number from 0 to {samples - 1}"):
            held_out_sample(episodes, str(fold), "")
        return
    split = held_out_sample(episodes, str(fold), "")
    sample = {episode.id: episode.sample for episode in episodes}
    sides = [{sample[id] for id in side} for side in (split.test, split.validation)]
    rest = {sample[id] for id in (*split.train, *split.seen)}
    assert not sides[0] & sides[1]
    assert not rest & (sides[0] | sides[1])
    assert {name.split("-")[0] for name in sides[0]} == set(PROFILES)
    everything = {*split.train, *split.validation, *split.seen, *split.test}
    assert everything == {episode.id for episode in episodes}


def test_every_sample_is_tested_in_one_fold() -> None:
    tested = [held_out_sample(even(), str(fold), "").test for fold in range(SAMPLES)]
    assert sorted(id for side in tested for id in side) == sorted(one.id for one in even())


def test_the_last_campaign_is_held_out() -> None:
    episodes = even(each=6)
    split = held_out_time(episodes, "", "")
    when = {episode.id: episode.start_ns for episode in episodes}
    assert split.held_out == "c2"
    latest = [max(when[id] for id in side) for side in (split.train, split.validation)]
    assert latest[0] < min(when[id] for id in split.validation)
    assert latest[1] < min(when[id] for id in split.test)


def test_overlapping_campaigns_are_refused() -> None:
    mixed = [
        replace(one, start_ns=9) if one.campaign == "c0" and one.host == "a" else one
        for one in even(each=6)
    ]
    with pytest.raises(Refused, match="c2 began while c0 went on"):
        held_out_time(mixed, "", "")


def test_too_few_samples_or_campaigns_are_refused() -> None:
    with pytest.raises(Refused, match="samples"):
        held_out_sample(even(each=2), "0", "")
    with pytest.raises(Refused, match="2 campaigns"):
        held_out_time(even(each=2), "", "")
    for way in ("held_out_sample", "held_out_time"):
        with pytest.raises(Refused, match="no usable episode"):
            find_splitter(way)([], "0", "")


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abcde"), st.sampled_from(PROFILES)), st.integers(1, 6)
    )
)
def test_every_host_is_tested_once_by_models_that_never_saw_it(
    counts: dict[tuple[str, str], int],
) -> None:
    episodes = identities(counts)
    try:
        folds = leave_one_host_out(episodes, "", "")
    except Refused:
        return
    host = {episode.id: episode.host for episode in episodes}
    assert sorted(id for fold in folds for id in fold.test) == sorted(host)
    for fold in folds:
        assert {host[id] for id in fold.test} == {fold.held_out}
        learned = {host[id] for id in (*fold.train, *fold.validation)}
        assert fold.held_out not in learned
        assert not {host[id] for id in fold.validation} & {host[id] for id in fold.train}


def test_a_host_left_out_in_turn_is_not_named() -> None:
    with pytest.raises(Refused, match="neither --test nor --validation"):
        leave_one_host_out(even(), "a", "")


def grouped(name: str, counts: dict[tuple[str, str], int]) -> list[Split]:
    return find_splitter(name)(identities(counts), "", "")


GROUPED = ("leave_one_sample_out", "k_fold_host", "k_fold_sample", "k_fold_episode")


@pytest.mark.parametrize("name", GROUPED)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abcdefg"), st.sampled_from(PROFILES)),
        st.integers(1, 9),
        min_size=1,
    )
)
def test_every_episode_is_tested_once_and_no_group_is_on_two_sides(
    name: str, counts: dict[tuple[str, str], int]
) -> None:
    try:
        folds = grouped(name, counts)
    except Refused:
        return
    group = {one.id: getattr(one, HELD_OUT_BY[name]) for one in identities(counts)}
    profile = {one.id: one.profile for one in identities(counts)}
    assert sorted(id for fold in folds for id in fold.test) == sorted(group)
    assert len({fold.held_out for fold in folds}) == len(folds)
    for fold in folds:
        assert fold.recipe == name
        learned = (*fold.train, *fold.seen)
        sides = [{group[id] for id in ids} for ids in (learned, fold.validation, fold.test)]
        assert all(sides)
        assert len(set.union(*sides)) == sum(map(len, sides))
        assert {profile[id] for id in fold.test} <= {profile[id] for id in fold.train}
        assert sorted((*learned, *fold.validation, *fold.test)) == sorted(group)


@pytest.mark.parametrize("name", GROUPED)
def test_folds_do_not_depend_on_the_order_of_episodes(name: str) -> None:
    episodes = even("abcdefg", 8)
    assert find_splitter(name)(episodes, "", "") == find_splitter(name)(episodes[::-1], "", "")


@pytest.mark.parametrize("name", GROUPED)
def test_too_few_groups_are_refused_in_one_line(name: str) -> None:
    few = [one for one in even("ab", 4) if one.profile != "dig" or one.id.endswith(".0")][:5]
    with pytest.raises(Refused, match="at least 3") as refused:
        find_splitter(name)(few, "", "")
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(Refused, match="no usable episode"):
        find_splitter(name)([], "", "")


@pytest.mark.parametrize("name", GROUPED)
def test_grouped_splits_take_neither_test_nor_validation(name: str) -> None:
    for given_ in (("a", ""), ("", "1")):
        with pytest.raises(Refused, match="neither --test nor --validation"):
            find_splitter(name)(even("abcdefg", 8), *given_)


def test_leave_one_sample_out_tests_one_sample_of_each_profile_that_has_one_left() -> None:
    episodes = even("ab", SAMPLES) + [
        replace(one, id=f"more.{one.id}", sample=f"{one.sample}-more")
        for one in even("a", SAMPLES)
        if one.profile == "dig"
    ]
    folds = find_splitter("leave_one_sample_out")(episodes, "", "")
    sample = {one.id: (one.profile, one.sample) for one in episodes}
    tested = [{sample[id] for id in fold.test} for fold in folds]
    assert len(folds) == 2 * SAMPLES
    assert [len(one) for one in tested] == [3] * SAMPLES + [1] * SAMPLES
    assert all(fold.validation for fold in folds)


def test_grouped_folds_are_of_nearly_the_same_size() -> None:
    folds = grouped_folds("k_fold_host", even("abcdefghijkl", 4))
    host = {one.id: one.host for one in even("abcdefghijkl", 4)}
    assert sorted(len({host[id] for id in fold.test}) for fold in folds) == [2, 2, 2, 3, 3]
    assert len(grouped_folds("k_fold_host", even("abcdefghijkl", 4), 10)) == 10
    assert len(grouped_folds("k_fold_host", even("abcd", 4))) == 4


def test_every_split_says_what_it_holds_out() -> None:
    assert set(HELD_OUT_BY) == set(SPLITTERS)
    assert {unit_of(name) for name in SPLITTERS} == {"host", "sample", "campaign", "episode"}
    assert in_turn("k_fold_sample", 5) == "5 folds of samples in turn"
    assert in_turn("leave_one_host_out", 10) == "10 hosts in turn"
