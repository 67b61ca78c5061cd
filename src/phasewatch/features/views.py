"""What a model is shown of a window: its view, through a lens fitted on training data.

First, log1p of every step, as it is and again minus the machine's own benign level: rates of
different machines differ by factors, and both sides tell something (docs/decisions/0009). Then the
view: `tensor` keeps the steps, `summary` keeps S statistics a channel at three time scales. Last,
columns to mean 0 and standard deviation 1.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from phasewatch.io import atomic
from phasewatch.schema import Schema
from phasewatch.windows import Windows, log

View = Literal["summary", "tensor"]
Array = NDArray[np.float64]

STATISTICS = ("mean", "std", "min", "median", "max", "half", "quarter")
"""S, per channel: over the whole window, then the mean of its last half and last quarter."""

BLOCK = 32
"""Windows summarised at once: as many as the processor's cache holds."""

VERSION = 3
"""Version of this file's arithmetic; a change of meaning raises it and refuses old checkpoints."""


def tensor(z: Array) -> Array:
    """Every step as it is, `[N,C,T]`."""
    return z


def summary(z: Array) -> Array:
    """Statistics of the steps `z[N,C,T]` that were measured, `[N, C*S]`; NaN where none was."""
    out = np.empty((len(z), z.shape[1] * len(STATISTICS)))
    known = np.isfinite(z)
    whole = np.asarray(known.all(axis=(1, 2)))
    # Most windows are whole: among themselves they take half the time.
    for alike in (np.flatnonzero(whole), np.flatnonzero(~whole)):
        for first in range(0, len(alike), BLOCK):
            rows = alike[first : first + BLOCK]
            out[rows] = _summary(z[rows], None if whole[rows[0]] else known[rows])
    return out


def _summary(z: Array, known: NDArray[np.bool_] | None) -> Array:
    """As `summary`, of windows whose steps are `known[N,C,T]`, or all of them are."""
    filled = z if known is None else np.where(known, z, 0.0)
    marks = None if known is None else known.astype(np.int64)

    def last(steps: int) -> tuple[Any, Array]:
        """How many of the last steps were measured, and their mean."""
        # einsum sums a short axis several times faster than sum does.
        total = np.einsum("nct->nc", filled[:, :, -steps:])
        if marks is None:
            return steps, total / steps
        count = np.einsum("nct->nc", marks[:, :, -steps:])
        return count, total / np.where(count, count, np.nan)

    steps = z.shape[2]
    count, mean = last(steps)
    off = filled - mean[:, :, None]
    if known is not None:
        off *= known
    std = np.sqrt(np.einsum("nct,nct->nc", off, off) / np.where(count, count, np.nan))
    # Sorted, what was not measured comes last: the first `count` steps are the others.
    ordered = np.sort(z, axis=2)

    def at(rank: Any) -> Array:
        if known is None:
            return ordered[:, :, rank]
        return np.take_along_axis(ordered, rank[:, :, None], axis=2)[:, :, 0]

    top = np.maximum(count - 1, 0)
    median = (at(top // 2) + at((top + 1) // 2)) / 2
    late = [last(max(steps // part, 1))[1] for part in (2, 4)]
    parts = [mean, std, at(0 * top), median, at(top), *late]
    return np.stack(parts, axis=2).reshape(len(z), -1)


VIEWS: dict[View, Callable[[Array], Array]] = {"summary": summary, "tensor": tensor}


def fingerprint(schema: Schema, view: View) -> str:
    """sha256 over all that gives a view's columns their meaning."""
    meaning = [schema.definition(), view, list(STATISTICS) if view == "summary" else [], VERSION]
    return hashlib.sha256(atomic.canonical(meaning)).hexdigest()


@dataclass(frozen=True)
class Lens:
    """What training windows say of levels and scales, and nothing of any other window.

    `opening[C]` is the level of the machines in training, for one whose own is not known;
    `mean[F]` and `std[F]` are of each column (axis 1) of the view.
    """

    view: View
    opening: Array
    mean: Array
    std: Array

    @classmethod
    def fit(cls, view: View, windows: Windows) -> "Lens":
        """The lens of training windows; a column without spread or values is left as it is."""
        level = _level(windows)
        z = VIEWS[view](_both(windows.x, windows.opening, level))
        flat = np.moveaxis(z, 1, 0).reshape(z.shape[1], -1)
        known = np.isfinite(flat)
        count = np.maximum(known.sum(axis=1), 1)
        mean = np.where(known, flat, 0.0).sum(axis=1) / count
        off = np.where(known, flat - mean[:, None], 0.0)
        std = np.sqrt((off**2).sum(axis=1) / count)
        return cls(view, level, mean, np.where(std > 1e-9, std, 1.0))

    def apply(self, x: NDArray[np.float32], opening: NDArray[np.float32]) -> Array:
        """`z[N,2CS]` or `z[N,2C,T]` of windows `x[N,C,T]` with their `opening[N,C]`.

        NaN stays NaN.
        """
        z = VIEWS[self.view](_both(x, opening, self.opening))
        shape = [1, -1] + [1] * (z.ndim - 2)
        return np.asarray((z - self.mean.reshape(shape)) / self.std.reshape(shape))


@dataclass(frozen=True)
class Plane:
    """The two directions in which training windows differ most (PCA), for pictures of windows.

    `axes[2,F]` of unit length and `centre[F]`, over a view's columns; of a tensor's, their means.
    """

    centre: Array
    axes: Array

    @classmethod
    def fit(cls, z: Array) -> "Plane":
        """The plane of training windows `z[N,F]` or `z[N,F,T]`, as the lens has them."""
        flat = _flat(z)
        centre = flat.mean(axis=0)
        off = flat - centre
        axes = np.linalg.eigh(off.T @ off)[1][:, :-3:-1].T
        # An eigenvector's sign is arbitrary: its largest entry is positive here.
        largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
        # BLAS's last bits change with threads and memory; a checkpoint's bytes must not.
        return cls(centre.round(6), (axes * np.sign(largest)[:, None]).round(6))

    def apply(self, z: Array) -> Array:
        """Places `[N,2]` of windows."""
        return np.asarray((_flat(z) - self.centre) @ self.axes.T)


def _flat(z: Array) -> Array:
    """`[N,F]`; what was not measured stands at the training mean, 0."""
    known = np.nan_to_num(z, nan=0.0)
    return known if known.ndim == 2 else np.asarray(known.mean(axis=2))


def _level(windows: Windows) -> Array:
    """The median opening over windows, `[C]`; 0 for a channel in none of them."""
    known = np.isfinite(windows.opening).any(axis=0)
    level = np.zeros(windows.opening.shape[1])
    level[known] = np.nanmedian(windows.opening[:, known].astype(np.float64), axis=0)
    return level


def _both(x: NDArray[np.float32], opening: NDArray[np.float32], usual: Array) -> Array:
    """log1p of every step, and the same minus the machine's own level or the usual, `[N,2C,T]`."""
    level = np.where(np.isfinite(opening), opening, usual)
    z = log(x)
    return np.concatenate([z, z - level[:, :, None]], axis=1)
