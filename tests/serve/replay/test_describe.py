"""Events of a watched machine: windows as in training, and null where nothing is known."""

from dataclasses import replace
from pathlib import Path

import pytest

from phasewatch import windowing
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.replay.clock import Clock
from phasewatch.serve.replay.describe import Watched, episode_event, window_event
from phasewatch.serve.replay.library import Library
from phasewatch.serve.replay.playback import validated
from phasewatch.store.local import Store


@pytest.fixture(scope="module")
def library(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Library:
    return Library(ProducerContext(Run(toy_out), toy_store))


@pytest.fixture(scope="module")
def watched(library: Library, toy_store: Store) -> Watched:
    return validated(library, *library.replayed(toy_store.ids()[0]))


def test_truth_and_times_are_those_of_training(library: Library, watched: Watched) -> None:
    offline = windowing.cut_windows(
        watched.episode, library.store.schema, library.ensemble.opening_s
    )
    predictions = list(watched.machine.predictions.values())
    events = [window_event(library, watched.episode, one, False) for one in predictions]
    assert [one.end_wall_ns for one in events] == offline.t_ns.tolist()
    truth = [library.store.schema.classes[row] for row in offline.y]
    assert [one.truth for one in events] == truth
    for event, prediction in zip(events, predictions, strict=True):
        assert event.end_s - event.start_s == library.store.schema.grid.window_s
        assert event.lag_s == sum(prediction.latency_s.values())
        for key, call in event.models.items():
            assert abs(sum(call.p) - 1) < 1e-3
            place = int(prediction.logits[key].argmax())
            assert call.label == library.store.schema.classes[place]


def test_an_episode_is_described_with_its_verdict_and_models(
    library: Library, watched: Watched
) -> None:
    event = episode_event(library, watched, Clock(), control=True)
    assert (event.mode, event.acceptance) == ("replay", "accepted")
    assert event.n_windows == len(watched.machine.predictions)
    assert {one.key for one in event.models} == {one.key for one in library.ensemble.members}
    assert event.transport.control and event.duration_s == watched.episode.seconds
    assert [one.name for one in event.channels] == list(library.store.schema.names)


def test_a_running_machine_has_no_length_yet(library: Library, watched: Watched) -> None:
    event = episode_event(library, replace(watched, stream=None), Clock(), control=False)
    assert event.mode == "live"
    assert (event.duration_s, event.n_windows) == (None, None)


def test_without_labels_the_truth_is_null(library: Library, watched: Watched) -> None:
    blind = replace(watched.episode, labels=())
    prediction = next(iter(watched.machine.predictions.values()))
    assert window_event(library, blind, prediction, False).truth is None
    event = episode_event(library, replace(watched, episode=blind), Clock(), False)
    assert event.phases is None


def test_a_source_without_a_sample_is_absent(library: Library, watched: Watched) -> None:
    rest = {name: one for name, one in watched.episode.sources.items() if name != "netflow"}
    event = episode_event(
        library, replace(watched, episode=replace(watched.episode, sources=rest)), Clock(), False
    )
    present = {one.source: (one.present, one.rows > 0) for one in event.sources}
    assert present.pop("netflow") == (False, False)
    assert set(present.values()) == {(True, True)}
