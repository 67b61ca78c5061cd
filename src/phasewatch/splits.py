"""Training, validation and test sets: disjoint sets of episodes, named by a recipe.

A split is made of episode ids before any window exists, so no two windows of one run can be on
both sides. What a test set lacks is derived from it, never written by hand.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING

from phasewatch.errors import Refused, counted

if TYPE_CHECKING:
    # What names the splits, such as a command's help, needs no numpy.
    from phasewatch.baseline import Baseline
    from phasewatch.episode import Identity
    from phasewatch.windowing import AnyWindows

WITHOUT_BASELINE = "without baseline"


@dataclass(frozen=True)
class Split:
    """Disjoint sets of episode ids.

    `test` is held out by host, sample or campaign, and `validation`, which chooses the model, by
    the same. `seen` are other episodes of what `train` has, so that the cost of generalising can
    be measured: one in five of each profile, by the digest of its id.
    """

    recipe: str
    held_out: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    seen: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise ValueError for an episode on two sides."""
        every = [*self.train, *self.validation, *self.seen, *self.test]
        double = sorted(id for id, many in Counter(every).items() if many > 1)
        if double:
            raise ValueError(f"on two sides of the split: {', '.join(double)}")


SingleSplitter = Callable[[Sequence["Identity"], str, str], Split]
Splitter = Callable[[Sequence["Identity"], str, str], list[Split]]
SPLITTERS: dict[str, Splitter] = {}
HELD_OUT_BY = {
    "held_out_host": "host",
    "leave_one_host_out": "host",
    "held_out_sample": "sample",
    "leave_one_sample_out": "sample",
    "held_out_time": "campaign",
    "k_fold_host": "host",
    "k_fold_sample": "sample",
    "k_fold_episode": "id",
}
"""The attribute of Identity that each splitter holds out."""

MOST_FOLDS, LEAST_GROUPS = 5, 3
"""Folds of a grouped k-fold split, and the fewest groups: to train on, to choose on and to test."""


def unit_of(recipe: str) -> str:
    """Return what a split holds out, in a word: host, sample, campaign or episode."""
    unit = HELD_OUT_BY.get(recipe, recipe)
    return "episode" if unit == "id" else unit


def in_turn(recipe: str, folds: int) -> str:
    """Return what is held out in several folds, in words."""
    unit = unit_of(recipe)
    return f"{folds} folds of {unit}s in turn" if "k_fold" in recipe else f"{folds} {unit}s in turn"


def single_split(split: SingleSplitter) -> SingleSplitter:
    """Register a function that returns one split, from the values to test and to validate on."""

    @wraps(split)
    def alone(episodes: Sequence["Identity"], test: str, validation: str) -> list[Split]:
        return [split(episodes, test, validation)]

    splitter(alone)
    return split


def splitter(folds: Splitter) -> Splitter:
    """Register a function that returns several splits, in which no episode is tested twice."""
    SPLITTERS[folds.__name__] = folds
    return folds


def find_splitter(name: str) -> Splitter:
    """Return a registered splitter by name. Raises Refused with the list of names."""
    if name not in SPLITTERS:
        raise Refused(f"split {name!r}", "is unknown", f"one of {', '.join(SPLITTERS)}", "Use one.")
    return SPLITTERS[name]


@single_split
def held_out_host(episodes: Sequence["Identity"], test: str, validation: str) -> Split:
    """Test on host `test`, choose on host `validation`, train on most episodes of all others.

    Raises Refused when a host is unknown, or a tested profile is untrained.
    """
    hosts = _known("held_out_host", episodes, "host", (test, validation))
    if test == validation or len(hosts) < 3:
        raise Refused(
            "split held_out_host",
            f"test host {test!r}, validation host {validation!r}, {len(hosts)} hosts in all",
            "two different hosts and at least one more to train on",
            "Choose other hosts or record on more of them.",
        )
    return _held_out("held_out_host", episodes, "host", {test}, {validation})


@splitter
def leave_one_host_out(episodes: Sequence["Identity"], test: str, validation: str) -> list[Split]:
    """Test on every host in turn, choosing on the next one by name; on as many models as hosts.

    Raises Refused when `test` or `validation` names a host, or there are fewer than three.
    """
    hosts = _known("leave_one_host_out", episodes, "host", ())
    if test or validation:
        raise Refused(
            "split leave_one_host_out",
            f"{test or validation!r} was given",
            "neither --test nor --validation: every host is tested, the next one by name chooses",
            "Leave both out, or use held_out_host.",
        )
    after = dict(zip(hosts, [*hosts[1:], hosts[0]], strict=True))
    return [held_out_host(episodes, host, after[host]) for host in hosts]


