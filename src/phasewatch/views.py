"""What a model is shown of a window: a function of x[N,C,T], and a scaler fitted on training data.

`tensor` keeps the steps, `summary` keeps S statistics a channel at three time scales. Both take
log1p first: rates of different machines differ by factors, not by amounts.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from phasewatch import durable
from phasewatch.schema import Schema

View = Literal["summary", "tensor"]
Array = NDArray[np.float64]

STATISTICS = ("mean", "std", "min", "median", "max", "half", "quarter")
"""S, per channel: over the whole window, then the mean of its last half and last quarter."""

VERSION = 1
"""Version of this file's arithmetic; a change of meaning raises it and refuses old checkpoints."""


def tensor(x: NDArray[np.float32]) -> Array:
    """log1p of every step, `[N,C,T]`; NaN stays NaN."""
    z = x.astype(np.float64)
    return np.asarray(np.sign(z) * np.log1p(np.abs(z)))


def summary(x: NDArray[np.float32]) -> Array:
    """Statistics of the log1p steps that were measured, `[N, C*S]`; NaN where none was."""
    z = tensor(x)
    steps = z.shape[2]
    parts = [
        *_spread(z),
        _mean(z[:, :, steps - max(steps // 2, 1) :]),
        _mean(z[:, :, steps - max(steps // 4, 1) :]),
    ]
    return np.stack(parts, axis=2).reshape(len(z), -1)


def _mean(z: Array) -> Array:
    known = np.isfinite(z)
    count = known.sum(axis=2)
    total = np.where(known, z, 0.0).sum(axis=2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _spread(z: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Mean, standard deviation, minimum, median and maximum over the measured steps, `[N,C]`."""
    mean = _mean(z)
    std = np.sqrt(_mean((z - mean[:, :, None]) ** 2))
    ordered = np.sort(z, axis=2)
    count = np.isfinite(z).sum(axis=2)

    def rank(place: NDArray[np.int64]) -> Array:
        picked = np.take_along_axis(ordered, np.maximum(place, 0)[:, :, None], axis=2)
        return np.asarray(picked[:, :, 0])

    median = (rank((count - 1) // 2) + rank(count // 2 - (count == 0))) / 2
    return mean, std, rank(count * 0), median, rank(count - 1)


VIEWS: dict[View, Callable[[NDArray[np.float32]], Array]] = {"summary": summary, "tensor": tensor}


def fingerprint(schema: Schema, view: View) -> str:
    """sha256 over all that gives a view's columns their meaning."""
    meaning = [schema.definition(), view, list(STATISTICS) if view == "summary" else [], VERSION]
    return hashlib.sha256(durable.canonical(meaning)).hexdigest()


@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation of each column (axis 1), of training windows only."""

    mean: Array
    std: Array

    @classmethod
    def fit(cls, z: Array) -> "Scaler":
        """The scaler of `z[N,F]` or `z[N,C,T]`; a column without spread or values is left as is."""
        flat = np.moveaxis(z, 1, 0).reshape(z.shape[1], -1)
        known = np.isfinite(flat)
        count = np.maximum(known.sum(axis=1), 1)
        mean = np.where(known, flat, 0.0).sum(axis=1) / count
        off = np.where(known, flat - mean[:, None], 0.0)
        std = np.sqrt((off**2).sum(axis=1) / count)
        return cls(mean, np.where(std > 1e-9, std, 1.0))

    def apply(self, z: Array) -> Array:
        """`z` with mean 0 and standard deviation 1 a column; NaN stays NaN."""
        shape = [1, -1] + [1] * (z.ndim - 2)
        return np.asarray((z - self.mean.reshape(shape)) / self.std.reshape(shape))
