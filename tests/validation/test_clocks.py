"""Offsets are measured to a fraction of the step; what only repeats itself is not called off."""

from dataclasses import replace

import numpy as np
import pytest
from tests import toy

from phasewatch import schema
from phasewatch.episode import Episode
from phasewatch.schema import NS
from phasewatch.sim.plant import _with_activity
from phasewatch.validation.clocks import ClockEvidence, measure

VM46 = schema.vm46()


def bursts(seconds: int = 120, seed: int = 0) -> Episode:
    """All sources see the same bursts."""
    episode = toy.episode(seconds=seconds)
    busy = np.repeat(np.random.default_rng(seed).random(seconds // 2) < 0.3, 2)
    return _with_activity(episode, episode.start_ns + NS * np.arange(len(busy)), busy)


def late(episode: Episode, seconds: float) -> Episode:
    guest = episode.sources["guest"]
    moved = replace(guest, t_wall_ns=guest.t_wall_ns + round(seconds * NS))
    return replace(episode, sources={**episode.sources, "guest": moved})


def evidence(episode: Episode) -> ClockEvidence:
    return measure(episode, episode.sources, VM46)


@pytest.mark.parametrize("seconds", [-7.3, -2.0, 0.0, 1.7, 4.0, 11.0])
def test_an_offset_is_measured_and_reported(seconds: float) -> None:
    found = {pair.right: pair for pair in evidence(late(bursts(), seconds)).pairs}
    assert found["netflow"].offset_s == pytest.approx(seconds, abs=0.3)
    assert found["qmp"].offset_s == pytest.approx(seconds, abs=0.35)
    assert found["netflow"].apart == (abs(seconds) > 1.5)


def test_periodic_signals_give_no_clock_offset() -> None:
    episode = toy.episode(seconds=120)
    busy = np.arange(120) % 10 < 3
    ticking = _with_activity(episode, episode.start_ns + NS * np.arange(120), busy)
    assert not any(pair.apart for pair in evidence(late(ticking, 5.0)).pairs)


def test_two_single_events_give_no_clock_offset() -> None:
    episode = toy.episode(seconds=120)
    t = episode.start_ns + NS * np.array([0, 70, 71])
    lone = _with_activity(episode, t, np.array([False, True, False]))
    assert not any(pair.apart or pair.known for pair in evidence(late(lone, 9.0)).pairs)


def test_a_source_that_ended_early_is_no_label_fault() -> None:
    episode = bursts()
    guest = episode.sources["guest"]
    cut = {name: getattr(guest, name)[:150] for name in ("t_wall_ns", "t_mono_ns", "values")}
    sources = {**episode.sources, "guest": replace(guest, **cut)}
    assert measure(episode, sources, VM46).onset is None
    assert evidence(episode).onset is not None


def test_a_short_episode_gives_no_clock_evidence() -> None:
    short = replace(bursts(), end_ns=bursts().start_ns + 10 * NS)
    assert evidence(short) == ClockEvidence()


@pytest.mark.parametrize("step_s", [14.0, 90.0])
def test_a_coarse_grid_gives_no_clock_evidence_and_no_fault(step_s: float) -> None:
    grid = schema.Grid(window_s=2 * step_s, stride_s=step_s, step_s=step_s, hold_s=step_s)
    episode = bursts(seconds=400)
    found = measure(episode, episode.sources, replace(VM46, grid=grid))
    assert not any(pair.apart for pair in found.pairs)
