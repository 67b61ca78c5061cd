"""The normalizer of a model: levels and scales of the training windows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasewatch.features.views import VIEWS, Array, View
from phasewatch.windowing import Windows, signed_log


@dataclass(frozen=True)
class Normalizer:
    """Levels and scales of training windows, and of no other window.

    `opening[C]` is the median level in training, for a machine without a known opening;
    `mean[F]` and `std[F]` are of each column (axis 1) of the view.
    """

    view: View
    opening: Array
    mean: Array
    std: Array

    @classmethod
    def fit(cls, view: View, windows: Windows) -> "Normalizer":
        """Fit to training windows; a column without spread or values has a scale of 1."""
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
        """Return `z[N,2CS]` or `z[N,2C,T]` of windows `x[N,C,T]` with their `opening[N,C]`.

        Values that were not measured are NaN in both.
        """
        z = VIEWS[self.view](_both(x, opening, self.opening))
        shape = [1, -1] + [1] * (z.ndim - 2)
        return np.asarray((z - self.mean.reshape(shape)) / self.std.reshape(shape))


def _level(windows: Windows) -> Array:
    """Return the median opening over windows, `[C]`; 0 for a channel that none of them has."""
    known = np.isfinite(windows.opening).any(axis=0)
    level = np.zeros(windows.opening.shape[1])
    level[known] = np.nanmedian(windows.opening[:, known].astype(np.float64), axis=0)
    return level


def _both(x: NDArray[np.float32], opening: NDArray[np.float32], usual: Array) -> Array:
    """Return log1p of every step, and the same minus the benign level, `[N,2C,T]`.

    The level is the opening of the machine, or `usual[C]` where that was not measured.
    """
    level = np.where(np.isfinite(opening), opening, usual)
    z = signed_log(x)
    return np.concatenate([z, z - level[:, :, None]], axis=1)
