"""Machines under watch are shown from their first reading on, and anew after a gap."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests import toy
from tests.attach.fakes import WALL, Box, FakeClock

from phasewatch import schema
from phasewatch.attach.collector import Target
from phasewatch.attach.watch.watched import Event, Gap, Reading, Watched
from phasewatch.episode import ID, Episode
from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.machine import WindowPrediction
from phasewatch.schema import NS
from phasewatch.serve.attached import (
    AttachedFleet,
    LiveAttachment,
    episode_of,
    refuse_unloaded,
    said_missing,
)
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.fleet.observed import Observed
from phasewatch.serve.fleet.played import headlined
from phasewatch.serve.replay.playback import Playback
from phasewatch.serve.replay.queries import Queries
from phasewatch.store.local import Store


class RecordedCalls:
    """A stand-in for a playback that records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.watched = SimpleNamespace(machine=object())

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.calls.append((name, values))


def shown(box: Box, playback: Any) -> LiveAttachment:
    clock = FakeClock()
    watched = box.watched()
    watched.open(clock.wall_ns(), clock.mono_ns())
    return LiveAttachment(watched, playback, box.say, clock)


def readings(name: str, shift_ns: int = 0) -> list[Reading]:
    """The samples of an episode as readings, in the order of time."""
    found = [
        Reading(name, source, samples.names, t + shift_ns, t, samples.values[row].tolist())
        for source, samples in toy.episode("beta", "leak").sources.items()
        for row, t in enumerate(samples.t_wall_ns.tolist())
    ]
    return sorted(found, key=lambda reading: reading.t_wall_ns)


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
    before = playback.watched.machine
    assert playback.calls[0][1][1] is None and playback.calls[2][1][1] is before
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
    for reading in readings("web"):
        live.receive(reading)
    windows = [one for one in published if type(one).__name__ == "Window"]
    assert windows and all(one.truth is None for one in windows)
    assert {one.episode_id for one in windows} == {playback.watched.episode.id}  # type: ignore[union-attr]
    assert np.isfinite([one.lag_s for one in windows]).all()


class Fleet:
    """An attached fleet of boxes, and what it reported: machine, phase, and whether it stopped."""

    def __init__(self, playback: Playback, *boxes: Box) -> None:
        self.reported: list[tuple[Observed, WindowPrediction | None, bool]] = []
        self.clock = FakeClock()
        self.watched = [box.watched() for box in boxes]
        for one in self.watched:
            one.open(self.clock.wall_ns(), self.clock.mono_ns())
        self.fleet = AttachedFleet(self.watched, playback, self.take, boxes[0].say, self.clock)

    def take(self, observed: Observed, window: WindowPrediction | None) -> None:
        self.reported.append((observed, window, observed.stopped))

    def windows(self, name: str) -> list[WindowPrediction]:
        return [one for seen, one, _ in self.reported if one is not None and seen.name == name]


def test_every_machine_of_a_fleet_is_judged_by_its_own_readings(playback: Playback) -> None:
    both = Fleet(playback, Box("web"), Box("mail"))
    pairs = zip(readings("web"), readings("mail", 7 * NS), strict=True)
    for reading in (one for pair in pairs for one in pair):
        both.fleet.receive(reading)
    key = headlined(playback.library).key
    web, mail = both.windows("web"), both.windows("mail")
    assert web and set(web[0].logits) == {key} and len(playback.library.ensemble.members) > 1
    assert [one.logits[key].tolist() for one in web] == [one.logits[key].tolist() for one in mail]
    assert [one.end_ns + 7 * NS for one in web] == [one.end_ns for one in mail]


def test_what_the_page_asks_of_a_machine_of_a_fleet_is_answered(playback: Playback) -> None:
    both = Fleet(playback, Box("web"), Box("mail"))
    for reading in readings("mail"):
        both.fleet.receive(reading)
    observed, *_ = both.reported[-1]
    queries, event = Queries(playback), observed.event()
    shown = queries.episode(event.episode_id)
    assert (shown.mode, shown.host, shown.profile) == ("live", "mail", "attached fake")
    windows = queries.windows(event.episode_id)
    assert [one.end_wall_ns for one in windows] == [one.end_ns for one in both.windows("mail")]
    assert list(windows[-1].models) == [event.model]
    why = queries.attribution(event.episode_id, windows[-1].index, str(event.model))
    assert why.channels and queries.samples(event.episode_id, windows[-1].index)


def test_after_a_gap_a_machine_of_a_fleet_keeps_its_level(playback: Playback) -> None:
    both = Fleet(playback, Box("web"), Box("mail"))
    events: list[Event] = [*readings("mail"), Gap("mail", 1, "away")]
    for event in [*events, *readings("mail", 900 * NS)]:
        both.fleet.receive(event)
    episodes = list(dict.fromkeys(seen.episode for seen, _, _ in both.reported))
    assert len(episodes) == 2 and list(playback.beside) == [episodes[1]]
    first, second = both.windows("mail")[0], both.windows("mail")[-1]
    assert second.level is first.level
    with pytest.raises(Refused, match="has no episode"):
        Queries(playback).episode(episodes[0])


def test_a_machine_that_is_over_is_stopped_and_the_others_go_on(playback: Playback) -> None:
    boxes = Box("web"), Box("mail")
    both = Fleet(playback, *boxes)
    boxes[1].opened[-1].followed = None
    both.fleet.run(1.0)
    assert {seen.name for seen, _, _ in both.reported} == {"web", "mail"}
    again = Fleet(playback, *boxes)
    again.fleet.receive(Reading("mail", "proc", ("proc.rss",), WALL, 5, [1.0]))
    boxes[1].opened[-1].followed = None
    boxes[1].stop()
    again.fleet.run(2.0)
    ends = [seen.name for seen, _, stopped in again.reported if stopped]
    assert ends == ["mail", "web"]


def test_models_of_which_none_is_loaded_are_refused(playback: Playback) -> None:
    refuse_unloaded(playback.library.ensemble)
    problem = Refused("m.ckpt.json", "is of another schema", "this one", "Choose.")
    with pytest.raises(Refused, match=r"m\.ckpt\.json: is of another schema"):
        refuse_unloaded(Ensemble(schema.vm46(), (), {"gbt.realistic": problem}))


def test_channels_that_the_model_lacks_are_said(playback: Playback) -> None:
    box = Box("web")
    watched = Watched(Target(kind="qemu", name="web", network="packets"), box.say, box.open)
    watched.open(WALL, 5)
    key = headlined(playback.library).key
    line = said_missing(playback.library.ensemble, watched, key)
    assert line == f"web: {key} reads 1 channel not measured here (qmp.vq_net_rx)"


def test_names_of_machines_become_addresses() -> None:
    watched = Box("web of 1/2 ü").watched()
    assert episode_of(watched, WALL).id.startswith("attached.web-of-1-2.2026")
    assert ID.fullmatch(episode_of(watched, WALL).id)