@single_split
def held_out_sample(episodes: Sequence["Identity"], test: str, validation: str) -> Split:
    """Test on one sample of every profile, choose on another, train on the others.

    Samples of a profile are taken in the order of their digests, `test` and `validation` count from
    0 (one after `test`, when empty). Raises Refused when a profile has fewer than three samples.
    """
    _known("held_out_sample", episodes, "sample", ())
    fold = _number("test", test or "0")
    other = _number("validation", validation) if validation else fold + 1
    tested, chosen = set(), set()
    for profile in {episode.profile for episode in episodes}:
        samples = sorted({episode.sample for episode in episodes if episode.profile == profile})
        if len(samples) < 3:
            raise Refused(
                "split held_out_sample",
                f"profile {profile} has {len(samples)} samples",
                "at least three: to train on, to choose on and to test",
                "Record more samples of it, or leave the profile out.",
            )
        if fold >= len(samples):
            raise Refused(
                "split held_out_sample: --test",
                f"profile {profile} has {len(samples)} samples, not number {fold}",
                f"a number from 0 to {len(samples) - 1}",
                "Choose one of them.",
            )
        if fold == other % len(samples):
            raise Refused(
                "split held_out_sample: --validation",
                f"{validation!r} is the tested sample of profile {profile}",
                "the number of another",
                "Leave it out to take the next one.",
            )
        tested.add(samples[fold])
        chosen.add(samples[other % len(samples)])
    return _held_out("held_out_sample", episodes, "sample", tested, chosen, f"sample {fold}")


def _number(role: str, text: str) -> int:
    if not text.isdecimal():
        raise Refused(
            f"split held_out_sample: --{role}",
            f"{text!r} is no number",
            "the number of a sample in its profile, from 0",
            f"Give --{role} 0, for example.",
        )
    return int(text)


@single_split
def held_out_time(episodes: Sequence["Identity"], test: str, validation: str) -> Split:
    """Test on the last campaign, choose on the one before, train on those before that.

    Raises Refused when there are fewer than three campaigns, when the last one began before another
    was over, or when `test` or `validation` names one: time has one order.
    """
    _known("held_out_time", episodes, "campaign", ())
    order = sorted(episodes, key=lambda episode: episode.start_ns)
    campaigns = list(dict.fromkeys(episode.campaign for episode in order))
    if len(campaigns) < 3:
        raise Refused(
            "split held_out_time",
            f"the store has {len(campaigns)} campaigns",
            "at least three: to train on, to choose on and to test",
            "Record at another time, under another campaign.",
        )
    if test or validation:
        raise Refused(
            "split held_out_time",
            f"{test or validation!r} was given",
            "neither --test nor --validation: the last campaign is tested, the one before chooses",
            "Leave both out.",
        )
    last = campaigns[-1]
    began = min(one.start_ns for one in order if one.campaign == last)
    if late := sorted({one.campaign for one in order if one.start_ns > began} - {last}):
        raise Refused(
            "split held_out_time",
            f"campaign {last} began while {', '.join(late)} went on",
            "campaigns one after the other",
            "Hold out something else, or name campaigns by their time.",
        )
    return _held_out("held_out_time", episodes, "campaign", {last}, {campaigns[-2]})


@splitter
def leave_one_sample_out(episodes: Sequence["Identity"], test: str, validation: str) -> list[Split]:
    """Test on every sample of every profile in turn, choosing on the next one of the profile.

    A fold tests one sample of each profile, in the order of their digests, as long as the profile
    has one left. Raises Refused when `test` or `validation` is given, or a profile has fewer than
    three samples.
    """
    recipe = "leave_one_sample_out"
    _refuse_named(recipe, test or validation, "every sample is tested, the next one chooses")
    dealt = _dealt(recipe, episodes, "sample")
    return [
        _held_out(
            recipe,
            episodes,
            "sample",
            {own[fold] for own in dealt.values() if fold < len(own)},
            {own[(fold + 1) % len(own)] for own in dealt.values()},
            f"sample {fold}",
        )
        for fold in range(max(map(len, dealt.values())))
    ]


@splitter
def k_fold_host(episodes: Sequence["Identity"], test: str, validation: str) -> list[Split]:
    """Test on every fifth of the hosts in turn, choosing on the next fifth.

    Raises Refused when `test` or `validation` is given, or there are fewer than three hosts.
    """
    _refuse_named("k_fold_host", test or validation, "every fold is tested, the next one chooses")
    return grouped_folds("k_fold_host", episodes)


