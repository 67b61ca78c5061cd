"""The last samples of a running machine's sources, and no more than the next window needs."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from phasewatch.episode import Samples


class Feed:
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

    def last_ns(self, source: str) -> int:
        """When a source last spoke; long ago when it never did."""
        samples = self.sources.get(source)
        return int(samples.t_wall_ns[-1]) if samples is not None else -(2**62)

    def forget(self, before_ns: int) -> None:
        """Drop what no coming window can need, but for the last sample."""
        for source, samples in self.sources.items():
            first = int(np.searchsorted(samples.t_wall_ns, before_ns))
            if first > len(samples) // 2:
                kept = np.arange(min(first, len(samples) - 1), len(samples))
                self.sources[source] = taken(samples, kept)


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
