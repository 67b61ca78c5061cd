"""The views of a window: the columns that a model sees, before they are normalized.

First, log1p of every step, as it is and again minus the benign level of the machine: rates of
different machines differ by factors, and both carry information (docs/decisions/0009). Then the
view: `tensor` keeps the steps, `summary` keeps S statistics a channel at three time scales. The
normalizer then scales columns to mean 0 and standard deviation 1. Version 4 adds what came before
the window and ratios of channels (docs/decisions/0042).
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from phasewatch.compiled import Compiled, Loop
from phasewatch.features import context, statistics
from phasewatch.features.ratios import Pair, pairs
from phasewatch.io import atomic
from phasewatch.schema import Schema
from phasewatch.windowing import PAST_BLOCKS

View = Literal["summary", "tensor"]
Array = NDArray[np.float64]

STATISTICS = ("mean", "std", "min", "median", "max", "half", "quarter")
"""The S statistics of a channel: five of all steps, then means of the last half and quarter."""

BLOCK = 32
"""Number of windows that are summarised at once, which the processor's cache holds."""

ViewVersion = Literal[3, 4]
OLDEST: ViewVersion = 3
NEWEST: ViewVersion = 4
"""Versions of the arithmetic of views. Version 4 adds the past, ratios and limits, see
`normalizer`. Models of a version keep it: a change of meaning needs another number."""

PREFERRED: dict[View, ViewVersion] = {"summary": OLDEST, "tensor": OLDEST}
"""The version that a new training takes unless told: the newest that won on validation."""


def tensor(z: Array) -> Array:
    """Return every step unchanged, `[N,C,T]`."""
    return z


def summary(z: Array) -> Array:
    """Return statistics `[N, C*S]` of the measured steps of `z[N,C,T]`; NaN where none was."""
    out = np.empty((len(z), z.shape[1] * len(STATISTICS)))
    if loop := COMPILED.after(len(z)):
        _by_loop(loop, z, out)
        return out
    return _by_numpy(z, out)


def _by_loop(loop: Loop, z: Array, out: Array) -> None:
    """Write `summary(z)` by a loop over windows."""
    steps = z.shape[2]
    spans = np.array([0, *(steps - max(steps // part, 1) for part in (2, 4))])
    by_channel = out.reshape(len(z), z.shape[1], len(STATISTICS))
    loop(np.ascontiguousarray(z), spans, statistics.sorting_network(steps), by_channel)


def _same(loop: Loop) -> bool:
    """Return whether a compiled loop gives the bits of NumPy for made-up windows with gaps."""
    generator = np.random.default_rng(0)
    for steps in (1, 2, 7, 10, 20, 33):
        z = generator.normal(size=(8, 5, steps)) * 10.0 ** generator.integers(-3, 3, (8, 5, 1))
        z[4:][generator.random((4, 5, steps)) < 0.3] = np.nan
        by_loop, by_numpy = np.empty((2, 8, 5 * len(STATISTICS)))
        _by_loop(loop, z, by_loop)
        if by_loop.tobytes() != _by_numpy(z, by_numpy).tobytes():
            return False
    return True


COMPILED = Compiled(statistics.loop, 50_000, _same, statistics.PARTS)
"""The loop over windows, compiled after so many that it saves more time than that takes."""


def _by_numpy(z: Array, out: Array) -> Array:
    """Write `summary(z)` to `out`, and return it."""
    known = np.isfinite(z)
    complete = np.asarray(known.all(axis=(1, 2)))
    # Most windows have no gap. Computed apart from the others, they take half the time.
    for alike in (np.flatnonzero(complete), np.flatnonzero(~complete)):
        for first in range(0, len(alike), BLOCK):
            rows = alike[first : first + BLOCK]
            out[rows] = _summary(z[rows], None if complete[rows[0]] else known[rows])
    return out


def _summary(z: Array, known: NDArray[np.bool_] | None) -> Array:
    """Return `summary(z)`; `known[N,C,T]` marks the measured steps, None means that all are."""
    filled = z if known is None else np.where(known, z, 0.0)
    marks = None if known is None else known.astype(np.int64)

    def last(steps: int) -> tuple[Any, Array]:
        """Return how many of the last steps were measured, and their mean, `[N,C]` each."""
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


def fingerprint(schema: Schema, view: View, version: ViewVersion = OLDEST) -> str:
    """Return the sha256 over all that gives a view's columns their meaning."""
    statistics = [*STATISTICS] if view == "summary" else []
    return atomic.digest([schema.definition(), view, statistics + _added(view, version), version])


def _added(view: View, version: ViewVersion) -> list[object]:
    """Return what a version adds to the columns of version 3; pairs follow from the schema."""
    if version == OLDEST:
        return []
    past = [PAST_BLOCKS, "blocks"]
    return past if view == "tensor" else [*past, *context.HORIZONS, *context.STATISTICS, "ratios"]


def pairs_of(view: View, version: ViewVersion, schema: Schema) -> tuple[Pair, ...]:
    """Return the pairs of channels whose ratios are columns of a view."""
    return pairs(schema) if view == "summary" and version > OLDEST else ()


def count_columns(view: View, version: ViewVersion, schema: Schema) -> int:
    """Return F, the number of columns (axis 1) of a view."""
    channels = len(schema.channels)
    if view == "tensor":
        return 2 * channels
    added = channels * context.COLUMNS if version > OLDEST else 0
    return 2 * channels * len(STATISTICS) + added + len(pairs_of(view, version, schema))


def count_steps(view: View, version: ViewVersion, schema: Schema) -> int:
    """Return the number of steps of a column, coarse ones included; 0 where it has none."""
    if view == "summary":
        return 0
    return schema.grid.steps + (PAST_BLOCKS if version > OLDEST else 0)