@splitter
def k_fold_sample(episodes: Sequence["Identity"], test: str, validation: str) -> list[Split]:
    """Test on every fifth of the samples of each profile in turn, choosing on the next fifth.

    Raises Refused when `test` or `validation` is given, or a profile has fewer than three samples.
    """
    _refuse_named("k_fold_sample", test or validation, "every fold is tested, the next one chooses")
    return grouped_folds("k_fold_sample", episodes)


@splitter
def k_fold_episode(episodes: Sequence["Identity"], test: str, validation: str) -> list[Split]:
    """Test on every fifth of the episodes of each profile in turn, choosing on the next fifth.

    Hosts and samples are on all sides: this is the score without anything new. Raises Refused when
    `test` or `validation` is given, or a profile has fewer than three episodes.
    """
    recipe = "k_fold_episode"
    _refuse_named(recipe, test or validation, "every fold is tested, the next one chooses")
    return grouped_folds(recipe, episodes)


def grouped_folds(
    recipe: str, episodes: Sequence["Identity"], most: int = MOST_FOLDS
) -> list[Split]:
    """Return up to `most` splits, each of which tests some groups and chooses on those of the next.

    The groups are what `recipe` holds out. They are dealt into folds one after the other, profile
    by profile (hosts in one row), so that folds have nearly the same number of each. Raises Refused
    when there are fewer than three groups, of a profile or of hosts.
    """
    key = HELD_OUT_BY[recipe]
    dealt = _dealt(recipe, episodes, key)
    folds = min(most, max(map(len, dealt.values())))
    row = [group for own in dealt.values() for group in own]
    parts = [set(row[fold::folds]) for fold in range(folds)]
    return [
        _held_out(
            recipe, episodes, key, part, parts[(fold + 1) % folds], f"fold {fold + 1} of {folds}"
        )
        for fold, part in enumerate(parts)
    ]


def _dealt(recipe: str, episodes: Sequence["Identity"], key: str) -> dict[str, list[str]]:
    """Return the groups of each profile in a fixed order; those of hosts under one empty name.

    A group that several profiles have is listed once. Raises Refused when there are too few.
    """
    _known(recipe, episodes, key, ())
    owner: dict[str, str] = {}
    for episode in sorted(episodes, key=lambda one: one.profile):
        owner.setdefault(getattr(episode, key), "" if key == "host" else episode.profile)
    dealt: dict[str, list[str]] = {name: [] for name in sorted(set(owner.values()))}
    for group in sorted(owner, key=_digest if key == "id" else str):
        dealt[owner[group]].append(group)
    for profile, groups in dealt.items():
        if len(groups) < LEAST_GROUPS:
            noun = "episode" if key == "id" else key
            raise Refused(
                f"split {recipe}",
                f"{f'profile {profile}' if profile else 'the store'} has "
                f"{counted(len(groups), noun)}",
                f"at least {LEAST_GROUPS}: to train on, to choose on and to test",
                "Record more, leave the profile out, or hold out something else.",
            )
    return dealt


def _refuse_named(recipe: str, given: str, instead: str) -> None:
    """Raise Refused when --test or --validation is given to a split that takes neither."""
    if given:
        raise Refused(
            f"split {recipe}",
            f"{given!r} was given",
            f"neither --test nor --validation: {instead}",
            "Leave both out.",
        )


def _known(
    recipe: str, episodes: Sequence["Identity"], key: str, wanted: Sequence[str]
) -> list[str]:
    """Return the values of `key`. Raises Refused when there is none, or a wanted one is absent."""
    values = sorted({getattr(episode, key) for episode in episodes})
    if not values:
        raise Refused(
            f"split {recipe}",
            "the store has no usable episode",
            "accepted or degraded episodes",
            "`phasewatch validate` lists what is wrong with those it has.",
        )
    for role, value in zip(("test", "validation"), wanted, strict=False):
        if value not in values:
            raise Refused(
                f"split {recipe}: {role} {key}",
                f"{value!r} has no usable episode",
                f"one of {', '.join(values)}",
                f"Name one with --{role}.",
            )
    return values


