"""What is happening, and who sees it? A stored episode at any speed, or a machine that runs now.

The server's clock is the only one: whoever plays, pauses or seeks moves it for all viewers.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from threading import Event as Signal
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from phasewatch.episode import Episode, Label, Samples
from phasewatch.errors import Refused
from phasewatch.live import ensemble, incidents, playback
from phasewatch.live.attribution import Why, why
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.incidents import Hysteresis, Incident, Sight
from phasewatch.live.machine import Machine, Scale, WindowPrediction
from phasewatch.live.playback import Stream
from phasewatch.schema import NS, Schema
from phasewatch.serve import events
from phasewatch.serve.events import Event, Nanoseconds, ProducerContext, Publish, Record
from phasewatch.store.format import Manifest
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_episode

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
TICK_S = 0.05
PAUSE_S = 6.0
"""How long an ended episode stays before the next of the list."""

REMEMBERED = 4
"""Whole episodes whose windows are kept for scrubbing."""

State = Literal["awaiting", "playing", "paused", "ended"]
Operation = Literal["play", "pause", "seek", "step", "speed", "loop", "load"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)


class SourceFacts(Record):
    """Whether a source spoke at all, at which rate, and how many rows."""

    source: str
    present: bool
    rate_hz: float | None
    rows: int


class Span(Record):
    """A phase and when it was, in seconds since the episode began."""

    label: str
    start_s: float
    end_s: float


class ModelFacts(Record):
    """One checkpoint: on the panel, or refused and why."""

    key: str
    model: str
    mode: str
    status: Literal["loaded", "refused"]
    reason: str | None
    schema_hash: str | None
    data_schema_hash: str
    temperature: float | None


class Transport(Record):
    """Where the clock stands. `revision` grows with every change."""

    state: State
    speed: float
    position_s: float
    loop_s: tuple[float, float] | None
    revision: int
    control: bool


class ChannelFacts(Record):
    """One channel of the stream, in the order of `z` and `present_ratio`."""

    name: str
    source: str
    unit: str
    deployed: bool
    meaning: str


class EpisodeLoaded(Event):
    """Which machine is watched, by which models, and where its clock stands."""

    kind = "episode"
    source = "replay"
    episode_id: str
    mode: Literal["replay", "live"]
    host: str
    profile: str
    sample: str
    campaign: str
    acceptance: Literal["accepted", "degraded", "rejected", "errored", "recording"]
    findings: list[str]
    start_wall_ns: Nanoseconds
    duration_s: float | None
    opening_s: float
    window_s: float
    stride_s: float
    n_windows: int | None
    labels: list[str]
    channels: list[ChannelFacts]
    sources: list[SourceFacts]
    phases: list[Span] | None
    split_recipe: str | None
    split_role: str | None
    models: list[ModelFacts]
    transport: Transport


class Call(Record):
    """What one model said of one window: its probabilities, and how long it took.

    They are calibrated where the `episode` event tells a temperature. `xy` is the window's place on
    the plane in which the model's training windows differ most, their mean at 0, 0.
    """

    p: list[float]
    label: str
    entropy_bits: float
    latency_s: float
    xy: tuple[float, float] | None


class Window(Event):
    """One judged window: truth when it is known, all calls, and how unusual each channel was."""

    kind = "window"
    source = "replay"
    keep: ClassVar[int] = 120
    episode_id: str
    index: int
    start_s: float
    end_s: float
    end_wall_ns: Nanoseconds
    truth: str | None
    models: dict[str, Call]
    z: list[float | None]
    present_ratio: list[float]
    missing: list[str]
    lag_s: float
    skipped_before: int


@dataclass
class Clock:
    """A replay's clock: seconds into the episode, at a speed, from any thread."""

    state: State = "paused"
    speed: float = 1.0
    loop_s: tuple[float, float] | None = None
    revision: int = 0
    _at_s: float = 0.0
    _since: float = field(default_factory=time.monotonic)

    def position_s(self, duration_s: float) -> float:
        """Where it stands, never beyond the end."""
        run = (time.monotonic() - self._since) * self.speed if self.state == "playing" else 0.0
        return min(self._at_s + run, duration_s)

    def put(self, position_s: float) -> None:
        """Move it."""
        self._at_s, self._since = position_s, time.monotonic()


