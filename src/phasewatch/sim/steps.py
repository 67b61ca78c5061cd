"""All steps of some episodes in one table, and what of them is measured within segments.

A segment is a stretch of one label.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasewatch.episode import Episode
from phasewatch.features.views import Array
from phasewatch.schema import Schema
from phasewatch.windowing import resample


@dataclass(frozen=True)
class Steps:
    """All steps of a store: `x[N,C]`, and the host, campaign, class, segment, episode of each."""

    x: Array
    host: NDArray[np.int64]
    campaign: NDArray[np.int64]
    y: NDArray[np.int64]
    segment: NDArray[np.int64]
    episode: NDArray[np.int64]


def collect_steps(
    episodes: Iterable[Episode], schema: Schema
) -> tuple[list[str], list[str], Steps]:
    """Return the hosts, the campaigns and all steps of some episodes."""
    names, found = [], []
    segments = 0
    for episode in episodes:
        total = (episode.end_ns - episode.start_ns) // schema.grid.step_ns
        x = resample(episode.sources, schema, episode.start_ns, 0, total).T
        ends = episode.start_ns + schema.grid.step_ns * np.arange(1, total + 1)
        starts = np.array([label.t_wall_ns for label in episode.labels])
        segment = np.maximum(np.searchsorted(starts, ends, side="left") - 1, 0)
        classes = np.array([schema.classes.index(label.phase) for label in episode.labels])
        names.append((episode.host, episode.campaign))
        found.append((x, classes[segment], segment + segments))
        segments += len(starts)
    hosts, campaigns = (sorted({pair[place] for pair in names}) for place in (0, 1))
    if not found:
        empty = np.empty(0, np.int64)
        return hosts, campaigns, Steps(np.empty((0, 0)), empty, empty, empty, empty, empty)
    counts = [len(part[0]) for part in found]
    x, y, segment = (np.concatenate(parts) for parts in zip(*found, strict=True))
    host = np.repeat([hosts.index(name) for name, _ in names], counts)
    campaign = np.repeat([campaigns.index(name) for _, name in names], counts)
    episode_of = np.repeat(np.arange(len(counts)), counts)
    return hosts, campaigns, Steps(x, host, campaign, y, segment, episode_of)


def without_segment_means(still: Array, segment: NDArray[np.int64]) -> Array:
    """Return the steps without the mean of their segment, `[N,C]`."""
    known = np.isfinite(still)
    sums = np.zeros((int(segment.max()) + 1, still.shape[1]))
    counts = np.zeros_like(sums)
    np.add.at(sums, segment, np.where(known, still, 0))
    np.add.at(counts, segment, known)
    return np.asarray(still - (sums / np.maximum(counts, 1))[segment])


def lagged_correlation(moving: Array, segment: NDArray[np.int64], lag: int) -> Array:
    """Return the correlation `[C,C]` of a channel with another one `lag` steps before.

    Only pairs of steps in one segment count; the diagonal holds autocorrelations.
    """
    same = segment[lag:] == segment[: len(segment) - lag]
    late, early = (
        np.nan_to_num(part[same]) for part in (moving[lag:], moving[: len(moving) - lag])
    )
    spread = np.outer(np.sqrt((late**2).sum(axis=0)), np.sqrt((early**2).sum(axis=0)))
    return np.asarray(late.T @ early / np.maximum(spread, 1e-9))
