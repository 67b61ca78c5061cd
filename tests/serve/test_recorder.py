"""A recording is shown from its first label on, and loses no sample."""

from pathlib import Path
from typing import Any

import pytest
from tests import toy

from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.lab.recording import Take
from phasewatch.serve import recorder
from phasewatch.serve.recorder import LiveRecording
from phasewatch.store.local import Store


class RecordedCalls:
    """A stand-in for a playback that records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.calls.append((name, values))


def recording(store: Store, playback: RecordedCalls, log: list[str]) -> LiveRecording:
    take = Take.of("scan-and-dial", "pc-small", "1")
    return LiveRecording(take, store, Path(), playback, log.append)  # type: ignore[arg-type]


def test_a_recording_begins_with_the_first_label_and_loses_no_sample(toy_store: Store) -> None:
    episode, playback = toy.episode(), RecordedCalls()
    live = recording(toy_store, playback, [])
    live.receive("qmp", episode.sources["qmp"])
    assert playback.calls == []
    live.receive("labels", episode.labels[:1])
    live.receive("proc", episode.sources["proc"])
    assert [name for name, _ in playback.calls] == ["begin", "add", "label", "add"]
    begun: Episode = playback.calls[0][1][0]
    assert (begun.start_ns, begun.sources) == (episode.labels[0].t_wall_ns, {})
    assert playback.calls[1][1] == ("qmp", episode.sources["qmp"])
    assert playback.calls[3][1] == ("proc", episode.sources["proc"])


class Recorded:
    """Stands for a recording that is done at once; `id` None is one that is refused at its end."""

    def __init__(self, id: str | None) -> None:
        self.id, self.closed = id, False

    def done(self, seconds: float) -> bool:
        return True

    def result(self) -> str:
        if self.id is None:
            raise Refused("pc-small", "did not boot", "a guest", "Look at its log.")
        return self.id

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("refused", [False, True])
def test_a_recording_ends_with_the_published_episode_or_logs_why_not(
    toy_store: Store, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    id, playback, log = toy_store.ids()[0], RecordedCalls(), list[str]()
    recorded = Recorded(None if refused else id)
    monkeypatch.setattr(recorder, "Recording", lambda *values: recorded)
    recording(toy_store, playback, log).run()
    assert recorded.closed
    if refused:
        assert playback.calls == [] and "did not boot" in log[0]
    else:
        assert playback.calls == [("end", (toy_store.manifest(id).end_ns,))] and log == []


def test_a_recording_that_cannot_begin_is_logged(
    toy_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*values: object) -> None:
        raise Refused("qemu", "is not installed", "QEMU", "Install it.")

    playback, log = RecordedCalls(), list[str]()
    monkeypatch.setattr(recorder, "Recording", refuse)
    recording(toy_store, playback, log).run()
    assert playback.calls == [] and "qemu: is not installed" in log[0]
