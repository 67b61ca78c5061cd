"""The machine under watch: a stored episode under a clock, or a machine that runs now.

The server's clock is the only one: one viewer's play, pause or seek moves it for all viewers.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from phasewatch.episode import Episode, Label, Samples
from phasewatch.errors import Refused
from phasewatch.live.machine import Machine, WindowPrediction
from phasewatch.live.playback import SampleStream
from phasewatch.schema import NS
from phasewatch.serve.events import ProducerContext, Publish
from phasewatch.serve.replay.clock import Clock, refuse_invalid
from phasewatch.serve.replay.describe import Watched, episode_event, window_event
from phasewatch.serve.replay.library import Library
from phasewatch.serve.replay.records import EpisodeLoaded
from phasewatch.validation.sweep import validate_episode

PAUSE_S = 6.0
"""How long an ended episode stays before the next of the list."""


class Playback:
    """Plays stored episodes and shows a running machine; every method may be called by any thread.

    `control` is whether viewers may move the clock, which the episode event reports.
    """

    def __init__(self, context: ProducerContext, publish: Publish) -> None:
        self.context = context
        self.publish = publish
        self.clock = Clock()
        self.control = False
        self.watched: Watched | None = None
        self.progress = ""
        """What is waited for while nothing is watched: models that load, a guest that boots."""
        self.beside: dict[str, Watched] = {}
        """Machines that run now beside the one under watch, by the id of their episode."""
        self._library: Library | None = None
        self._lock = threading.RLock()
        self._place = 0
        self._ended_at = 0.0
        self._late = 0

    @property
    def library(self) -> Library:
        """The store and the ensemble, opened when first needed. Raises Refused."""
        return self._library or self.open()

    def open(self) -> Library:
        """Open store and checkpoints, once. Raises Refused."""
        with self._lock:
            if self._library is None:
                self.progress = "loading the models"
                self._library = Library(self.context)
                self.progress = ""
                self.context.counters.deadline_s = self._library.store.schema.grid.stride_s
            return self._library

    # ------------------------------------------------------------ stored episodes

    def load(self, id: str) -> None:
        """Watch a stored episode from its beginning, paused. Raises Refused."""
        with self._lock:
            library = self.library
            episode = library.read(id)
            machine = library.machine(episode)
            self._watch(validated(library, episode, machine))
            self.clock.state, self.clock.loop_s = "paused", None
            self.clock.put(0.0)
            self._announce()

    def play(self, id: str) -> None:
        """Watch a stored episode from its beginning, playing. Raises Refused."""
        with self._lock:
            self.load(id)
            self.clock.state = "playing"
            self._announce()

    def advance(self) -> None:
        """Predict what is due at the clock's position; at the end, go on to the next episode."""
        with self._lock:
            if self.watched is None or self.watched.stream is None:
                return
            if self.clock.state == "ended":
                self._next()
            elif self.clock.state == "playing":
                self._advance(self.watched, self.watched.stream)

    def _advance(self, watched: Watched, stream: SampleStream) -> None:
        episode, loop = watched.episode, self.clock.loop_s
        position_s = self.clock.position_s(episode.seconds)
        if loop and position_s >= loop[1]:
            self._seek(loop[0])
            # Pages run their own clocks between two events: they must be sent the jump.
            self._announce()
            return
        now_ns = episode.start_ns + round(position_s * NS)
        stream.advance(now_ns, watched.machine)
        if position_s >= episode.seconds:
            watched.machine.close(episode.end_ns)
        self._predict(now_ns)
        if position_s >= episode.seconds:
            self.clock.put(episode.seconds)
            self.clock.state = "ended"
            self._ended_at = time.monotonic()
            self._announce()

    def _next(self) -> None:
        """Play the next episode of the list, once the last has stood for `PAUSE_S`."""
        ids = self.context.episodes
        if len(ids) < 2 or time.monotonic() - self._ended_at < PAUSE_S:
            return
        self._place = (self._place + 1) % len(ids)
        self.play(ids[self._place])

    def _seek(self, position_s: float) -> None:
        """Put the clock somewhere; the machine is rebuilt from its samples up to there."""
        watched = self._stored()
        episode, ensemble = watched.episode, watched.machine.ensemble
        position_s = min(max(position_s, 0.0), episode.seconds)
        machine = Machine(
            ensemble, episode.start_ns, watched.machine.past, watched.machine.stretches
        )
        stream = SampleStream(episode)
        now_ns = episode.start_ns + round(position_s * NS)
        stream.advance(now_ns, machine)
        self._watch(replace(watched, machine=machine, stream=stream))
        self.clock.put(position_s)
        # Windows before the new position were jumped over, not missed: they are not counted.
        window = machine.predict(now_ns)
        if window is not None:
            self.publish(window_event(self.library, episode, window, False))

    def _stored(self) -> Watched:
        watched = self.watched
        if watched is None or watched.stream is None:
            remedy = "Load a stored episode." if watched is None else "It runs at its own pace."
            raise Refused("transport", "has no replay to move", "a stored episode", remedy)
        return watched

    # ------------------------------------------------------------ control

    def operate(self, operation: str, value: Any, if_revision: int | None) -> int:
        """Do one operation of the transport and return the new revision.

        Raises Refused for an operation that cannot be done, with code "stale" when `if_revision` is
        not the clock's.
        """
        with self._lock:
            if operation != "load":
                self._stored()
            refuse_invalid(operation, value)
            self.clock.refuse_stale(if_revision)
            operations: dict[str, Callable[[], None]] = {
                "play": self._play,
                "pause": self._pause,
                "seek": lambda: self._move(value),
                "step": lambda: self._step(value),
                "speed": lambda: self._speed(value),
                "loop": lambda: self._loop(value),
                "load": lambda: self._load_and_play(value),
            }
            operations[operation]()
            self._announce()
            return self.clock.revision

    def _load_and_play(self, id: str) -> None:
        self.load(id)
        self._play()

    def _play(self) -> None:
        """Play from the present position; from the beginning when the episode has ended."""
        duration_s = self._stored().episode.seconds
        here_s = self.clock.position_s(duration_s)
        if here_s >= duration_s:
            self._seek(0.0)
            here_s = 0.0
        self.clock.put(here_s)
        self.clock.state = "playing"

    def _pause(self) -> None:
        self.clock.hold(self._stored().episode.seconds)
        self.clock.state = "paused"

    def _move(self, position_s: float) -> None:
        self._seek(position_s)
        if self.clock.state == "ended":
            self.clock.state = "paused"

    def _step(self, windows: float) -> None:
        watched = self._stored()
        stride_s = watched.machine.ensemble.schema.grid.stride_s
        self._move(self.clock.position_s(watched.episode.seconds) + windows * stride_s)

    def _speed(self, speed: float) -> None:
        self.clock.hold(self._stored().episode.seconds)
        self.clock.speed = float(speed)

    def _loop(self, value: Any) -> None:
        self.clock.loop_s = (float(value[0]), float(value[1])) if value else None

    # ------------------------------------------------------------ a machine that runs now

    def begin(self, episode: Episode, after: Machine | None = None) -> None:
        """Watch a machine that begins now: an episode without samples or end yet.

        `after` is the same machine before a gap: its level and its incidents stay.
        """
        with self._lock:
            library = self.library
            machine = after.after_gap(episode.start_ns) if after else library.machine(episode)
            self._watch(Watched(episode, machine, None, "recording", ()))
            self.clock.state, self.clock.speed = "playing", 1.0
            self.clock.put((time.time_ns() - episode.start_ns) / NS)
            self._announce()

    def add(self, source: str, samples: Samples) -> None:
        """Add samples of the running machine and predict the window that has become due."""
        with self._lock:
            self._running().machine.add(source, samples)
            self._predict(time.time_ns())

    def label(self, labels: tuple[Label, ...]) -> None:
        """Replace the labels of the running machine by those that are known so far."""
        with self._lock:
            watched = self._running()
            self.watched = replace(watched, episode=replace(watched.episode, labels=labels))
            self._announce()

    def end(self, end_ns: int) -> None:
        """End the running machine and predict its last window."""
        with self._lock:
            watched = self._running()
            watched.machine.close(end_ns)
            self._predict(time.time_ns())
            self.clock.put((end_ns - watched.episode.start_ns) / NS)
            self.clock.state = "ended"
            self._announce()

    def _running(self) -> Watched:
        assert self.watched is not None
        return self.watched

    def running(self, id: str) -> Watched | None:
        """Return the machine that runs now in the episode of an id; None where there is none."""
        watched = self.watched
        if watched is not None and watched.live and watched.episode.id == id:
            return watched
        return self.beside.get(id)

    # ------------------------------------------------------------ events

    def look(self, after: int) -> tuple[Watched | None, list[WindowPrediction], bool]:
        """Return what is watched, its windows that end after step `after`, and whether it ended."""
        with self._lock:
            if self.watched is None:
                return None, [], False
            windows = [one for end, one in self.watched.machine.predictions.items() if end > after]
            return self.watched, windows, self.clock.state == "ended"

    def _watch(self, watched: Watched) -> None:
        self.watched, self._late = watched, 0

    def _predict(self, now_ns: int) -> None:
        watched = self._running()
        window = watched.machine.predict(now_ns)
        if window is not None:
            counters = self.context.counters
            counters.window(window.latency_s, window.skipped)
            counters.samples_late.inc(watched.machine.late - self._late)
            self._late = watched.machine.late
            self.publish(window_event(self.library, watched.episode, window, watched.live))

    def _announce(self) -> None:
        self.clock.revision += 1
        if self.watched is not None:
            self.publish(self.event(self.watched))

    def event(self, watched: Watched) -> EpisodeLoaded:
        """Return the episode event of a watched machine, with the clock as it stands."""
        clock = self.clock
        if watched.episode.id in self.beside:
            clock = Clock()
            clock.state = "playing"
            clock.put((time.time_ns() - watched.episode.start_ns) / NS)
        return episode_event(self.library, watched, clock, self.control)


def validated(library: Library, episode: Episode, machine: Machine) -> Watched:
    """Return a stored episode as a watched machine, with its verdict and the reasons for it."""
    result = validate_episode(library.store, episode.id)
    findings = tuple(f"{one.code}: {one.reason}" for one in result.findings)
    return Watched(episode, machine, SampleStream(episode), result.verdict, findings)
