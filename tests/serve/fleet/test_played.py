"""Many machines play episodes at once, each at its own moment, and go on to the next."""

import threading
import time
from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.live.machine import WindowPrediction
from phasewatch.schema import NS
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.fleet import played
from phasewatch.serve.fleet.observed import Observed
from phasewatch.serve.fleet.played import PlayedFleet, PlayedMachine, headlined
from phasewatch.serve.replay.library import Library
from phasewatch.store.local import Store


@pytest.fixture(scope="module")
def library(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Library:
    return Library(ProducerContext(Run(toy_out), toy_store))


def test_the_headlined_model_is_the_best_on_validation(
    library: Library, toy_run: RunResult, toy_store: Store
) -> None:
    rows = [row for row in toy_run.report.rows if row.mode == "realistic"]
    best = max(rows, key=lambda row: row.validation.value)
    assert headlined(library).key == f"{best.model}.realistic"
    with pytest.raises(Refused, match="has no model to judge with"):
        headlined(Library(ProducerContext(None, toy_store)))


def test_a_played_machine_predicts_what_a_replay_predicts(
    library: Library, toy_store: Store
) -> None:
    fleet = PlayedFleet(library, toy_store.ids()[:1], 1)
    begins_ns = time.time_ns()
    fleet.machines.append(fleet._begin(0, fleet._read(0), begins_ns))
    found: list[WindowPrediction] = []

    def take(observed: Observed, window: WindowPrediction | None) -> None:
        if window is not None:
            found.append(window)

    for second in range(1, 60):
        fleet.look(begins_ns + second * NS, take)
    episode = library.read(toy_store.ids()[0])
    expected = library.replayed(episode.id)[1].predictions
    key = headlined(library).key
    assert [one.end for one in found] == list(expected)
    for one in found:
        assert one.logits[key].tolist() == expected[one.end].logits[key].tolist()
        assert one.end_ns == begins_ns + round(one.end * library.store.schema.grid.step_s * NS)


def test_machines_begin_apart_and_play_different_episodes(
    library: Library, toy_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(played, "TICK_S", 0.01)
    fleet, stop = PlayedFleet(library, toy_store.ids(), 4), threading.Event()
    shown: list[str] = []

    def take(observed: Observed, window: WindowPrediction | None) -> None:
        shown.append(observed.name)
        if len(set(shown)) == 4:
            stop.set()

    fleet.run(stop, take)
    origins = [one.observed.machine.origin_ns for one in fleet.machines]
    stride_ns = round(library.store.schema.grid.stride_s * NS)
    assert sorted(origin % stride_ns * 4 // stride_ns for origin in origins) == [0, 1, 2, 3]
    assert len({one.observed.episode for one in fleet.machines}) == 4


def test_a_machine_goes_on_with_another_episode(
    library: Library, toy_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(played, "TICK_S", 0.01)
    long_ago = time.time_ns() - 60 * NS
    fleet, stop = PlayedFleet(library, toy_store.ids()[:2], 1), threading.Event()
    monkeypatch.setattr(fleet, "_first_ns", lambda place: long_ago)
    episodes: list[tuple[str, bool]] = []

    def take(observed: Observed, window: WindowPrediction | None) -> None:
        episodes.append((observed.episode, observed.stopped))
        if len({id for id, _ in episodes}) == 2:
            stop.set()

    def show_next(machine: PlayedMachine, now_ns: int) -> PlayedMachine:
        following = begin_next(machine, now_ns)
        take(following.observed, None)
        return following

    begin_next = fleet._next
    monkeypatch.setattr(fleet, "_next", show_next)
    fleet.run(stop, take)
    assert (toy_store.ids()[0], True) in episodes, "its end is shown"
    assert episodes[-1][0] != episodes[0][0]


def test_a_fleet_needs_episodes(library: Library) -> None:
    with pytest.raises(Refused, match="has no episode to play"):
        PlayedFleet(library, [], 3)
