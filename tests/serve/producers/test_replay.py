"""The clock's promises, and a machine that runs now."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests import toy

from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.lab.recording import Take
from phasewatch.live.machine import Machine
from phasewatch.live.playback import Stream
from phasewatch.schema import NS
from phasewatch.serve.events import Event, ProducerContext
from phasewatch.serve.producers.replay import Clock, EpisodeLoaded, Producer, Window
from phasewatch.serve.recorder import Show
from phasewatch.store.local import Store


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def producer(toy_run: RunResult, toy_out: Path, toy_store: Store, told: list[Event]) -> Producer:
    made = Producer(ProducerContext(Run(toy_out), toy_store), told.append)
    made.open()
    return made


def windows(told: list[Event]) -> list[Window]:
    return [one for one in told if isinstance(one, Window)]


def test_the_clock_stands_still_unless_it_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    now: Any = SimpleNamespace(at=100.0)
    now.monotonic = lambda: now.at
    monkeypatch.setattr("phasewatch.serve.producers.replay.time", now)
    clock = Clock(_since=100.0)
    now.at = 110.0
    assert clock.position_s(60) == 0
    clock.put(5.0)
    clock.state, clock.speed = "playing", 4.0
    now.at = 112.0
    assert clock.position_s(60) == 13.0
    now.at = 200.0
    assert clock.position_s(60) == 60


def test_seeking_judges_the_window_there_and_counts_no_skip(
    producer: Producer, told: list[Event], toy_store: Store
) -> None:
    id = toy_store.ids()[0]
    producer.load(id)
    producer.operate("seek", 30.0, None)
    (there,) = windows(told)
    assert there.end_s == 25.0 or there.end_s == 30.0
    whole = {one.index: one for one in producer.windows(id)}
    same = ("z", "truth", "present_ratio")
    assert [getattr(there, name) for name in same] == [
        getattr(whole[there.index], name) for name in same
    ]
    assert {key: call.p for key, call in there.models.items()} == {
        key: call.p for key, call in whole[there.index].models.items()
    }


def test_the_list_is_played_one_after_the_other(
    producer: Producer, told: list[Event], toy_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phasewatch.serve.producers.replay.PAUSE_S", 0.0)
    first, second = toy_store.ids()[:2]
    producer.given = replace(producer.given, episodes=(first, second))
    producer.load(first)
    producer._clock.state = "ended"
    producer._advance()
    last = told[-1]
    assert isinstance(last, EpisodeLoaded)
    assert (last.episode_id, last.transport.state) == (second, "playing")


def test_incidents_need_an_operating_point(
    producer: Producer, toy_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = next(id for id in toy_store.ids() if "dig" in id)
    monkeypatch.setattr(Run, "thresholds", {"gbt.oracle": 0.3, "gbt.realistic": None})
    (first, *_) = producer.incidents(id, "gbt.oracle")
    assert (first.machine, first.model) == (id, "gbt.oracle") and first.peak >= 0.3
    with pytest.raises(Refused, match="no operating point"):
        producer.incidents(id, "gbt.realistic")


class Told:
    """Stands for a producer, and keeps what a show tells it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *told: self.calls.append((name, told))


def test_a_show_begins_with_the_first_label_and_loses_no_row(toy_store: Store) -> None:
    episode, heard = toy.episode(), Told()
    take = Take.of("scan-and-dial", "pc-small", "1")
    show = Show(take, toy_store, Path(), heard, lambda line: None)  # type: ignore[arg-type]
    show.hear("qmp", episode.sources["qmp"])
    assert heard.calls == []
    show.hear("labels", episode.labels[:1])
    show.hear("proc", episode.sources["proc"])
    assert [name for name, _ in heard.calls] == ["begin", "take", "label", "take"]
    begun: Episode = heard.calls[0][1][0]
    assert (begun.start_ns, begun.sources) == (episode.labels[0].t_wall_ns, {})
    assert heard.calls[1][1] == ("qmp", episode.sources["qmp"])


def test_a_machine_that_runs_now_is_judged_as_its_rows_come(
    producer: Producer, told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    episode = toy.episode("delta")
    clock: Any = SimpleNamespace(monotonic=lambda: 0.0, now=0)
    clock.time_ns = lambda: clock.now
    monkeypatch.setattr("phasewatch.serve.producers.replay.time", clock)
    empty = replace(episode, sources={}, labels=episode.labels[:1], end_ns=episode.start_ns)
    clock.now = episode.start_ns
    producer.begin(empty)
    buffer = _Feed(producer)
    stream = Stream(episode)
    for second in range(1, 41):
        clock.now = episode.start_ns + second * NS
        known = tuple(one for one in episode.labels if one.t_wall_ns <= clock.now)
        producer.label(known)
        stream.upto(clock.now, buffer)  # type: ignore[arg-type]
    producer.end(episode.end_ns)
    made = windows(told)
    offline = Machine(producer.ensemble(producer.given.store.schema), episode.start_ns)  # type: ignore[union-attr]
    assert made[0].index == (offline._next - 20) // 10
    assert [one.index for one in made] == list(range(made[0].index, made[-1].index + 1))
    assert made[-1].end_s == 40.0
    assert all(one.lag_s < 2.5 for one in made)
    assert all(np.isfinite(one.lag_s) for one in made)
    last = told[-1]
    assert isinstance(last, EpisodeLoaded)
    assert (last.mode, last.transport.state) == ("live", "ended")


class _Feed:
    """Passes a stream's rows to the producer, as a recorder would."""

    def __init__(self, producer: Producer) -> None:
        self.add = producer.take
