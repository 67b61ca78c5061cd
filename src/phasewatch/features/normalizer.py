"""The normalizer of a model: levels and scales of the training windows.

Version 4 of a view adds the past, ratios of channels, and limits. No machine, however busy, gives
a model larger numbers than training did: a level beyond those of all training machines is
taken for the nearest of them, and normalized columns are clipped at quantiles of training windows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from phasewatch.features.context import context
from phasewatch.features.ratios import Pair, ratios
from phasewatch.features.views import OLDEST, VIEWS, Array, View, ViewVersion, pairs_of
from phasewatch.schema import Schema
from phasewatch.windowing import PAST_BLOCKS, WindowSet, signed_log

QUANTILE = 0.005
"""Share of the training values of a column that are clipped at either end."""

LEAST_LIMIT = 4.0
"""Standard deviations within which nothing is clipped: a rare burst stays visible."""

Singles = NDArray[np.float32]

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
        windows: WindowSet,
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

    def again(self, windows: WindowSet) -> "Normalizer":
        """Return a normalizer of the same view and version, fitted to other windows."""
        return self._fit(self.view, windows, self.version, self.pairs)

    @classmethod
    def _fit(
        cls, view: View, windows: WindowSet, version: ViewVersion, chosen: tuple[Pair, ...]
    ) -> "Normalizer":
        opening = windows.openings(np.arange(len(windows)))
        usual = _level(opening)
        none = np.zeros(0)
        limits = Limits(*_extremes(opening, usual), none, none) if version > OLDEST else None
        del opening
        draft = cls(view, usual, none, none, version, chosen, limits)
        columns = (draft._columns(*inputs) for inputs in draft._inputs(windows))
        if limits is not None:
            return _scaled(draft, limits, columns, len(windows))
        moments = _moments(columns)
        std = np.sqrt(moments.squares / moments.divisor)
        return cls(view, usual, moments.mean, np.where(std > 1e-9, std, 1.0))

    def _inputs(self, windows: WindowSet) -> Iterator[tuple[Singles, Singles, Singles]]:
        """Yield steps, levels and past of windows in blocks."""
        for block in windows.blocks(past=self.version > OLDEST):
            yield block.x, block.opening, block.past

    def blocks(self, windows: WindowSet) -> Iterator[Array]:
        """Yield `apply` of all windows in blocks, in order."""
        for inputs in self._inputs(windows):
            yield self.apply(*inputs)

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
        before = past
        if self.limits is not None and past is None:
            before = np.full((*x.shape[:2], PAST_BLOCKS), np.nan, np.float32)
        parts = [slice(first, first + BATCH) for first in range(0, max(len(x), 1), BATCH)]
        z = self._some(x[parts[0]], level[parts[0]], None if before is None else before[parts[0]])
        if len(parts) == 1:
            return z
        whole = np.empty((len(x), *z.shape[1:]))
        whole[parts[0]] = z
        for rows in parts[1:]:
            earlier = None if before is None else before[rows]
            whole[rows] = self._some(x[rows], level[rows], earlier)
        return whole

    def _some(self, x: Singles, level: Array, past: Singles | None) -> Array:
        """Return the columns of a few windows."""
        if self.limits is None or past is None:
            z = signed_log(x)
            return VIEWS[self.view](np.concatenate([z, z - level[:, :, None]], axis=1))
        return (
            self._summary(x, level, past)
            if self.view == "summary"
            else self._tensor(x, level, past)
        )

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


def _level(opening: Singles) -> Array:
    """Return the median of `opening[N,C]`, `[C]`; 0 for a channel that no window has."""
    level = np.zeros(opening.shape[1])
    for row in np.flatnonzero(np.isfinite(opening).any(axis=0)).tolist():
        level[row] = np.nanmedian(opening[:, row].astype(np.float64))
    return level


def _extremes(opening: Singles, usual: Array) -> tuple[Array, Array]:
    """Return the lowest and the highest of `opening[N,C]`; `usual[C]` where none has one."""
    ends = (end.reduce(opening, axis=0).astype(np.float64) for end in (np.fmin, np.fmax))
    lowest, highest = (np.where(np.isfinite(end), end, usual) for end in ends)
    return lowest, highest


@dataclass(frozen=True)
class Moments:
    """Number, mean and sum of squared deviations of what is measured in each column, `[F]`."""

    count: NDArray[np.int64]
    mean: Array
    squares: Array

    @property
    def divisor(self) -> NDArray[np.int64]:
        """The count, and 1 where nothing is measured."""
        return np.maximum(self.count, 1)

    @classmethod
    def of(cls, z: Array) -> "Moments":
        """Return those of one block `z[N,F]` or `z[N,F,T]`."""
        flat = np.moveaxis(z, 1, 0).reshape(z.shape[1], -1)
        known = np.isfinite(flat)
        count = known.sum(axis=1)
        mean = np.where(known, flat, 0.0).sum(axis=1) / np.maximum(count, 1)
        off = np.where(known, flat - mean[:, None], 0.0)
        return cls(count, mean, (off**2).sum(axis=1))

    def joined(self, other: "Moments") -> "Moments":
        """Return those of both blocks (Chan, Golub and LeVeque, 1983)."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        apart = other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * self.count * share
        return Moments(count, self.mean + apart * share, squares)


