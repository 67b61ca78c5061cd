"""The last samples of a running machine's sources, and no more than the next window needs."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from phasewatch.episode import Samples
from phasewatch.schema import NS, Grid, Schema
from phasewatch.windowing import past_steps

GRACE_S = 2.0
"""How long a window waits after its end for a source that has delivered samples recently."""


class Buffer:
    """The last samples of each source, by source, in the order of time."""

    def __init__(self) -> None:
        self.sources: dict[str, Samples] = {}

    def add(self, source: str, samples: Samples) -> None:
        """Add samples that have arrived; a late one takes its place in the order of time.

        Raises ValueError when a source comes with other channels than before.
        """
        if not len(samples):
            return
        old = self.sources.get(source)
        if old is not None:
            if old.names != samples.names:
                raise ValueError(f"{source} changed its channels while running")
            samples = _joined(old, samples)
        if np.any(np.diff(samples.t_wall_ns) < 0):
            samples = select_rows(samples, np.argsort(samples.t_wall_ns, kind="stable"))
        self.sources[source] = samples

    def ready(self, end_ns: int, now_ns: int) -> bool:
        """Return whether a window that ends at `end_ns` can be predicted at `now_ns`.

        That is when every source with samples in the last `GRACE_S` before its end has a later one,
        or `GRACE_S` have passed since its end.
        """
        grace_ns = round(GRACE_S * NS)
        if now_ns >= end_ns + grace_ns:
            return True
        last = [int(samples.t_wall_ns[-1]) for samples in self.sources.values()]
        waited = [t for t in last if t > end_ns - grace_ns]
        return bool(waited) and all(t > end_ns for t in waited)

    def forget(self, end_ns: int, grid: Grid) -> None:
        """Drop samples that no window ending at `end_ns` or later needs; the last one stays.

        A window needs its past as well, which is eight windows in all.
        """
        back = grid.steps + past_steps(grid) + 2 * -(-grid.hold_ns // grid.step_ns) + 2
        before_ns = end_ns - back * grid.step_ns
        for source, samples in self.sources.items():
            first = int(np.searchsorted(samples.t_wall_ns, before_ns))
            if first > len(samples) // 2:
                rows = np.arange(min(first, len(samples) - 1), len(samples))
                self.sources[source] = select_rows(samples, rows)


def first_end(grid: Grid, opening_s: float) -> int:
    """Return where the first window ends that does not end within the opening, in grid steps."""
    beyond = math.floor(opening_s / grid.step_s) + 1
    return grid.steps + max(0, -(-(beyond - grid.steps) // grid.stride)) * grid.stride


def missing(schema: Schema, x: NDArray[np.float32]) -> tuple[str, ...]:
    """Return the sources without a single value in a window `x[C,T]`."""
    known = {schema.channels[row].source for row in np.flatnonzero(np.isfinite(x).any(axis=1))}
    return tuple(source for source in schema.sources if source not in known)


def select_rows(samples: Samples, rows: NDArray[np.int64]) -> Samples:
    """Return some rows of a source's samples, chosen by their indices."""
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
