"""A machine under watch is shown from its first reading, and anew after a gap."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import toy
from tests.attach.fakes import Box, FakeClock

from phasewatch.attach.watch.watched import Gap, Reading
from phasewatch.episode import Episode
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.serve.attached import LiveAttachment
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.replay.playback import Playback
from phasewatch.store.local import Store


class RecordedCalls:
    """A stand-in for a playback that records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.calls.append((name, values))


def shown(box: Box, playback: Any) -> LiveAttachment:
    clock = FakeClock()
    watched = box.watched()
    watched.open(clock.wall_ns(), clock.mono_ns())
    return LiveAttachment(watched, playback, box.say, clock)


def test_the_first_reading_begins_and_no_reading_is_lost() -> None:
    playback = RecordedCalls()
    shown(Box("web"), playback).run(5.0)
    names = [name for name, _ in playback.calls]
    assert names == ["begin", *["add"] * 11, "end"]
    begun: Episode = playback.calls[0][1][0]
    assert (begun.host, begun.labels, begun.sources) == ("web", (), {})
    source, samples = playback.calls[1][1]
    assert source == "proc" and samples.names == ("proc.vcpu_run", "proc.rss")
    assert begun.start_ns == samples.t_wall_ns[0]


def test_a_gap_begins_anew_and_a_machine_that_is_over_ends() -> None:
    playback, box = RecordedCalls(), Box("web")
    live = shown(box, playback)
    for event in (
        Reading("web", "proc", ("proc.rss",), 5, 5, [1.0]),
        Gap("web", 9, "away for 4 s"),
        Reading("web", "proc", ("proc.rss",), 10, 10, [1.0]),
    ):
        live.receive(event)
    assert [name for name, _ in playback.calls] == ["begin", "add", "begin", "add"]
    box.opened[-1].followed = None
    box.stop()
    live.run()
    assert playback.calls[-1][0] == "end"


@pytest.fixture
def playback(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Iterator[Playback]:
    context = ProducerContext(Run.open(toy_out), toy_store)
    yield Playback(context, lambda event: None)


def test_windows_on_the_page_are_those_of_the_readings(playback: Playback) -> None:
    """Through the real playback: an unlabelled machine is predicted, and its truth is unknown."""
    published: list[Any] = []
    playback.publish = published.append
    live = shown(Box("web"), playback)
    rows = [
        (
            int(t),
            Reading("web", source, samples.names, int(t), int(t), samples.values[row].tolist()),
        )
        for source, samples in toy.episode().sources.items()
        for row, t in enumerate(samples.t_wall_ns)
    ]
    for _, reading in sorted(rows, key=lambda row: row[0]):
        live.receive(reading)
    windows = [one for one in published if type(one).__name__ == "Window"]
    assert windows and all(one.truth is None for one in windows)
    assert {one.episode_id for one in windows} == {playback.watched.episode.id}  # type: ignore[union-attr]
    assert np.isfinite([one.lag_s for one in windows]).all()
