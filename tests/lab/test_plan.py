"""Plans: the corpus's own, and those that are refused."""

from collections import Counter
from pathlib import Path

import pytest
from tests.paths import ROOT

from phasewatch.errors import Refused
from phasewatch.lab import plan
from phasewatch.lab.fault import FAULTS
from phasewatch.lab.hosts import hosts
from phasewatch.lab.profile import BENIGN, profiles, schedule
from phasewatch.lab.recording import Take

CORPUS = ROOT / "plans" / "corpus.toml"
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
    every = profiles()
    assert done == {
        (own.name, name) for own in hosts().values() for name in every if name not in own.never
    }


def test_every_sample_is_on_some_hosts_and_none_on_all(takes: tuple[Take, ...]) -> None:
    for own in profiles().values():
        for sample in own.samples:
            on = {take.host.name for take in takes if take.sample.id == sample.id}
            assert 3 <= len(on) < len(hosts())


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
    assert len(set_up) > len(hosts())


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
    ("old", "new", "told"),
    [
        ('"benign"', '"nope"', "profile 'nope'"),
        ("sample = 1", "sample = 9", "'9' is unknown"),
        ('["pc-small"]', '["nope"]', "host 'nope'"),
        ('["pc-small"]', '["pc-small", "pc-small"]', "planned twice"),
        ('one = ["pc-small"]', 'two = ["pc-small"]', "campaign 'two'"),
        ("seed = 1", "", "seed"),
        ("seed = 1", "seed = 1.5", "1.5"),
        ("seed = 1", 'seed = 1\nfault = "flood"', "fault flood"),
        ("seed = 1", "seed = 1\ncolour = 2", "colour"),
        ("seconds = [70, 80]", "seconds = 70", "[shortest, longest]"),
        ('name = "one"', 'name = "one"\ntick = 2', "tick"),
        ("seconds = [70, 80]", "", "seconds"),
    ],
)
def test_a_bad_plan_is_refused_by_name(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(GOOD)
    assert len(plan.read(path).takes) == 1
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(Refused) as refused:
        plan.read(path)
    assert told in str(refused.value)


def test_a_host_is_not_made_to_do_what_it_never_does(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(GOOD.replace('"benign"', '"scan-and-dial"').replace("pc-small", "q35-edge"))
    with pytest.raises(Refused, match="never runs"):
        plan.read(path)
