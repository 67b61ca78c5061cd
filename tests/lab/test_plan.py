"""Plans: those of the corpus, and those that are refused."""

import collections
import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.broken import episode
from tests.lab.test_profile import FIRST as FIRST_PROFILES

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.lab import plan
from phasewatch.lab.fault import FAULTS
from phasewatch.lab.hosts import hosts
from phasewatch.lab.profile import BENIGN, profile, schedule
from phasewatch.lab.recording import Take
from phasewatch.store.local import Store

PLANS = Path(__file__).parent.parent.parent / "plans"
CORPUS = PLANS / "corpus.toml"
FIRST = list(hosts())[:10]
"""The hosts of the first corpus."""

LARGE_PROFILES = (*FIRST_PROFILES, "benign-day", "hybrid")
"""The profiles of the large plan; a new profile need not be recorded to be there."""

CAMPAIGNS = ("first", "second", "third")


@pytest.fixture(scope="module")
def takes() -> tuple[Take, ...]:
    return plan.read(CORPUS).takes


def test_the_corpus_is_large_enough_in_every_campaign(takes: tuple[Take, ...]) -> None:
    assert len(takes) >= 300
    assert len({take.id for take in takes}) == len(takes)
    assert all(60 <= take.seconds <= 150 for take in takes)
    assert tuple(dict.fromkeys(take.campaign.name for take in takes)) == CAMPAIGNS


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_every_host_runs_every_profile_it_may(takes: tuple[Take, ...], campaign: str) -> None:
    done = {
        (take.host.name, take.profile.name)
        for take in takes
        if take.campaign.name == campaign and not take.fault
    }
    assert done == {
        (host, name) for host in FIRST for name in FIRST_PROFILES if name not in hosts()[host].never
    }


def test_every_sample_is_on_some_hosts_and_none_on_all(takes: tuple[Take, ...]) -> None:
    for name in FIRST_PROFILES:
        for sample in profile(name).samples:
            on = {take.host.name for take in takes if take.sample.id == sample.id}
            assert 3 <= len(on) < len(FIRST)


def test_a_third_of_the_time_is_benign(takes: tuple[Take, ...]) -> None:
    seconds: Counter[str] = Counter()
    for take in takes:
        acts = schedule(take.profile, take.sample, take.host, take.seed, take.seconds)
        work = [act for act in acts if act.slot == "work"]
        ends = [act.at_s for act in work[1:]] + [take.seconds]
        for act, end in zip(work, ends, strict=True):
            seconds[act.phase] += round(end - act.at_s)
    assert seconds[BENIGN] >= seconds.total() / 3
    assert all(count >= seconds.total() / 50 for count in seconds.values())


def test_every_fault_is_recorded_in_every_campaign(takes: tuple[Take, ...]) -> None:
    found = {(take.campaign.name, take.fault) for take in takes if take.fault}
    assert found == {(campaign, fault) for campaign in CAMPAIGNS for fault in FAULTS}


def test_campaigns_change_the_hosts(takes: tuple[Take, ...]) -> None:
    set_up = {(take.host.kernel, take.host.background, take.campaign.jitter) for take in takes}
    of_one = {
        (take.host.kernel, take.host.background, take.campaign.jitter)
        for take in takes
        if take.host.name == "pc-small"
    }
    assert len(of_one) == len(CAMPAIGNS)
    assert len(set_up) > len(FIRST)


