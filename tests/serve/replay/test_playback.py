"""Stored episodes under the clock, and a machine that runs now."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests import toy

from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.live.machine import Machine
from phasewatch.live.playback import SampleStream
from phasewatch.schema import NS
from phasewatch.serve.events import Event, ProducerContext
from phasewatch.serve.replay.playback import Playback
from phasewatch.serve.replay.queries import Queries
from phasewatch.serve.replay.records import EpisodeLoaded, Window
from phasewatch.store.local import Store


@pytest.fixture
def published() -> list[Event]:
    return []


@pytest.fixture
def playback(
    toy_run: RunResult, toy_out: Path, toy_store: Store, published: list[Event]
) -> Playback:
    return Playback(ProducerContext(Run(toy_out), toy_store), published.append)


def windows(published: list[Event]) -> list[Window]:
    return [one for one in published if isinstance(one, Window)]


def last_episode(published: list[Event]) -> EpisodeLoaded:
    return [one for one in published if isinstance(one, EpisodeLoaded)][-1]


def test_seeking_predicts_the_window_there_and_counts_no_skip(
    playback: Playback, published: list[Event], toy_store: Store
) -> None:
    id = toy_store.ids()[0]
    playback.load(id)
    playback.operate("seek", 30.0, None)
    (window,) = windows(published)
    assert window.end_s == 25.0 or window.end_s == 30.0
    every = {one.index: one for one in Queries(playback).windows(id)}
    same = ("z", "truth", "present_ratio")
    assert [getattr(window, name) for name in same] == [
        getattr(every[window.index], name) for name in same
    ]
    assert {key: one.p for key, one in window.models.items()} == {
        key: one.p for key, one in every[window.index].models.items()
    }
    assert playback.context.counters.value("windows_skipped_total") == 0


def test_every_window_is_counted_with_its_models(playback: Playback, toy_store: Store) -> None:
    playback.play(toy_store.ids()[0])
    playback.clock.put(1e9)
    playback.advance()
    counters = playback.context.counters
    assert playback.clock.state == "ended"
    assert counters.value("windows_total") == 1 and counters.value("windows_skipped_total") > 3
    assert counters.deadline_s == toy_store.schema.grid.stride_s
    assert set(counters.latencies()[0]) == {one.key for one in playback.library.ensemble.members}


def test_late_samples_are_counted_over_all_machines(playback: Playback, toy_store: Store) -> None:
    counters = playback.context.counters
    for id, late, total in ((toy_store.ids()[0], 3, 3), (toy_store.ids()[1], 2, 5)):
        playback.play(id)
        assert playback.watched is not None
        playback.watched.machine.late = late
        playback.clock.put(1e9)
        playback.advance()
        assert counters.value("samples_late_total") == total


def test_the_list_is_played_one_after_the_other(
    playback: Playback,
    published: list[Event],
    toy_store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = toy_store.ids()[:2]
    playback.context = replace(playback.context, episodes=(first, second))
    playback.load(first)
    playback.clock.state = "ended"
    monkeypatch.setattr("phasewatch.serve.replay.playback.PAUSE_S", 1e9)
    playback.advance()
    assert last_episode(published).episode_id == first
    monkeypatch.setattr("phasewatch.serve.replay.playback.PAUSE_S", 0.0)
    playback.advance()
    last = last_episode(published)
    assert (last.episode_id, last.transport.state) == (second, "playing")


def test_a_transport_without_a_replay_is_refused(playback: Playback) -> None:
    with pytest.raises(Refused, match="has no replay to move"):
        playback.operate("play", None, None)
    playback.begin(replace(toy.episode("delta"), sources={}))
    with pytest.raises(Refused, match="It runs at its own pace"):
        playback.operate("pause", None, None)


def test_an_old_revision_moves_nothing(playback: Playback, toy_store: Store) -> None:
    playback.load(toy_store.ids()[0])
    revision = playback.operate("seek", 20.0, playback.clock.revision)
    with pytest.raises(Refused):
        playback.operate("seek", 5.0, revision - 1)
    assert playback.clock.position_s(1e9) == 20.0


def test_without_a_store_there_is_nothing_to_play() -> None:
    with pytest.raises(Refused, match="has no store to play from"):
        Playback(ProducerContext(None, None), lambda event: None).load("any")


def test_a_machine_that_runs_now_is_predicted_as_its_samples_come(
    playback: Playback, published: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    episode = toy.episode("delta")
    clock: Any = SimpleNamespace(monotonic=lambda: 0.0, now=0)
    clock.time_ns = lambda: clock.now
    monkeypatch.setattr("phasewatch.serve.replay.playback.time", clock)
    monkeypatch.setattr("phasewatch.serve.replay.clock.time", clock)
    empty = replace(episode, sources={}, labels=episode.labels[:1], end_ns=episode.start_ns)
    clock.now = episode.start_ns
    playback.begin(empty)
    stream = SampleStream(episode)
    for second in range(1, 41):
        clock.now = episode.start_ns + second * NS
        known = tuple(one for one in episode.labels if one.t_wall_ns <= clock.now)
        playback.label(known)
        stream.advance(clock.now, playback)  # type: ignore[arg-type]
    playback.end(episode.end_ns)
    found = windows(published)
    offline = Machine(playback.library.ensemble, episode.start_ns)
    assert found[0].index == (offline._next - 20) // 10
    assert [one.index for one in found] == list(range(found[0].index, found[-1].index + 1))
    assert found[-1].end_s == 40.0
    assert all(np.isfinite(one.lag_s) and one.lag_s < 2.5 for one in found)
    assert {one.truth for one in found} <= {one.phase for one in episode.labels}
    last = last_episode(published)
    assert (last.mode, last.transport.state) == ("live", "ended")