@dataclass(frozen=True)
class Watched:
    """The machine under watch: who it is, what was judged, and what is known of the truth."""

    episode: Episode
    machine: Machine
    stream: Stream | None
    acceptance: str
    findings: tuple[str, ...]

    @property
    def live(self) -> bool:
        """Is it running now?"""
        return self.stream is None


class Producer(events.Producer):
    """Plays the given episodes one after the other, or shows a machine that runs now."""

    kinds: ClassVar[tuple[type[Event], ...]] = (EpisodeLoaded, Window)
    fill = "phasewatch serve --run RUN --store STORE"

    def __init__(self, given: ProducerContext, tell: Publish) -> None:
        super().__init__(given, tell)
        self.control = False
        self._lock = threading.RLock()
        self._clock = Clock()
        self._watched: Watched | None = None
        self._panel: Ensemble | None = None
        self._scale: Scale | None = None
        self._manifests: dict[str, Manifest] = {}
        self._place = 0
        self._ended_at = 0.0
        self._recorded = lru_cache(REMEMBERED)(self._replayed)
        given.counted.setdefault("latency_s", {})

    # ------------------------------------------------------------ the thread

    def work(self, stop: Signal) -> None:
        """Load what is given, then keep the clock's promises until `stop`."""
        self.open()
        if self.given.store is not None and self.given.episodes:
            self.load(self.given.episodes[0])
            self._clock.state = "playing"
            self._announce()
        while not stop.wait(TICK_S):
            with self._lock:
                self._advance()

    def open(self) -> None:
        """Load the panel and look what the store has, once. Raises Refused."""
        with self._lock:
            if self._panel is None:
                self._load_panel()

    def _load_panel(self) -> None:
        store, run = self.given.store, self.given.run
        if store is None:
            return
        self._panel = self.ensemble(store.schema)
        self._scale = Scale.of(self._panel)
        self.given.counted["deadline_s"] = store.schema.grid.stride_s
        for id in store.ids():
            try:
                self._manifests[id] = store.manifest(id)
            except (Refused, OSError):
                continue
        if run is not None and not self._panel.members and not self._panel.refused:
            folds = list(run.folds.values())
            remedy = "`phasewatch train` or `phasewatch run` makes one."
            if folds:
                remedy = f"It has a fold a host: watch with one of them, --run {folds[0].path}."
            raise Refused(run.path, "has no checkpoints", "a run folder with checkpoints/", remedy)

    def ensemble(self, schema: Schema) -> Ensemble:
        """The run's checkpoints for streams of `schema`; empty without a run."""
        run = self.given.run
        if run is None:
            return Ensemble(schema, ())
        return Ensemble.load(run, schema, self.given.trust)

    def _advance(self) -> None:
        watched = self._watched
        if watched is None or watched.stream is None:
            return
        if self._clock.state == "ended":
            self._next()
            return
        if self._clock.state != "playing":
            return
        episode = watched.episode
        position_s = self._clock.position_s(episode.seconds)
        loop = self._clock.loop_s
        if loop and position_s >= loop[1]:
            self._seek(loop[0])
            # Pages run their own clocks between two events: they must hear of the jump.
            self._announce()
            return
        now_ns = episode.start_ns + round(position_s * NS)
        watched.stream.upto(now_ns, watched.machine)
        if position_s >= episode.seconds:
            watched.machine.close(episode.end_ns)
        self._judge(now_ns)
        if position_s >= episode.seconds:
            self._clock.put(episode.seconds)
            self._clock.state = "ended"
            self._ended_at = time.monotonic()
            self._announce()

    def _next(self) -> None:
        """The next episode of the list, once the last has stood for a while."""
        ids = self.given.episodes
        if len(ids) < 2 or time.monotonic() - self._ended_at < PAUSE_S:
            return
        self._place = (self._place + 1) % len(ids)
        self.load(ids[self._place])
        self._clock.state = "playing"
        self._announce()

    def _judge(self, now_ns: int) -> None:
        watched = self._watched
        assert watched is not None
        judged = watched.machine.judge(now_ns)
        if judged is not None:
            self._count(watched.machine, judged)
            self.tell(self._window(watched.episode, judged, watched.live))

    def _count(self, machine: Machine, judged: WindowPrediction) -> None:
        counted = self.given.counted
        for key, seconds in judged.latency_s.items():
            counted["latency_s"].setdefault(key, deque(maxlen=1000)).append(seconds)
        whole = sum(judged.latency_s.values())
        counted.setdefault("window_s", deque(maxlen=1000)).append(whole)
        times = counted.setdefault("judged_at", deque(maxlen=20))
        times.append(time.monotonic())
        span = times[-1] - times[0]
        counted["windows_per_s"] = (len(times) - 1) / span if span > 0 else 0.0
        counted["windows_total"] = counted.get("windows_total", 0) + 1
        counted["windows_skipped"] = counted.get("windows_skipped", 0) + judged.skipped
        counted["samples_late"] = machine.late
        if whole > machine.ensemble.schema.grid.stride_s:
            counted["deadline_misses"] = counted.get("deadline_misses", 0) + 1

    # ------------------------------------------------------------ stored episodes

    def load(self, id: str) -> None:
        """Watch a stored episode from its beginning, paused. Raises Refused."""
        with self._lock:
            store, ensemble = self._needed()
            episode = self._read(id)
            verdict = validate_episode(store, id)
            machine = Machine(ensemble, episode.start_ns, self._past(episode))
            self._watched = Watched(
                episode,
                machine,
                Stream(episode),
                verdict.verdict,
                tuple(f"{one.code}: {one.reason}" for one in verdict.findings),
            )
            self._clock.state, self._clock.loop_s = "paused", None
            self._clock.put(0.0)
            self._announce()

    def _needed(self) -> tuple[Store, Ensemble]:
        if self.given.store is None or self._panel is None:
            remedy = "Give it --store STORE."
            raise Refused("serve", "has no store to play from", "an episode store", remedy)
        return self.given.store, self._panel

    def _read(self, id: str) -> Episode:
        store, _ = self._needed()
        if id not in self._manifests:
            remedy = "`phasewatch validate` lists them."
            raise Refused(store.root, f"has no episode {id!r}", "an episode of it", remedy)
        return store.read(id)

    def _past(self, episode: Episode) -> list[Any]:
        store, ensemble = self._needed()
        return playback.history(store, list(self._manifests.values()), episode, ensemble.opening_s)

    def _replayed(self, id: str) -> tuple[Episode, Machine]:
        _, ensemble = self._needed()
        episode = self._read(id)
        return episode, playback.replay(episode, ensemble, self._past(episode))

    def _seek(self, position_s: float) -> None:
        """Put the clock somewhere; the machine is rebuilt from its samples up to there."""
        watched = self._watched
        assert watched is not None and watched.stream is not None
        episode = watched.episode
        position_s = min(max(position_s, 0.0), episode.seconds)
        ensemble = watched.machine.ensemble
        machine, stream = Machine(ensemble, episode.start_ns, watched.machine.past), Stream(episode)
        now_ns = episode.start_ns + round(position_s * NS)
        stream.upto(now_ns, machine)
        self._watched = Watched(episode, machine, stream, watched.acceptance, watched.findings)
        self._clock.put(position_s)
        # What lies before the new place was jumped over, not missed.
        judged = machine.judge(now_ns)
        if judged is not None:
            self.tell(self._window(episode, judged, False))

    # ------------------------------------------------------------ control

    def operate(self, operation: str, value: Any, if_revision: int | None) -> int:
        """One turn of the transport; returns the new revision.

        Raises Refused, with code "stale" for an old revision.
        """
        turn = self._turn(operation, value)
        with self._lock:
            if if_revision is not None and if_revision != self._clock.revision:
                raise Refused(
                    "transport",
                    f"somebody else has moved it (revision {self._clock.revision})",
                    f"revision {if_revision}",
                    "Look again.",
                    code="stale",
                )
            turn()
            self._announce()
            return self._clock.revision

    def _turn(self, operation: str, value: Any) -> Callable[[], None]:
        watched = self._watched
        if operation == "load" and isinstance(value, str):
            return lambda: self._load_and_play(value)
        if watched is None or watched.stream is None:
            remedy = "Load a stored episode." if watched is None else "It runs at its own pace."
            raise Refused("transport", "has no replay to move", "a stored episode", remedy)
        number = float(value) if isinstance(value, int | float) else math.nan
        turns: dict[str, Callable[[], None]] = {
            "play": self._play,
            "pause": self._pause,
        }
        if math.isfinite(number):
            stride_s = watched.machine.ensemble.schema.grid.stride_s
            here = self._clock.position_s(watched.episode.seconds)
            turns |= {
                "seek": lambda: self._move(number),
                "step": lambda: self._move(here + number * stride_s),
            }
            if number in SPEEDS:
                turns["speed"] = lambda: self._speed(number)
        if value is None or _is_loop(value):
            turns["loop"] = lambda: self._loop(value)
        if operation not in turns:
            raise Refused(
                f"transport: {operation!r} with value {value!r}",
                "cannot be done",
                f"one of {', '.join(OPERATIONS)}; speeds {', '.join(map(str, SPEEDS))}",
                "Ask for one of these.",
            )
        return turns[operation]

    def _load_and_play(self, id: str) -> None:
        self.load(id)
        self._play()

    def _play(self) -> None:
        """From where it stands; from the beginning when it has ended."""
        assert self._watched is not None
        duration_s = self._watched.episode.seconds
        here = self._clock.position_s(duration_s)
        if here >= duration_s:
            self._seek(0.0)
            here = 0.0
        self._clock.put(here)
        self._clock.state = "playing"

    def _pause(self) -> None:
        assert self._watched is not None
        self._clock.put(self._clock.position_s(self._watched.episode.seconds))
        self._clock.state = "paused"

    def _move(self, position_s: float) -> None:
        self._seek(position_s)
        if self._clock.state == "ended":
            self._clock.state = "paused"

    def _speed(self, speed: float) -> None:
        assert self._watched is not None
        self._clock.put(self._clock.position_s(self._watched.episode.seconds))
        self._clock.speed = speed

    def _loop(self, value: Any) -> None:
        self._clock.loop_s = (float(value[0]), float(value[1])) if value else None

    # ------------------------------------------------------------ a machine that runs now

    def begin(self, episode: Episode) -> None:
        """Watch a machine that begins now: an episode without samples or end yet."""
        with self._lock:
            self.open()
            _, ensemble = self._needed()
            machine = Machine(ensemble, episode.start_ns, self._past(episode))
            self._watched = Watched(episode, machine, None, "recording", ())
            self._clock.state, self._clock.speed = "playing", 1.0
            self._clock.put((time.time_ns() - episode.start_ns) / NS)
            self._announce()

    def take(self, source: str, samples: Samples) -> None:
        """Samples of the running machine; judges what has become due."""
        with self._lock:
            assert self._watched is not None
            self._watched.machine.add(source, samples)
            self._judge(time.time_ns())

    def label(self, labels: tuple[Label, ...]) -> None:
        """What the running machine has been told to do so far."""
        with self._lock:
            assert self._watched is not None
            told = Episode(**{**vars(self._watched.episode), "labels": labels})
            rest = (self._watched.acceptance, self._watched.findings)
            self._watched = Watched(told, self._watched.machine, None, *rest)
            self._announce()

    def end(self, end_ns: int) -> None:
        """The running machine has ended."""
        with self._lock:
            assert self._watched is not None
            self._watched.machine.close(end_ns)
            self._judge(time.time_ns())
            self._clock.put((end_ns - self._watched.episode.start_ns) / NS)
            self._clock.state = "ended"
            self._announce()

    # ------------------------------------------------------------ questions

    def corpus(self) -> list[dict[str, Any]]:
        """Every episode that can be loaded."""
        recipe, roles = self._roles()
        return [
            {
                "episode_id": id,
                "host": one.host,
                "profile": one.profile,
                "duration_s": (one.end_ns - one.start_ns) / NS,
                "split_recipe": recipe,
                "split_role": roles.get(id),
            }
            for id, one in self._manifests.items()
        ]

    def facts(self, id: str) -> EpisodeLoaded:
        """What an `episode` event would tell of an episode of the store. Raises Refused."""
        if self._watched is not None and self._watched.episode.id == id:
            return self._loaded(self._watched)
        store, _ = self._needed()
        episode, machine = self._recorded(id)
        found = validate_episode(store, id)
        findings = tuple(f"{one.code}: {one.reason}" for one in found.findings)
        return self._loaded(Watched(episode, machine, Stream(episode), found.verdict, findings))

    def windows(self, id: str) -> list[Window]:
        """Every window of a stored episode, for scrubbing; of the one under watch while it runs."""
        episode, machine, running = self._of(id)
        return [self._window(episode, one, running) for one in machine.judged.values()]

    def why(self, id: str, index: int, key: str, label: str = "") -> Why:
        """What carried a model's call of one window, or its logit of `label`. Raises Refused."""
        _, machine, _ = self._of(id)
        member, classes = machine.ensemble.member(key), machine.ensemble.schema.classes
        grid = machine.ensemble.schema.grid
        judged = machine.judged.get(grid.steps + index * grid.stride)
        if judged is None:
            remedy = "Choose one that the page shows."
            raise Refused(f"{id}: window {index}", "was not judged", "a judged window", remedy)
        if label and label not in classes:
            remedy = "Choose one."
            raise Refused(f"label {label!r}", "is no phase", f"one of {', '.join(classes)}", remedy)
        called = classes.index(label) if label else int(judged.logits[key].argmax())
        return why(member, judged, called)

    def incidents(self, id: str, key: str) -> list[Incident]:
        """The incidents of an episode under one model, at its operating point. Raises Refused."""
        episode, machine, _ = self._of(id)
        member = machine.ensemble.member(key)
        threshold = self.given.run.thresholds.get(key) if self.given.run else None
        if threshold is None:
            raise Refused(
                f"model {key}",
                "has no operating point",
                "a threshold that met the alarm budget on validation hosts",
                "`phasewatch run` chooses one; where none met the budget, nothing is raised.",
            )
        classes = machine.ensemble.schema.classes
        sights = []
        for one in machine.judged.values():
            p = member.probabilities(one.logits[key])
            phase = classes[1 + int(p[1:].argmax())]
            sights.append(Sight(one.end_ns, float(1 - p[0]), phase))
        rule = Hysteresis.at(threshold)
        return incidents.incidents(sights, rule, episode.id, episode.host, key)

    def current(self) -> str:
        """The id of the episode under watch; raises Refused when there is none."""
        if self._watched is None:
            raise Refused("serve", "watches nothing yet", "an episode", "Load one.")
        return self._watched.episode.id

    def _of(self, id: str) -> tuple[Episode, Machine, bool]:
        watched = self._watched
        if watched is not None and watched.live and watched.episode.id == id:
            return watched.episode, watched.machine, True
        episode, machine = self._recorded(id)
        return episode, machine, False

    # ------------------------------------------------------------ events

    def _announce(self) -> None:
        self._clock.revision += 1
        if self._watched is not None:
            self.tell(self._loaded(self._watched))

    def _loaded(self, watched: Watched) -> EpisodeLoaded:
        episode, ensemble = watched.episode, watched.machine.ensemble
        grid = ensemble.schema.grid
        steps = (episode.end_ns - episode.start_ns) // grid.step_ns
        first = ensemble.opening_s // grid.step_s + 1
        asked = range(grid.steps, steps + 1, grid.stride)
        recipe, roles = self._roles()
        seconds = math.inf if watched.live else episode.seconds
        return EpisodeLoaded(
            episode_id=episode.id,
            mode="live" if watched.live else "replay",
            host=episode.host,
            profile=episode.profile,
            sample=episode.sample,
            campaign=episode.campaign,
            acceptance=watched.acceptance,  # type: ignore[arg-type]
            findings=list(watched.findings),
            start_wall_ns=episode.start_ns,
            duration_s=None if watched.live else episode.seconds,
            opening_s=ensemble.opening_s,
            window_s=grid.window_s,
            stride_s=grid.stride_s,
            n_windows=None if watched.live else sum(end >= first for end in asked),
            labels=list(ensemble.schema.classes),
            channels=[
                ChannelFacts(
                    name=one.name,
                    source=one.source,
                    unit=one.unit,
                    deployed=one.deployed,
                    meaning=one.meaning,
                )
                for one in ensemble.schema.channels
            ],
            sources=[_source(name, episode.sources.get(name)) for name in ensemble.schema.sources],
            phases=_phases(episode, watched.live),
            split_recipe=recipe,
            split_role=roles.get(episode.id, "none") if recipe else None,
            models=self._models(ensemble),
            transport=Transport(
                state=self._clock.state,
                speed=self._clock.speed,
                position_s=self._clock.position_s(seconds),
                loop_s=self._clock.loop_s,
                revision=self._clock.revision,
                control=self.control,
            ),
        )

    def _models(self, ensemble: Ensemble) -> list[ModelFacts]:
        data = ensemble.schema.fingerprint
        found = [
            ModelFacts(
                key=member.key,
                model=member.checkpoint.model_name,
                mode=member.checkpoint.mode,
                status="loaded",
                reason=None,
                schema_hash=member.checkpoint.schema.fingerprint,
                data_schema_hash=ensemble.schema.mode(member.checkpoint.mode).fingerprint,
                temperature=member.temperature,
            )
            for member in ensemble.members
        ]
        found += [
            ModelFacts(
                key=key,
                model=key.partition(".")[0],
                mode=key.partition(".")[2],
                status="refused",
                reason=str(problem),
                schema_hash=None,
                data_schema_hash=data,
                temperature=None,
            )
            for key, problem in ensemble.refused.items()
        ]
        return found

    def _roles(self) -> tuple[str | None, dict[str, str]]:
        """The split of the run, and each episode's part of it."""
        if self._panel is None or not self._panel.members:
            return None, {}
        split = self._panel.members[0].checkpoint.split
        roles = {
            str(id): part
            for part in ("train", "validation", "seen", "test")
            for id in split.get(part, ())
        }
        return f"{split['recipe']} {split['held_out']}", roles

    def _window(self, episode: Episode, judged: WindowPrediction, running: bool) -> Window:
        assert self._panel is not None
        schema = self._panel.schema
        grid = schema.grid
        z = self._scale.z(judged.x, judged.level) if self._scale else np.full(len(judged.x), np.nan)
        return Window(
            episode_id=episode.id,
            index=(judged.end - grid.steps) // grid.stride,
            start_s=judged.end * grid.step_s - grid.window_s,
            end_s=judged.end * grid.step_s,
            end_wall_ns=judged.end_ns,
            truth=_truth(episode, judged.end_ns),
            models={
                member.key: _call(member, judged, schema.classes) for member in self._panel.members
            },
            z=[round(float(one), 3) if np.isfinite(one) else None for one in z],
            present_ratio=[round(float(one), 3) for one in judged.present],
            missing=list(judged.missing),
            lag_s=judged.lag_s if running else max(sum(judged.latency_s.values()), 0.0),
            skipped_before=judged.skipped,
        )


