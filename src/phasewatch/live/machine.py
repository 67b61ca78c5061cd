"""A machine while it runs: samples in, one predicted window every stride, bounded memory.

A window is computed by the function that computes it in training, from a buffer as short as that
function allows, so live and offline windows have the same bits. The watermark: a window is
predicted as soon as every recently heard source has a sample past its end, or `buffer.GRACE_S`
after it, with what is there; sources without a value are listed. A machine that cannot keep up
skips to the newest window and counts what it skipped.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasewatch.episode import Samples
from phasewatch.features.views import STATISTICS, Array
from phasewatch.live.buffer import Buffer, first_end, missing
from phasewatch.live.ensemble import Ensemble
from phasewatch.live.incident_log import IncidentLog
from phasewatch.schema import NS
from phasewatch.windowing import median_opening, opening_level, past_at, signed_log, window_at

KEPT_WINDOWS = 720
"""Predicted windows that stay in memory for queries: an hour at a stride of 5 s."""


@dataclass(frozen=True)
class WindowPrediction:
    """One window `x[C,T]`, its `past[C,B]`, and each member's `logits[K]` by its key.

    `level[C]` is that of the machine. `end` counts grid steps since the origin; `places[2]` are
    coordinates on the projection of a member's training windows, where its checkpoint has one;
    `latency_s` are seconds per member; `missing` are sources without a value in the window;
    `skipped` counts the windows passed over just before it; `lag_s` is the time from its end to the
    prediction.
    """

    end: int
    end_ns: int
    x: NDArray[np.float32]
    past: NDArray[np.float32]
    level: NDArray[np.float32]
    logits: Mapping[str, Array]
    places: Mapping[str, Array]
    latency_s: Mapping[str, float]
    missing: tuple[str, ...]
    lag_s: float
    skipped: int = 0

    @property
    def present(self) -> Array:
        """The share of the grid steps in which each channel was measured, `[C]`, 0 to 1."""
        return np.asarray(np.isfinite(self.x).mean(axis=1))


class Machine:
    """One machine whose windows an ensemble predicts while they are recorded.

    `origin_ns` is where its grid begins. `past` are its earlier openings `[C]`, oldest first, and
    `stretches` other benign levels `[M,C]` of it, over which its level is pooled; without them the
    level is that of its own opening. `predictions` are
    the last `KEPT_WINDOWS`, by the grid step at which the window ends. `incidents` are of all its
    windows, by the key of each member that has an alarm rule.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        origin_ns: int,
        past: Sequence[NDArray[np.float32]] = (),
        stretches: NDArray[np.float32] | None = None,
    ) -> None:
        self.ensemble = ensemble
        self.origin_ns = origin_ns
        self.buffer = Buffer()
        self.skipped = 0
        self.late = 0
        """Samples that came after a window they belong to was predicted."""
        self.predictions: dict[int, WindowPrediction] = {}
        self.incidents = {
            member.key: IncidentLog(member.alarm, member.checkpoint.schema.classes)
            for member in ensemble.members
            if member.alarm is not None
        }
        self.past = list(past)
        self.stretches = stretches
        self._until: int | None = None
        self._level: NDArray[np.float32] | None = None
        self._next = first_end(ensemble.schema.grid, ensemble.opening_s)

    def after_gap(self, origin_ns: int) -> "Machine":
        """Return the machine with windows that begin anew; its level and its incidents stay."""
        machine = Machine(self.ensemble, origin_ns, self.past, self.stretches)
        machine.incidents = self.incidents
        if self._level is not None:
            machine._level = self._level
            machine._next = first_end(self.ensemble.schema.grid, 0.0)
        return machine

    @property
    def level(self) -> NDArray[np.float32] | None:
        """The machine's benign level in log rates, `[C]`; None until the first prediction."""
        return self._level

    def end_ns(self, end: int) -> int:
        """Return when the window that ends with grid step `end - 1` ends, as Unix time."""
        return self.origin_ns + end * self.ensemble.schema.grid.step_ns

    def add(self, source: str, samples: Samples) -> None:
        """Add samples that have arrived from a source; those of predicted windows count as late."""
        over = self.end_ns(self._next - self.ensemble.schema.grid.stride)
        if self.predictions:
            self.late += int((samples.t_wall_ns <= over).sum())
        self.buffer.add(source, samples)

    def close(self, end_ns: int) -> None:
        """End the machine: no window reaches beyond `end_ns`, and none waits for more samples."""
        self._until = (end_ns - self.origin_ns) // self.ensemble.schema.grid.step_ns

    def due(self, now_ns: int) -> list[int]:
        """Return where the windows end that can be predicted at `now_ns`, oldest first."""
        ends = []
        end = self._next
        while self._ready(end, now_ns):
            ends.append(end)
            end += self.ensemble.schema.grid.stride
        return ends

    def _ready(self, end: int, now_ns: int) -> bool:
        if self._until is not None:
            return end <= self._until
        return self.buffer.ready(self.end_ns(end), now_ns)

    def predict(self, now_ns: int) -> WindowPrediction | None:
        """Predict the newest window that is due, if any, and skip older ones that are due."""
        ends = self.due(now_ns)
        if not ends:
            return None
        self.skipped += len(ends) - 1
        return self._predict(ends[-1], now_ns, len(ends) - 1)

    def predict_all(self, now_ns: int) -> list[WindowPrediction]:
        """Predict every window that is due and skip none: for a recording, which can wait."""
        return [self._predict(end, now_ns, 0) for end in self.due(now_ns)]

    def _predict(self, end: int, now_ns: int, skipped: int) -> WindowPrediction:
        schema, grid = self.ensemble.schema, self.ensemble.schema.grid
        began = time.perf_counter()
        level = self._benign_level()
        x = window_at(self.buffer.sources, schema, self.origin_ns, end)
        past = past_at(self.buffer.sources, schema, self.origin_ns, end)
        logits: dict[str, Array] = {}
        places: dict[str, Array] = {}
        latency: dict[str, float] = {}
        for member in self.ensemble.members:
            start, loaded = time.perf_counter(), member.checkpoint
            parts = (one[member.rows][None] for one in (x, level, past))
            z = loaded.normalizer.apply(*parts)
            logits[member.key] = loaded.model.logits(z)[0]
            if loaded.projection is not None:
                places[member.key] = loaded.projection.apply(z)[0]
            latency[member.key] = time.perf_counter() - start
        waited = (now_ns - self.end_ns(end)) / NS
        window = WindowPrediction(
            end=end,
            end_ns=self.end_ns(end),
            x=x,
            past=past,
            level=level,
            logits=logits,
            places=places,
            latency_s=latency,
            missing=missing(schema, x),
            lag_s=waited + time.perf_counter() - began,
            skipped=skipped,
        )
        self._keep(window)
        for key, log in self.incidents.items():
            log.add(window.end_ns, logits[key])
        self._next = end + grid.stride
        self.buffer.forget(self.end_ns(self._next), grid)
        return window

    def _keep(self, window: WindowPrediction) -> None:
        self.predictions[window.end] = window
        while len(self.predictions) > KEPT_WINDOWS:
            del self.predictions[next(iter(self.predictions))]

    def _benign_level(self) -> NDArray[np.float32]:
        if self._level is None:
            schema, seconds = self.ensemble.schema, self.ensemble.opening_s
            current = opening_level(self.buffer.sources, schema, self.origin_ns, seconds)
            level = median_opening([*self.past, current], self.stretches)
            self._level = level.astype(np.float32)
        return self._level


