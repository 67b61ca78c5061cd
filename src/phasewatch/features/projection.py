"""A projection of windows onto two axes, for pictures of them."""

from dataclasses import dataclass

import numpy as np

from phasewatch.features.views import Array


@dataclass(frozen=True)
class Projection:
    """The two directions in which training windows differ most (PCA), for pictures of windows.

    `axes[2,F]` have unit length and `centre[F]` is the mean. F are the columns of a view; the steps
    of a tensor view are averaged first.
    """

    centre: Array
    axes: Array

    @classmethod
    def fit(cls, z: Array) -> "Projection":
        """Fit to normalized training windows `z[N,F]` or `z[N,F,T]`."""
        flat = _flat(z)
        centre = flat.mean(axis=0)
        off = flat - centre
        axes = np.linalg.eigh(off.T @ off)[1][:, :-3:-1].T
        # An eigenvector's sign is arbitrary: its largest entry is positive here.
        largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
        # BLAS's last bits change with threads and memory; a checkpoint's bytes must not.
        return cls(centre.round(6), (axes * np.sign(largest)[:, None]).round(6))

    def apply(self, z: Array) -> Array:
        """Return the coordinates `[N,2]` of windows."""
        return np.asarray((_flat(z) - self.centre) @ self.axes.T)


def _flat(z: Array) -> Array:
    """Return `[N,F]`, with the training mean, 0, for what was not measured."""
    known = np.nan_to_num(z, nan=0.0)
    return known if known.ndim == 2 else np.asarray(known.mean(axis=2))