def _call(member: ensemble.Member, judged: WindowPrediction, classes: tuple[str, ...]) -> Call:
    p = member.probabilities(judged.logits[member.key])
    entropy = float(-(p * np.log2(np.maximum(p, 1e-300))).sum())
    place = judged.places.get(member.key)
    return Call(
        p=[round(float(one), 5) for one in p],
        label=classes[int(p.argmax())],
        entropy_bits=round(max(entropy, 0.0), 4),
        latency_s=round(judged.latency_s[member.key], 6),
        xy=None if place is None else (round(float(place[0]), 3), round(float(place[1]), 3)),
    )


def _truth(episode: Episode, t_ns: int) -> str | None:
    """The phase at a window's end, as in training: one that begins right then does not count."""
    before = [label.phase for label in episode.labels if label.t_wall_ns < t_ns]
    return before[-1] if before else None


def _phases(episode: Episode, running: bool) -> list[Span] | None:
    if not episode.labels:
        return None
    end_ns = max(episode.end_ns, episode.labels[-1].t_wall_ns)
    times = [label.t_wall_ns for label in episode.labels] + [end_ns]
    return [
        Span(
            label=label.phase,
            start_s=(begin - episode.start_ns) / NS,
            end_s=(end - episode.start_ns) / NS,
        )
        for label, (begin, end) in zip(episode.labels, pairwise(times), strict=True)
    ]


def _source(name: str, samples: Samples | None) -> SourceFacts:
    if samples is None or not len(samples):
        return SourceFacts(source=name, present=False, rate_hz=None, rows=0)
    return SourceFacts(source=name, present=True, rate_hz=samples.rate_hz, rows=len(samples))


def _is_loop(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(one, int | float) and math.isfinite(one) for one in value)
        and 0 <= value[0] < value[1]
    )