def _held_out(
    recipe: str,
    episodes: Sequence["Identity"],
    key: str,
    test: set[str],
    validation: set[str],
    name: str = "",
) -> Split:
    """Return the split by the values of `key`; one in five of the rest is held back as `seen`."""
    rest = [e for e in episodes if getattr(e, key) not in test | validation]
    seen = _fifth(rest)
    split = Split(
        recipe=recipe,
        held_out=name or ", ".join(sorted(test)),
        train=tuple(sorted(e.id for e in rest if e.id not in seen)),
        validation=tuple(sorted(e.id for e in episodes if getattr(e, key) in validation)),
        seen=tuple(sorted(seen)),
        test=tuple(sorted(e.id for e in episodes if getattr(e, key) in test)),
    )
    profile = {e.id: e.profile for e in episodes}
    missing = sorted({profile[id] for id in split.test} - {profile[id] for id in split.train})
    if missing:
        raise Refused(
            f"split {recipe}",
            f"profiles {', '.join(missing)} are in test and not in train",
            "every tested profile to be trained on",
            "Hold out something else, or record those profiles more often.",
        )
    return split


def _fifth(episodes: Sequence["Identity"]) -> set[str]:
    """Return one id in five of each profile, at least one of two; no seed or order matters."""
    chosen: set[str] = set()
    for profile in {episode.profile for episode in episodes}:
        ids = [episode.id for episode in episodes if episode.profile == profile]
        ids.sort(key=_digest)
        chosen.update(ids[: max(len(ids) // 5, int(len(ids) > 1))])
    return chosen


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def untested(episodes: Sequence["Identity"], ids: Sequence[str], what: str) -> list[str]:
    """Return the profiles or phases (`what`) of `episodes` that those named in `ids` lack."""

    def values(chosen: Sequence["Identity"]) -> set[str]:
        if what == "profile":
            return {episode.profile for episode in chosen}
        return {phase for episode in chosen for phase in episode.phases}

    chosen = set(ids)
    return sorted(values(episodes) - values([e for e in episodes if e.id in chosen]))


def divide_windows(
    windows: "AnyWindows", split: Split, baseline: "Baseline | None" = None
) -> dict[str, "AnyWindows"]:
    """Return the windows of each part of a split, with the benign level known at their time.

    Training windows use no opening of a test episode. Where a `baseline` says more of machines
    than openings do, the part `WITHOUT_BASELINE` has the unseen windows beside the level that
    openings alone give. Raises Refused when a part has no episode.
    """
    from phasewatch.windowing import nothing_known, of_episodes, pool_openings

    sides = {
        "train": split.train,
        "validation": split.validation,
        "seen": split.seen,
        "unseen": split.test,
    }
    empty = [part for part, ids in sides.items() if not ids]
    if empty:
        raise Refused(
            f"split {split.recipe}",
            f"has no episode to be {', '.join(empty)}",
            "episodes to train on, to validate and to test on",
            "Record more, or hold out something else.",
            code="split_empty",
        )
    learned = [*split.train, *split.validation]
    near = {
        "train": split.train,
        "validation": learned,
        "seen": [*learned, *split.seen, *split.test],
        "unseen": [*learned, *split.seen, *split.test],
    }
    said = baseline.known if baseline else nothing_known
    parts = {}
    for around in ("train", "validation", "unseen"):
        known = pool_openings(of_episodes(windows, near[around]), said)
        for part in (part for part in sides if near[part] == near[around]):
            parts[part] = of_episodes(known, sides[part])
    if baseline:
        known = pool_openings(of_episodes(windows, near["unseen"]))
        parts[WITHOUT_BASELINE] = of_episodes(known, split.test)
    return {part: parts[part] for part in (*sides, WITHOUT_BASELINE) if part in parts}


def _each_host(episodes: Sequence["Identity"]) -> list[Split]:
    """Return a fold for each host, which is validated on the next one."""
    hosts = sorted({episode.host for episode in episodes})
    return [
        held_out_host(episodes, host, hosts[(place + 1) % len(hosts)])
        for place, host in enumerate(hosts)
    ]


def _each_sample(episodes: Sequence["Identity"]) -> list[Split]:
    """Return a fold for each sample of the profile that has fewest."""
    samples: dict[str, set[str]] = {}
    for episode in episodes:
        samples.setdefault(episode.profile, set()).add(episode.sample)
    count = min(map(len, samples.values()), default=0)
    return [held_out_sample(episodes, str(fold), "") for fold in range(count)]


SURVEYED: dict[str, Callable[[Sequence["Identity"]], list[Split]]] = {
    "held_out_host": _each_host,
    "held_out_sample": _each_sample,
    "held_out_time": lambda episodes: [held_out_time(episodes, "", "")],
}
"""The folds of each split that a survey evaluates; each raises Refused where it cannot be made."""
