"""Schedules: what runs when, in short runs, long runs and days."""

import hashlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lab.test_profile import ALL, EVERY, PLANS

from phasewatch.errors import Refused
from phasewatch.lab import plan
from phasewatch.lab.hosts import host, hosts
from phasewatch.lab.profile import (
    BENIGN,
    Act,
    profile,
    schedule,
)

PLAYED = "40fbe47b14f4"


def acts(name: str, seed: int, on: str = "pc-small", seconds: float = 90) -> tuple[Act, ...]:
    chosen = profile(name)
    return schedule(chosen, chosen.samples[seed % 5], host(on), seed, seconds)


@pytest.mark.parametrize("name", EVERY)
def test_a_long_schedule_opens_and_ends_benign_and_stays_within_the_generators_time(
    name: str,
) -> None:
    chosen = profile(name)
    for number, sample in enumerate(chosen.every):
        seconds = 3000.0 if chosen.kind == "day" else (120.0, 200.0, 600.0)[number % 3]
        planned = schedule(chosen, sample, host("q35-data"), number, seconds)
        work = [act for act in planned if act.slot == "work"]
        ends = [act.at_s for act in work[1:]] + [seconds]
        hostile = [
            end - act.at_s for act, end in zip(work, ends, strict=True) if act.phase != BENIGN
        ]
        assert work[0].phase == work[-1].phase == BENIGN
        assert max(end - act.at_s for act, end in zip(work, ends, strict=True)) <= 310
        side = [act.at_s for act in planned if act.slot == "side"]
        assert max(b - a for a, b in itertools.pairwise([*side, seconds])) <= 600
        if name.startswith(BENIGN):
            assert not hostile
        else:
            assert len(hostile) >= min(2, sum(line.phase != BENIGN for line in sample.lines))
            assert 0.05 * seconds <= sum(hostile) <= 0.81 * seconds
            assert next(act.at_s for act in work if act.phase != BENIGN) >= 15


def test_nights_are_idle_and_build_servers_are_busy() -> None:
    chosen = profile("benign-day")
    idle: dict[bool, list[float]] = {True: [], False: []}
    for sample in chosen.drawn:
        work = [
            act for act in schedule(chosen, sample, host("arm-desk"), 1, 3600) if act.slot == "work"
        ]
        ends = [act.at_s for act in work[1:]] + [3600.0]
        rests = sum(
            e - act.at_s for act, e in zip(work, ends, strict=True) if act.program == "idle"
        )
        idle[sample.script.count("benign idle") >= 4].append(rests / 3600)
    assert len(idle[True]) == 8
    assert min(idle[True]) > 0.5
    assert sum(idle[False]) / len(idle[False]) < 0.5


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(ALL), st.integers(0, 10**6), st.sampled_from(sorted(hosts())))
def test_a_schedule_opens_and_ends_benign_and_holds_its_spans(
    name: str, seed: int, on: str
) -> None:
    planned = acts(name, seed, on)
    assert planned == acts(name, seed, on)
    work = [act for act in planned if act.slot == "work"]
    assert work[0].at_s == 0
    assert work[0].phase == work[-1].phase == BENIGN
    assert [act.at_s for act in planned] == sorted(act.at_s for act in planned)
    ends = [act.at_s for act in work[1:]] + [90.0]
    hostile = [(act, end) for act, end in zip(work, ends, strict=True) if act.phase != BENIGN]
    for act, end in hostile:
        assert act.at_s >= 14.99
        assert 7.99 <= end - act.at_s <= 25.01
    assert (name == BENIGN) == (not hostile)


@pytest.mark.parametrize("name", [name for name in ALL if name != BENIGN])
def test_the_time_does_not_predict_the_phase(name: str) -> None:
    first = {
        round(next(act.at_s for act in acts(name, seed) if act.phase != BENIGN))
        for seed in range(0, 100, 5)
    }
    assert len(first) >= 4
    assert acts(name, 5) != acts(name, 10)


def test_too_short_is_refused_with_the_shortest_length() -> None:
    with pytest.raises(Refused, match="at least 68 s"):
        acts("scan-and-dial", 0, seconds=40)


def test_the_first_corpus_plays_as_it_was_recorded() -> None:
    played = [
        (
            take.id,
            take.seconds,
            *schedule(take.profile, take.sample, take.host, take.seed, take.seconds),
        )
        for take in plan.read(PLANS / "corpus.toml").takes
    ]
    assert hashlib.sha256(repr(played).encode()).hexdigest()[:12] == PLAYED