GOOD = """
seconds = [70, 80]
[[campaign]]
name = "one"
[[block]]
profile = "benign"
sample = 1
seed = 1
[block.hosts]
one = ["pc-small"]
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"benign"', '"nope"', "profile 'nope'"),
        ("sample = 1", "sample = 999", "'999' is unknown"),
        ('["pc-small"]', '["nope"]', "host 'nope'"),
        ('["pc-small"]', '["pc-small", "pc-small"]', "planned twice"),
        ('one = ["pc-small"]', 'two = ["pc-small"]', "campaign 'two'"),
        ("seed = 1", "", "seed"),
        ("seed = 1", "seed = 1.5", "block[0]: seed"),
        ("seed = 1", 'seed = 1\nfault = "flood"', "fault flood"),
        ("seed = 1", "seed = 1\ncolour = 2", "colour"),
        ("seconds = [70, 80]", "seconds = 70", "seconds: "),
        ('name = "one"', 'name = "one"\ntick = 2', "tick"),
        ('name = "one"', 'name = "one"\njitter = 60', "campaign[0]: jitter"),
        ("[[block]]", "[[blocks]]", "block: "),
    ],
)
def test_a_bad_plan_is_refused_by_name(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(GOOD)
    assert len(plan.read(path).takes) == 1
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(Refused) as refused:
        plan.read(path)
    assert expected in str(refused.value)


def test_a_host_never_runs_a_profile_it_excludes(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(GOOD.replace('"benign"', '"scan-and-dial"').replace("pc-small", "q35-edge"))
    with pytest.raises(Refused, match="never runs"):
        plan.read(path)


@pytest.fixture(scope="module")
def large() -> tuple[Take, ...]:
    return plan.read(PLANS / "large.toml").takes


def hours(takes: Sequence[Take]) -> float:
    return sum(take.seconds for take in takes) / 3600


def test_the_large_plan_has_what_its_claims_need(large: tuple[Take, ...]) -> None:
    hostile = [take for take in large if not take.profile.name.startswith(BENIGN)]
    days = [take for take in large if take.profile.kind == "day"]
    assert len(hostile) >= 600
    assert all(120 <= take.seconds <= 600 for take in hostile)
    assert hours(days) >= 60
    assert all(600 <= take.seconds <= 3600 for take in days)
    assert len({take.campaign.name for take in large}) == 4
    assert {take.host.name for take in days} == set(hosts())
    assert sum(bool(take.fault) for take in large) > 0.05 * len(large)
    for name in LARGE_PROFILES:
        assert len({take.sample.id for take in large if take.profile.name == name}) >= 25, name


def test_a_sample_of_the_large_plan_is_on_some_hosts_only(large: tuple[Take, ...]) -> None:
    on: dict[str, set[str]] = collections.defaultdict(set)
    for take in large:
        on[take.sample.id].add(take.host.name)
    assert all(2 <= len(names) < len(hosts()) / 2 for names in on.values())


def test_every_round_holds_all_campaigns_and_phases(large: tuple[Take, ...]) -> None:
    """Wherever a run is ended for good, the rounds before hold every campaign and profile."""
    first = large[: len(large) // 6]
    assert {take.campaign.name for take in first} == {take.campaign.name for take in large}
    assert {take.profile.name for take in first} == set(LARGE_PROFILES)


ROTATION = """
[[campaign]]
name = "one"
[[rotation]]
profile = "benign-day"
each = 2
seconds = [600, 900]
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"benign-day"', '"nope"', "profile 'nope'"),
        ("each = 2", "each = 0", "rotation[0]: each"),
        ("each = 2", 'each = 2\nfaults = ["flood"]', "fault flood"),
        ("each = 2", "each = 2\ncolour = 2", "colour"),
        ("[600, 900]", '"long"', "rotation[0]: seconds"),
        ("[[rotation]]", "[[turn]]", "turn"),
    ],
)
def test_a_bad_rotation_is_refused_by_name(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(ROTATION)
    assert len(plan.read(path).takes) == 2 * len(hosts())
    path.write_text(ROTATION.replace(old, new))
    with pytest.raises(Refused) as refused:
        plan.read(path)
    assert expected in str(refused.value)


def test_the_remainder_of_a_plan_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(GOOD)
    planned = plan.read(path)
    store = Store.create(tmp_path / "store", schema.vm46())
    left = plan.remainder(planned, store, 2, 1.6)
    assert (left.recorded, left.takes) == (0, 1)
    assert left.host_hours == pytest.approx(planned.takes[0].seconds / 3600)
    (take,) = planned.takes
    store.publish(episode(take.id, 1))
    left = plan.remainder(planned, store, 2, 1.6)
    assert (left.recorded, left.takes, left.host_hours, left.hours) == (1, 0, 0.0, 0.0)


def scheduler(takes: Sequence[Take], busy: Sequence[Take], cores: float) -> plan.Scheduler:
    """Return a scheduler whose recordings under way are stand-ins."""
    built = plan.Scheduler(
        collections.deque((take, 1) for take in takes),
        cast(Any, None),
        Path(),
        plan.Outcome(),
        lambda line, finished: None,
        cores,
    )
    built.busy = [(cast(Any, SimpleNamespace(take=take)), 1) for take in busy]
    return built


def needing(take: Take, cores: float) -> Take:
    return dataclasses.replace(take, sample=dataclasses.replace(take.sample, cores=cores))


def test_light_recordings_run_side_by_side_and_heavy_ones_alone(
    takes: tuple[Take, ...],
) -> None:
    heavy, light = needing(takes[0], 1.2), needing(takes[1], 0.2)
    assert scheduler([heavy, light], [], 1.0).fitting() == 0
    assert scheduler([heavy, light], [light], 1.0).fitting() == 1
    assert scheduler([light], [light] * 4, 1.0).fitting() == 0
    assert scheduler([light], [light] * 5, 1.0).fitting() is None
    assert scheduler([light], [heavy], 1.0).fitting() is None
    waiting = scheduler([heavy, light], [light], 1.0)
    waiting.overtaken = plan.PATIENCE
    assert waiting.fitting() is None