@dataclass(frozen=True)
class Scale:
    """What is usual in training windows, by channel `[C]`.

    `level` is that of openings; `mean` and `std` are those of log rates beside the machine's level.
    """

    level: Array
    mean: Array
    std: Array

    @classmethod
    def of(cls, ensemble: Ensemble) -> "Scale | None":
        """Return the scale of the member with the most channels; None for an empty ensemble."""
        if not ensemble.members:
            return None
        member = max(ensemble.members, key=lambda one: len(one.rows))
        normalizer, count = member.checkpoint.normalizer, len(member.rows)
        each = len(STATISTICS) if normalizer.view == "summary" else 1
        columns = np.arange(count, 2 * count) * each
        scale = [np.full(len(ensemble.schema.channels), np.nan) for _ in range(3)]
        for values, part in zip(
            scale,
            (normalizer.opening, normalizer.mean[columns], normalizer.std[columns]),
            strict=True,
        ):
            values[member.rows] = part
        return cls(*scale)

    def z(self, x: NDArray[np.float32], level: NDArray[np.float32]) -> Array:
        """Return how far a window `x[C,T]` lies from training, in standard deviations, `[C]`.

        NaN where a channel was not measured.
        """
        each = signed_log(x)
        known = np.isfinite(each)
        count = known.sum(axis=1)
        total = np.where(known, each, 0.0).sum(axis=1)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        usual = np.where(np.isfinite(level), level, self.level)
        return np.asarray((mean - usual - self.mean) / self.std)
