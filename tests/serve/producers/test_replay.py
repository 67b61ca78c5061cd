"""The producer plays what it is given, and opens nothing where there is no store."""

import threading
from pathlib import Path

import pytest
from tests.served import until

from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.serve.events import Event, ProducerContext
from phasewatch.serve.producers.replay import Producer
from phasewatch.serve.replay.records import EpisodeLoaded
from phasewatch.store.local import Store


def test_the_producer_plays_the_first_episode_until_it_is_stopped(
    toy_run: RunResult, toy_out: Path, toy_store: Store
) -> None:
    published: list[Event] = []
    ids = tuple(toy_store.ids()[:2])
    producer = Producer(ProducerContext(Run(toy_out), toy_store, ids), published.append)
    stop = threading.Event()
    thread = threading.Thread(target=producer.work, args=(stop,))
    thread.start()
    try:
        until(lambda: len(published) >= 2)
        producer.playback.operate("speed", 64, None)
        until(lambda: any(one.kind == "window" for one in published))
    finally:
        stop.set()
        thread.join()
    episodes = [one for one in published if isinstance(one, EpisodeLoaded)]
    assert [one.transport.state for one in episodes[:2]] == ["paused", "playing"]
    assert {one.episode_id for one in episodes} == {ids[0]}


def test_a_run_without_checkpoints_is_refused(tmp_path: Path, toy_store: Store) -> None:
    producer = Producer(ProducerContext(Run(tmp_path), toy_store), lambda event: None)
    with pytest.raises(Refused, match="has no checkpoints"):
        producer.work(threading.Event())


def test_without_a_store_nothing_is_published() -> None:
    published: list[Event] = []
    stop = threading.Event()
    stop.set()
    Producer(ProducerContext(None, None), published.append).work(stop)
    assert published == []
