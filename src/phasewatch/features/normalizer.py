"""The normalizer of a model: levels and scales of the training windows.

Version 4 of a view adds the past, ratios of channels, and limits. No machine, however busy, gives
a model larger numbers than training did: a level beyond those of all training machines is
taken for the nearest of them, and normalized columns are clipped at quantiles of training windows.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phasewatch.features.context import context
from phasewatch.features.ratios import Pair, ratios
from phasewatch.features.views import OLDEST, VIEWS, Array, View, ViewVersion, pairs_of
from phasewatch.schema import Schema
from phasewatch.windowing import PAST_BLOCKS, Windows, signed_log

QUANTILE = 0.005
"""Share of the training values of a column that are clipped at either end."""

LEAST_LIMIT = 4.0
"""Standard deviations within which nothing is clipped: a rare burst stays visible."""

BATCH = 512
"""Windows whose columns are computed at once, which bounds the memory beside the result."""


@dataclass(frozen=True)
class Limits:
    """What training windows reached, beyond which values are clipped.

    `lowest_level[C]` and `highest_level[C]` are those of openings; `low[F]` and `high[F]` are
    quantiles of the normalized columns.
    """

    lowest_level: Array
    highest_level: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Normalizer:
    """Levels and scales of training windows, and of no other window.

    `opening[C]` is the median level in training, for a machine without a known opening;
    `mean[F]` and `std[F]` are of each column (axis 1) of the view. `pairs` are the channels whose
    ratios are columns. Version 3 of a view has neither pairs nor `limits`.
    """

    view: View
    opening: Array
    mean: Array
    std: Array
    version: ViewVersion = OLDEST
    pairs: tuple[Pair, ...] = ()
    limits: Limits | None = None

    @classmethod
    def fit(
        cls,
        view: View,
        windows: Windows,
        version: ViewVersion = OLDEST,
        schema: Schema | None = None,
    ) -> "Normalizer":
        """Fit to training windows; a column without spread or values has a scale of 1.

        From version 4 on, the `schema` of the windows says of which channels there are ratios.
        """
        return cls._fit(view, windows, version, pairs_of(view, version, schema) if schema else ())

    def arrays(self) -> dict[str, Array]:
        """Return all that was fitted, by name."""
        limits = vars(self.limits) if self.limits else {}
        return {"opening": self.opening, "mean": self.mean, "std": self.std, **limits}

    def again(self, windows: Windows) -> "Normalizer":
        """Return a normalizer of the same view and version, fitted to other windows."""
        return self._fit(self.view, windows, self.version, self.pairs)

    @classmethod
    def _fit(
        cls, view: View, windows: Windows, version: ViewVersion, chosen: tuple[Pair, ...]
    ) -> "Normalizer":
        usual = _level(windows)
        none = np.zeros(0)
        limits = Limits(*_extremes(windows, usual), none, none) if version > OLDEST else None
        draft = cls(view, usual, none, none, version, chosen, limits)
        z = draft._columns(windows.x, windows.opening, windows.past)
        if limits is not None:
            return _scaled(draft, limits, z)
        flat = np.moveaxis(z, 1, 0).reshape(z.shape[1], -1)
        known = np.isfinite(flat)
        count = np.maximum(known.sum(axis=1), 1)
        mean = np.where(known, flat, 0.0).sum(axis=1) / count
        off = np.where(known, flat - mean[:, None], 0.0)
        std = np.sqrt((off**2).sum(axis=1) / count)
        return cls(view, usual, mean, np.where(std > 1e-9, std, 1.0))

    def apply(
        self,
        x: NDArray[np.float32],
        opening: NDArray[np.float32],
        past: NDArray[np.float32] | None = None,
    ) -> Array:
        """Return `z[N,F]` or `z[N,F,T]` of windows `x[N,C,T]`, their `opening[N,C]` and `past`.

        Values that were not measured are NaN in both, and so is what depends on a past that is not
        given. `past[N,C,B]` means nothing to version 3, where F is 2CS or 2C.
        """
        z = self._columns(x, opening, past)
        shape = [1, -1] + [1] * (z.ndim - 2)
        z = np.asarray((z - self.mean.reshape(shape)) / self.std.reshape(shape))
        if self.limits is not None:
            np.clip(z, self.limits.low.reshape(shape), self.limits.high.reshape(shape), out=z)
        return z

    def _columns(
        self,
        x: NDArray[np.float32],
        opening: NDArray[np.float32],
        past: NDArray[np.float32] | None,
    ) -> Array:
        """Return the columns of the view before they are normalized."""
        level = np.where(np.isfinite(opening), opening, self.opening)
        if self.limits is None:
            z = signed_log(x)
            return VIEWS[self.view](np.concatenate([z, z - level[:, :, None]], axis=1))
        before = np.full((*x.shape[:2], PAST_BLOCKS), np.nan, np.float32) if past is None else past
        make = self._summary if self.view == "summary" else self._tensor
        z = make(x[:BATCH], level[:BATCH], before[:BATCH])
        if len(x) <= BATCH:
            return z
        whole = np.empty((len(x), *z.shape[1:]))
        for first in range(0, len(x), BATCH):
            rows = slice(first, first + BATCH)
            whole[rows] = z if first == 0 else make(x[rows], level[rows], before[rows])
        return whole

    def _summary(self, x: NDArray[np.float32], level: Array, past: NDArray[np.float32]) -> Array:
        """Return statistics of the steps, then of the past beside the level, then ratios."""
        z = self._both(signed_log(x), level)
        own = z[:, len(self.opening) :]
        beside = past.astype(np.float64) - level[:, :, None]
        before = context(own, beside).reshape(len(x), -1)
        return np.concatenate([VIEWS["summary"](z), before, ratios(x, self.pairs)], axis=1)

    def _tensor(self, x: NDArray[np.float32], level: Array, past: NDArray[np.float32]) -> Array:
        """Return the past at its coarser step, followed by the steps of the window."""
        z = np.concatenate([past.astype(np.float64), signed_log(x)], axis=2)
        return self._both(z, level)

    def _both(self, z: Array, level: Array) -> Array:
        """Return log rates `z[N,C,T]` of a machine of a known level, then beside its own level.

        A level beyond those of training is taken for the nearest of them.
        """
        assert self.limits is not None
        known = np.clip(level, self.limits.lowest_level, self.limits.highest_level)
        absolute = z - (level - known)[:, :, None]
        return np.concatenate([absolute, z - level[:, :, None]], axis=1)


def _level(windows: Windows) -> Array:
    """Return the median opening over windows, `[C]`; 0 for a channel that none of them has."""
    known = np.isfinite(windows.opening).any(axis=0)
    level = np.zeros(windows.opening.shape[1])
    level[known] = np.nanmedian(windows.opening[:, known].astype(np.float64), axis=0)
    return level


def _extremes(windows: Windows, usual: Array) -> tuple[Array, Array]:
    """Return the lowest and the highest opening over windows; `usual[C]` where none has one."""
    opening = windows.opening.astype(np.float64)
    ends = (end.reduce(opening, axis=0) for end in (np.fmin, np.fmax))
    lowest, highest = (np.where(np.isfinite(end), end, usual) for end in ends)
    return lowest, highest


def _scaled(draft: Normalizer, limits: Limits, z: Array) -> Normalizer:
    """Return a normalizer with scales and limits of its columns `z[N,F]` or `z[N,F,T]`.

    Columns are taken one by one: a copy of all of them may not fit into memory. Limits are
    quantiles, and at least `LEAST_LIMIT` from the mean. By Chebyshev's inequality none is beyond
    1 / sqrt(QUANTILE), about 14 standard deviations.
    """
    fitted = np.array([_scale(z[:, row]) for row in range(z.shape[1])])
    mean, std, low, high = np.ascontiguousarray(fitted.T)
    return replace(draft, mean=mean, std=std, limits=replace(limits, low=low, high=high))


def _scale(column: Array) -> tuple[float, float, float, float]:
    """Return mean, standard deviation, and lower and upper limit of what is measured."""
    known = column[np.isfinite(column)]
    if not len(known):
        return 0.0, 1.0, -LEAST_LIMIT, LEAST_LIMIT
    mean, std = float(known.mean()), float(known.std())
    std = std if std > 1e-9 else 1.0
    low, high = (np.quantile(known, (QUANTILE, 1 - QUANTILE)) - mean) / std
    return mean, std, min(float(low), -LEAST_LIMIT), max(float(high), LEAST_LIMIT)
