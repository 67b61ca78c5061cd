"""Aligns the samples of a source with the steps of a grid: rates, sums and means, held for a while.

Every source has a clock of its own, and is aligned by its wall time alone. A step's column depends
only on the samples up to its end and no further back than `hold + step`.
"""

import math

import numpy as np

from phasewatch.compiled import Compiled, Loop
from phasewatch.episode import Floats, Ints, Samples
from phasewatch.schema import COUNTER, GAUGE, NS, Grid, SourceColumns


def align(samples: Samples, columns: SourceColumns, grid: Grid, edges: Ints) -> Floats:
    """Return a source's columns between `edges[M+1]`, held values included, as rows `[M, C]`.

    Raises ValueError for samples that run back in time.
    """
    t, value = samples.t_wall_ns, _values(samples, columns)
    if (t[1:] < t[:-1]).any():
        raise ValueError("samples run back in time; the validator rejects such an episode")
    if fast := COMPILED.after(1):
        out = np.empty((len(edges) - 1, value.shape[1]))
        if fast(t, np.ascontiguousarray(value), edges, columns.sorts, _limits(grid), out):
            return out
    return _align(t, value, columns, grid, edges)


def _align(t: Ints, value: Floats, columns: SourceColumns, grid: Grid, edges: Ints) -> Floats:
    """Return the columns of `align` of the channels' values `[n, C]` at the times `t[n]`."""
    upto = np.searchsorted(t, edges, side="right")
    filled = upto[1:] > upto[:-1]
    full = np.flatnonzero(filled)
    if len(full) == 0:
        return np.full((len(filled), value.shape[1]), np.nan)
    begin, end = upto[:-1][full], upto[1:][full]
    measured = _measure(value, columns, begin, end, _seconds(t, begin, end, grid))
    latest = np.cumsum(filled) - 1
    held = (latest >= 0) & (edges[1:] - t[end[latest] - 1] <= grid.hold_ns)
    out = measured.take(latest, axis=0)
    if not held.all():
        out[~held] = np.nan
    return out


def _seconds(t: Ints, begin: Ints, end: Ints, grid: Grid) -> Floats:
    """Return the seconds from the sample before each step to its last; NaN where unknown."""
    elapsed = t[end - 1] - t[np.maximum(begin - 1, 0)]
    known = (begin > 0) & (elapsed <= grid.hold_ns + grid.step_ns) & (elapsed > 0)
    return np.where(known, elapsed, np.nan) / NS


def _values(samples: Samples, columns: SourceColumns) -> Floats:
    """Return the channels' values `[n, C]`; NaN where they are absent or no numbers."""
    value = np.asarray(samples.values, dtype=np.float64)
    if samples.names != columns.names:
        place = {name: column for column, name in enumerate(samples.names)}
        there = [row for row, name in enumerate(columns.names) if name in place]
        value = np.full((len(samples), len(columns.names)), np.nan)
        value[:, there] = samples.values[:, [place[columns.names[row]] for row in there]]
    infinite = np.isinf(value)
    return np.where(infinite, np.nan, value) if infinite.any() else value


# Sums of counters and differences of gauges are computed beside the others, and not used.
@np.errstate(over="ignore", invalid="ignore")
def _measure(
    value: Floats, columns: SourceColumns, begin: Ints, end: Ints, seconds: Floats
) -> Floats:
    """Return every channel's value in each step `value[begin:end]`, none empty, as `[M, C]`."""
    delta = value.take(end - 1, axis=0)
    delta -= value.take(np.maximum(begin - 1, 0), axis=0)
    # A counter that fell was reset: what passed across the reset is unknown, never negative.
    delta[delta < 0] = np.nan
    count = end - begin
    out = np.where(columns.sorts == COUNTER, delta, _sums(value, begin, count))
    out /= np.where(columns.sorts == GAUGE, count[:, None].astype(np.float64), seconds[:, None])
    return out


def _sums(value: Floats, begin: Ints, count: Ints) -> Floats:
    """Return sums `[M, C]` of `count` rows of `value[n, C]` from `begin` on, which adjoin.

    Most steps hold one sample or two; more are summed as `np.add.reduce` does.
    """
    if count.max() > 2:
        last = begin[-1] + count[-1]
        return np.asarray(np.add.reduceat(value[:last], begin))
    total: Floats = value.take(begin, axis=0)
    if len(two := np.flatnonzero(count > 1)):
        total[two] += value[begin[two] + 1]
    return total


# ---------------------------------------------------------------- the same as one loop

MOST_SUMMED = 8
"""Samples of one step that the loop sums in NumPy's order, which changes with more of them."""


def _limits(grid: Grid) -> Ints:
    """Return how long a value is held, and the longest time that a rate is measured over."""
    return np.array([grid.hold_ns, grid.hold_ns + grid.step_ns])


def _loop(t: Ints, value: Floats, edges: Ints, sorts: Ints, limits: Ints, out: Floats) -> bool:
    """Write what `_align` returns to `out[M,C]`; return whether no step has too many samples."""
    samples = len(t)
    at, newest, begun = 0, 0, False
    while at < samples and t[at] <= edges[0]:
        at += 1
    row = np.empty(value.shape[1])
    for step in range(len(edges) - 1):
        begin = at
        while at < samples and t[at] <= edges[step + 1]:
            at += 1
        if at - begin > MOST_SUMMED:
            return False
        if at > begin:
            newest, begun = t[at - 1], True
            elapsed = newest - t[max(begin - 1, 0)]
            known = begin > 0 and 0 < elapsed <= limits[1]
            measure(value, sorts, (begin, at), elapsed / NS if known else math.nan, row)
        held = begun and edges[step + 1] - newest <= limits[0]
        for c in range(len(row)):
            out[step, c] = row[c] if held else math.nan
    return True


def measure(value: Floats, sorts: Ints, span: tuple[int, int], seconds: float, row: Floats) -> None:
    """Write to `row[C]` what the channels of `value[n,C]` are in a step of so many seconds.

    The step has the samples of `span`, at least one and at most `MOST_SUMMED`.
    """
    begin, end = span
    for c in range(len(row)):
        if sorts[c] == COUNTER:
            delta = value[end - 1, c] - value[max(begin - 1, 0), c]
            row[c] = math.nan if delta < 0 else delta / seconds
            continue
        total = value[begin, c]
        if end - begin > 1:
            # NumPy adds the others first, and then their sum to the first.
            rest = value[begin + 1, c]
            for place in range(begin + 2, end):
                rest += value[place, c]
            total += rest
        row[c] = total / (end - begin) if sorts[c] == GAUGE else total / seconds


def _same(loop: Loop) -> bool:
    """Return whether a compiled loop gives the bits of `_align` for made-up samples."""
    generator = np.random.default_rng(0)
    grid = Grid(10.0, 5.0, 0.5, 1.0)
    t = np.cumsum(generator.choice([0, 1, 90, 300, 700, 2500], 400)) * (NS // 1000)
    value = generator.normal(size=(len(t), 9)) * 10.0 ** generator.integers(-3, 9, 9)
    value[generator.random(value.shape) < 0.05] = np.nan
    columns = SourceColumns((), slice(0, 9), np.arange(9) % 3)
    edges = np.arange(0, t[-1] + 3 * NS, grid.step_ns)
    out = np.empty((len(edges) - 1, 9))
    done = loop(t, value, edges, columns.sorts, _limits(grid), out)
    return done and out.tobytes() == _align(t, value, columns, grid, edges).tobytes()


COMPILED = Compiled(_loop, 4096, _same, (measure,))
"""The loop, compiled after so many sources that it saves more time than that takes."""
