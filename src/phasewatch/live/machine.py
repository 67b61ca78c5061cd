"""A machine while it runs: samples in, one judged window every stride, and nothing kept for long.

The window is made by the function that made it in training, from a buffer as short as that function
allows, so live and offline have the same bits. The watermark: a window is judged as soon as every
source that speaks has spoken past its end, or `feed.GRACE_S` after it, with what is there; what was
missing is said. Who cannot keep up skips to the newest window, and counts what was skipped.
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
from phasewatch.schema import NS
from phasewatch.windowing import at, log, opening, pooled

KEPT = 720
"""Judged windows that questions may be asked about: an hour at a stride of 5 s."""


@dataclass(frozen=True)
class WindowPrediction:
    """One window `x[C,T]` with the machine's `level[C]`, and what every juror said of it.

    `end` counts steps since the origin; `places[2]` lie on the plane of a juror's training windows,
    where its checkpoint has one; `missing` are sources without one value in the window; `skipped`
    the windows passed over just before it; `lag_s` from its end to the answer.
    """

    end: int
    end_ns: int
    x: NDArray[np.float32]
    level: NDArray[np.float32]
    logits: Mapping[str, Array]
    places: Mapping[str, Array]
    latency_s: Mapping[str, float]
    missing: tuple[str, ...]
    lag_s: float
    skipped: int = 0

    @property
    def present(self) -> Array:
        """Share of the steps in which each channel was measured, `[C]`."""
        return np.asarray(np.isfinite(self.x).mean(axis=1))


class Machine:
    """One machine under a panel's eyes.

    `past` are its earlier openings `[C]`, oldest first, which its level is pooled over; without
    them the level is that of its own opening.
    """

    def __init__(
        self, ensemble: Ensemble, origin_ns: int, past: Sequence[NDArray[np.float32]] = ()
    ) -> None:
        self.ensemble = ensemble
        self.origin_ns = origin_ns
        self.buffer = Buffer()
        self.skipped = 0
        self.late = 0
        """Samples that came after a window they belong to was judged."""
        self.judged: dict[int, WindowPrediction] = {}
        self.past = list(past)
        self._until: int | None = None
        self._level: NDArray[np.float32] | None = None
        self._next = first_end(ensemble.schema.grid, ensemble.opening_s)

    @property
    def level(self) -> NDArray[np.float32] | None:
        """The machine's own, `[C]`; None until its opening is over."""
        return self._level

    def end_ns(self, end: int) -> int:
        """When the window that ends with step `end - 1` ends."""
        return self.origin_ns + end * self.ensemble.schema.grid.step_ns

    def add(self, source: str, samples: Samples) -> None:
        """Samples that have arrived."""
        over = self.end_ns(self._next - self.ensemble.schema.grid.stride)
        if self.judged:
            self.late += int((samples.t_wall_ns <= over).sum())
        self.buffer.add(source, samples)

    def close(self, end_ns: int) -> None:
        """The machine has ended: no window reaches beyond, and none waits for more samples."""
        self._until = (end_ns - self.origin_ns) // self.ensemble.schema.grid.step_ns

    def due(self, now_ns: int) -> list[int]:
        """Windows that can be judged at `now_ns`, oldest first."""
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

    def judge(self, now_ns: int) -> WindowPrediction | None:
        """The newest window that is due, if any; older ones that are due are skipped."""
        ends = self.due(now_ns)
        if not ends:
            return None
        self.skipped += len(ends) - 1
        return self._judge(ends[-1], now_ns, len(ends) - 1)

    def judge_all(self, now_ns: int) -> list[WindowPrediction]:
        """Every window that is due, none skipped: for a recording that waits for nobody."""
        return [self._judge(end, now_ns, 0) for end in self.due(now_ns)]

    def _judge(self, end: int, now_ns: int, skipped: int) -> WindowPrediction:
        schema, grid = self.ensemble.schema, self.ensemble.schema.grid
        began = time.perf_counter()
        level = self._own_level()
        x = at(self.buffer.sources, schema, self.origin_ns, end)
        logits: dict[str, Array] = {}
        places: dict[str, Array] = {}
        latency: dict[str, float] = {}
        for member in self.ensemble.members:
            start, loaded = time.perf_counter(), member.checkpoint
            z = loaded.normalizer.apply(x[member.rows][None], level[member.rows][None])
            logits[member.key] = loaded.model.logits(z)[0]
            if loaded.projection is not None:
                places[member.key] = loaded.projection.apply(z)[0]
            latency[member.key] = time.perf_counter() - start
        waited = (now_ns - self.end_ns(end)) / NS
        judged = WindowPrediction(
            end=end,
            end_ns=self.end_ns(end),
            x=x,
            level=level,
            logits=logits,
            places=places,
            latency_s=latency,
            missing=missing(schema, x),
            lag_s=waited + time.perf_counter() - began,
            skipped=skipped,
        )
        self._keep(judged)
        self._next = end + grid.stride
        self.buffer.forget(self.end_ns(self._next), grid)
        return judged

    def _keep(self, judged: WindowPrediction) -> None:
        self.judged[judged.end] = judged
        while len(self.judged) > KEPT:
            del self.judged[next(iter(self.judged))]

    def _own_level(self) -> NDArray[np.float32]:
        if self._level is None:
            schema, seconds = self.ensemble.schema, self.ensemble.opening_s
            own = opening(self.buffer.sources, schema, self.origin_ns, seconds)
            self._level = pooled([*self.past, own]).astype(np.float32)
        return self._level


# ---------------------------------------------------------------- a stored episode as a stream


# ---------------------------------------------------------------- how far from usual


@dataclass(frozen=True)
class Scale:
    """What training windows say of each channel's mean beside its machine's level, `[C]`."""

    level: Array
    mean: Array
    std: Array

    @classmethod
    def of(cls, ensemble: Ensemble) -> "Scale | None":
        """From the lens of the juror with the most channels; None without a juror."""
        if not ensemble.members:
            return None
        member = max(ensemble.members, key=lambda one: len(one.rows))
        normalizer, count = member.checkpoint.normalizer, len(member.rows)
        each = len(STATISTICS) if normalizer.view == "summary" else 1
        own = np.arange(count, 2 * count) * each
        made = [np.full(len(ensemble.schema.channels), np.nan) for _ in range(3)]
        for whole, part in zip(
            made, (normalizer.opening, normalizer.mean[own], normalizer.std[own]), strict=True
        ):
            whole[member.rows] = part
        return cls(*made)

    def z(self, x: NDArray[np.float32], level: NDArray[np.float32]) -> Array:
        """How many standard deviations a window lies from usual, `[C]`; NaN where not measured."""
        each = log(x)
        known = np.isfinite(each)
        count = known.sum(axis=1)
        total = np.where(known, each, 0.0).sum(axis=1)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        usual = np.where(np.isfinite(level), level, self.level)
        return np.asarray((mean - usual - self.mean) / self.std)
