"""The last samples of a running machine's sources, and no more than the next window needs."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from phasewatch.episode import Samples
from phasewatch.schema import NS, Grid, Schema

GRACE_S = 2.0
"""How long after its end a window waits for a source that has spoken."""


class Buffer:
    """The last samples of each source in the order of time."""

    def __init__(self) -> None:
        self.sources: dict[str, Samples] = {}

    def add(self, source: str, samples: Samples) -> None:
        """Samples that have arrived; one that comes late takes its place among the others."""
        if not len(samples):
            return
        old = self.sources.get(source)
        if old is not None:
            if old.names != samples.names:
                raise ValueError(f"{source} changed its channels while running")
            samples = _joined(old, samples)
        if np.any(np.diff(samples.t_wall_ns) < 0):
            samples = taken(samples, np.argsort(samples.t_wall_ns, kind="stable"))
        self.sources[source] = samples

    def ready(self, end_ns: int, now_ns: int) -> bool:
        """Whether all sources that speak have spoken past a window's end, or had their time."""
        grace_ns = round(GRACE_S * NS)
        if now_ns >= end_ns + grace_ns:
            return True
        last = [int(samples.t_wall_ns[-1]) for samples in self.sources.values()]
        waited = [t for t in last if t > end_ns - grace_ns]
        return bool(waited) and all(t > end_ns for t in waited)

    def forget(self, end_ns: int, grid: Grid) -> None:
        """Drop what no window that ends at `end_ns` or later can need, but for the last sample."""
        back = grid.steps + 2 * -(-grid.hold_ns // grid.step_ns) + 2
        before_ns = end_ns - back * grid.step_ns
        for source, samples in self.sources.items():
            first = int(np.searchsorted(samples.t_wall_ns, before_ns))
            if first > len(samples) // 2:
                kept = np.arange(min(first, len(samples) - 1), len(samples))
                self.sources[source] = taken(samples, kept)


def first_end(grid: Grid, opening_s: float) -> int:
    """Where the first window ends that does not end within the opening, in steps."""
    beyond = math.floor(opening_s / grid.step_s) + 1
    return grid.steps + max(0, -(-(beyond - grid.steps) // grid.stride)) * grid.stride


def missing(schema: Schema, x: NDArray[np.float32]) -> tuple[str, ...]:
    """The sources without one value in a window `x[C,T]`."""
    known = {schema.channels[row].source for row in np.flatnonzero(np.isfinite(x).any(axis=1))}
    return tuple(source for source in schema.sources if source not in known)


def taken(samples: Samples, rows: NDArray[np.int64]) -> Samples:
    """Some rows of a source's samples."""
    return replace(
        samples,
        t_wall_ns=samples.t_wall_ns[rows],
        t_mono_ns=samples.t_mono_ns[rows],
        values=samples.values[rows],
    )


def _joined(old: Samples, new: Samples) -> Samples:
    return replace(
        old,
        t_wall_ns=np.concatenate([old.t_wall_ns, new.t_wall_ns]),
        t_mono_ns=np.concatenate([old.t_mono_ns, new.t_mono_ns]),
        values=np.concatenate([old.values, new.values]),
    )