def _moments(blocks: Iterable[Array]) -> Moments:
    """Return the moments of all blocks; of a single one to the bit those of `Moments.of`."""
    return reduce(Moments.joined, map(Moments.of, blocks))


def _scaled(draft: Normalizer, limits: Limits, blocks: Iterator[Array], many: int) -> Normalizer:
    """Return a normalizer with scales and limits of the columns of `many` windows, in blocks.

    Columns of a single block are taken one by one: a copy of all of them may not fit into memory.
    Limits are quantiles, and at least `LEAST_LIMIT` from the mean. By Chebyshev's inequality none
    is beyond 1 / sqrt(QUANTILE), about 14 standard deviations.
    """
    z = next(blocks)
    if len(z) == many:
        fitted = np.array([_scale(z[:, row]) for row in range(z.shape[1])])
    else:
        fitted = _scales(chain([z], blocks), many)
    mean, std, low, high = np.ascontiguousarray(fitted.T)
    return replace(draft, mean=mean, std=std, limits=replace(limits, low=low, high=high))


def _scales(blocks: Iterable[Array], many: int) -> Array:
    """Return `_scale` of every column of several blocks, `[F,4]`, with other last bits.

    Of each column only the tails are kept, in which both quantiles lie.
    """
    moments: Moments | None = None
    low = high = np.zeros((0, 0))
    for z in blocks:
        own = Moments.of(z)
        moments = moments.joined(own) if moments else own
        flat = np.moveaxis(z, 1, 0).reshape(z.shape[1], -1)
        kept = int(QUANTILE * many * flat.shape[1] / len(z)) + 2
        low, high = _least(low, flat, kept), _least(high, -flat, kept)
    assert moments is not None
    std = np.sqrt(moments.squares / moments.divisor)
    std = np.where(std > 1e-9, std, 1.0)
    ends = [_quantile(low, moments.count), -_quantile(high, moments.count)]
    lower, upper = ((end - moments.mean) / std for end in ends)
    known = moments.count > 0
    lower = np.where(known, np.minimum(lower, -LEAST_LIMIT), -LEAST_LIMIT)
    upper = np.where(known, np.maximum(upper, LEAST_LIMIT), LEAST_LIMIT)
    return np.stack([moments.mean, std, lower, upper], axis=1)


def _least(before: Array, values: Array, kept: int) -> Array:
    """Return the least `kept` values of both in each column; infinity where there are fewer."""
    measured = np.where(np.isfinite(values), values, np.inf)
    every = np.concatenate([before.reshape(len(values), -1), measured], axis=1)
    return np.partition(every, kept - 1, axis=1)[:, :kept] if every.shape[1] > kept else every


def _quantile(least: Array, count: NDArray[np.int64]) -> Array:
    """Return the quantile at `QUANTILE` of `count[F]` values, of which `least[F,L]` are given."""
    ordered = np.sort(least, axis=1)
    # What is infinite here was not measured, and has no part in a quantile of what was.
    ordered[np.isinf(ordered)] = 0.0
    place = QUANTILE * np.maximum(count - 1, 0)
    below = place.astype(np.int64)
    first, second = (
        np.take_along_axis(ordered, np.minimum(below + more, ordered.shape[1] - 1)[:, None], 1)[
            :, 0
        ]
        for more in (0, 1)
    )
    share = place - below
    return np.asarray(np.where(share > 0, first + (second - first) * share, first))


def _scale(column: Array) -> tuple[float, float, float, float]:
    """Return mean, standard deviation, and lower and upper limit of what is measured."""
    known = column[np.isfinite(column)]
    if not len(known):
        return 0.0, 1.0, -LEAST_LIMIT, LEAST_LIMIT
    mean, std = float(known.mean()), float(known.std())
    std = std if std > 1e-9 else 1.0
    low, high = (np.quantile(known, (QUANTILE, 1 - QUANTILE)) - mean) / std
    return mean, std, min(float(low), -LEAST_LIMIT), max(float(high), LEAST_LIMIT)
