"""What a machine did in the minute before a window, and how the window differs from it.

The past comes in blocks of half a window (`windowing.block_means`), and the window itself is the
last two of them. Over each of three horizons that end with the window, seven statistics of the
blocks are computed for every channel.
"""

import numpy as np
from numpy.typing import NDArray

from phasewatch.windowing import PAST_BLOCKS

Array = NDArray[np.float64]

HORIZONS = (4, 8, PAST_BLOCKS + 2)
"""Blocks of a horizon, the window's two included: 20, 40 and 80 s for windows of 10 s."""

STATISTICS = ("mean", "std", "max", "min", "above_mean", "above_before")
"""Of the blocks of a horizon: mean, standard deviation, largest, smallest; then the window's mean
minus that of the horizon, and minus that of the blocks of the horizon before the window."""

COLUMNS = len(HORIZONS) * len(STATISTICS)
"""Columns of a channel."""


def context(z: Array, past: Array) -> Array:
    """Return the statistics `[N,C,H*S]` of windows `z[N,C,T]` with their `past[N,C,B]`.

    Blocks that were not measured, or that precede the recording, count for nothing; a statistic of
    none is NaN.
    """
    half = max(z.shape[2] // 2, 1)
    mean = _mean(z)
    halves = [_mean(z[:, :, :half]), _mean(z[:, :, -half:])]
    blocks = np.concatenate([past, np.stack(halves, axis=2)], axis=2)
    found = []
    for horizon in HORIZONS:
        recent = blocks[:, :, -horizon:]
        usual = _mean(recent)
        found += [
            usual,
            _spread(recent, usual),
            np.fmax.reduce(recent, axis=2),
            np.fmin.reduce(recent, axis=2),
            mean - usual,
            mean - _mean(recent[:, :, :-2]),
        ]
    return np.stack(found, axis=2)


def _mean(z: Array) -> Array:
    """Return the mean of what is measured along the last axis; NaN where nothing is."""
    known = np.isfinite(z)
    count = np.einsum("nct->nc", known.astype(np.int64))
    total = np.einsum("nct->nc", np.where(known, z, 0.0))
    return np.asarray(total / np.where(count > 0, count, np.nan))


def _spread(z: Array, mean: Array) -> Array:
    """Return the standard deviation around `mean[N,C]` of what is measured in `z[N,C,M]`."""
    off = z - mean[:, :, None]
    return np.sqrt(_mean(off * off))
