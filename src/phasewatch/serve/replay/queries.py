"""What the page queries about an episode: its facts, windows, attributions and incidents."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from phasewatch.episode import Episode, Samples
from phasewatch.errors import Refused
from phasewatch.live.attribution import Attribution, attribute
from phasewatch.live.incidents import Incident, machine_incidents
from phasewatch.live.machine import Machine, WindowPrediction
from phasewatch.live.playback import manifests
from phasewatch.schema import NS
from phasewatch.serve.evaluated import CellWindow, Errors, Evaluated
from phasewatch.serve.replay.describe import window_event
from phasewatch.serve.replay.library import Progress
from phasewatch.serve.replay.playback import Playback, validated
from phasewatch.serve.replay.records import EpisodeLoaded, Window


@dataclass(frozen=True)
class Level:
    """A channel's mean in a window and the machine's baseline, in its unit; None if unknown."""

    name: str
    value: float | None
    baseline: float | None


@dataclass(frozen=True)
class SourceSamples:
    """Samples of one source: rows of seconds since the episode began, then each named value."""

    source: str
    names: tuple[str, ...]
    rows: list[list[float | None]]


class Queries:
    """Serves queries about the machine under watch and about every stored episode."""

    def __init__(self, playback: Playback) -> None:
        self._playback = playback

    def corpus(self) -> list[dict[str, Any]]:
        """Return every episode that can be loaded; none without a store."""
        store = self._playback.context.store
        if store is None:
            return []
        try:
            library = self._playback.library
            known, (recipe, roles) = library.manifests, library.split()
        except Refused:
            # Without models to watch with, what the store holds can still be listed.
            known, recipe, roles = manifests(store), None, {}
        verdicts, errors = self._verdicts(), self._errors()
        return [
            {
                "episode_id": id,
                "host": one.host,
                "profile": one.profile,
                "campaign": one.campaign,
                "duration_s": (one.end_ns - one.start_ns) / NS,
                "phases": list(dict.fromkeys(label for _, label in one.labels)),
                "acceptance": verdicts.get(id),
                "split_recipe": recipe,
                "split_role": roles.get(id),
                "errors": asdict(errors[id]) if id in errors else None,
            }
            for id, one in known.items()
        ]

    def _verdicts(self) -> dict[str, str]:
        """Return the verdict on each episode that the run's acceptance index has."""
        run = self._playback.context.run
        if run is None or not run.index_path.exists():
            return {}
        return {one.id: one.verdict for one in run.validation}

    def _errors(self) -> dict[str, Errors]:
        """Return how often the chosen model is wrong in each held-out episode."""
        run = self._playback.context.run
        chosen = run.chosen if run is not None else {}
        return Evaluated(run).errors(next(iter(chosen.values()))) if run and chosen else {}

    def cell(self, key: str, truth: str, predicted: str) -> list[CellWindow]:
        """Return the held-out windows in a cell of a model's confusion matrix. Raises Refused."""
        run = self._playback.context.run
        if run is None:
            raise Refused("serve", "has no run", "the folder of a run", "Give it --run RUN.")
        known = self._playback.library.manifests
        starts = {id: one.start_ns for id, one in known.items()}
        return Evaluated(run).cell(key, truth, predicted, starts)

    def progress(self, id: str) -> Progress:
        """Return how far the windows of a stored episode are predicted. Raises Refused."""
        return self._playback.library.progress(id)

    def current(self) -> str:
        """Return the id of the episode under watch; raises Refused when there is none."""
        watched = self._playback.watched
        if watched is None:
            raise Refused("serve", "watches nothing yet", "an episode", "Load one.")
        return watched.episode.id

    def episode(self, id: str) -> EpisodeLoaded:
        """Return what the episode event of an episode is. Raises Refused."""
        watched = self._playback.watched
        if watched is None or watched.episode.id != id:
            watched = self._playback.running(id)
        if watched is not None:
            return self._playback.event(watched)
        library = self._playback.library
        episode = library.read(id)
        machine = Machine(library.ensemble, episode.start_ns)
        return self._playback.event(validated(library, episode, machine))

    def windows(self, id: str) -> list[Window]:
        """Return every window of a stored episode, or those that a running machine still holds."""
        episode, machine, live = self._machine(id)
        windows = list(machine.predictions.values())
        return [window_event(self._playback.library, episode, one, live) for one in windows]

    def attribution(self, id: str, index: int, key: str, label: str = "") -> Attribution:
        """Return what contributed to a model's predicted phase, or to `label`, in one window.

        Raises Refused for a window, a model or a label that is not there.
        """
        _, machine, _ = self._machine(id)
        member, classes = machine.ensemble.member(key), machine.ensemble.schema.classes
        window = _window(machine, id, index)
        if label and label not in classes:
            remedy = "Choose one."
            raise Refused(f"label {label!r}", "is no phase", f"one of {', '.join(classes)}", remedy)
        place = classes.index(label) if label else int(window.logits[key].argmax())
        return attribute(member, window, place)

    def levels(self, id: str, index: int) -> list[Level]:
        """Return each channel's mean in a window, and the machine's baseline. Raises Refused."""
        _, machine, _ = self._machine(id)
        window = _window(machine, id, index)
        known = np.isfinite(window.x)
        total = np.where(known, window.x, 0.0).sum(axis=1, dtype=np.float64)
        mean = total / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
        # The inverse of `windowing.signed_log`.
        baseline = np.sign(window.level) * np.expm1(np.abs(window.level.astype(np.float64)))
        return [
            Level(channel.name, _rounded(value), _rounded(usual))
            for channel, value, usual in zip(
                machine.ensemble.schema.channels, mean, baseline, strict=True
            )
        ]

    def samples(self, id: str, index: int) -> list[SourceSamples]:
        """Return the samples of a window as they were recorded, by source. Raises Refused.

        Those of a machine that runs now are what it still holds of the window.
        """
        episode, machine, live = self._machine(id)
        window, grid = _window(machine, id, index), machine.ensemble.schema.grid
        begin_ns = window.end_ns - round(grid.window_s * NS)
        sources = machine.buffer.sources if live else episode.sources
        return [
            _source_samples(name, samples, (begin_ns, window.end_ns), episode.start_ns)
            for name, samples in sources.items()
        ]

    def incidents(self, id: str, key: str) -> list[Incident]:
        """Return an episode's incidents under one model, at its operating point. Raises Refused."""
        episode, machine, _ = self._machine(id)
        run = self._playback.context.run
        threshold = run.thresholds.get(key) if run else None
        return machine_incidents(machine, episode.id, episode.host, key, threshold)

    def _machine(self, id: str) -> tuple[Episode, Machine, bool]:
        running = self._playback.running(id)
        if running is not None:
            return running.episode, running.machine, True
        return *self._playback.library.replayed(id), False


def _window(machine: Machine, id: str, index: int) -> WindowPrediction:
    """Return a predicted window of a machine. Raises Refused for one that is not there."""
    grid = machine.ensemble.schema.grid
    window = machine.predictions.get(grid.steps + index * grid.stride)
    if window is None:
        remedy = "Choose one that the page shows."
        raise Refused(f"{id}: window {index}", "was not predicted", "a known window", remedy)
    return window


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _source_samples(
    name: str, samples: Samples, span_ns: tuple[int, int], start_ns: int
) -> SourceSamples:
    times = samples.t_wall_ns
    rows = np.flatnonzero((times > span_ns[0]) & (times <= span_ns[1]))
    return SourceSamples(
        name,
        tuple(samples.names),
        [
            [round((int(times[row]) - start_ns) / NS, 3), *map(_rounded, samples.values[row])]
            for row in rows
        ],
    )
