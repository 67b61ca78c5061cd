"""Ratios of channels in a window: bytes a packet, received to sent, time a request.

Which pairs make sense follows from the schema alone, from the unit and kind of its channels. No
channel is named here.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from phasewatch.schema import Channel, Schema

Array = NDArray[np.float64]
Pair = tuple[int, int]
"""Two channels by their places in a schema: the first is divided by the second."""

VOLUME = frozenset(("b", "byte", "bytes", "kb", "kib", "mb", "mib", "page", "sector"))
TIME = frozenset(("ns", "us", "ms", "s", "second", "tick"))
"""Units of an amount of data and of time, in lower case; every other unit counts something."""

MOST_ALIKE, MOST_PAIRS = 8, 64
"""Channels of one unit, and pairs of volumes or times over counts, from which on there are too many
for each pair to be a column."""


def pairs(schema: Schema) -> tuple[Pair, ...]:
    """Return the pairs of channels whose ratio is a column, each once.

    Within each source, and without gauges, which are no rates: all pairs of one unit, then volumes
    over counts, then times over counts.
    """
    place = {channel.name: row for row, channel in enumerate(schema.channels)}
    found = (
        (place[one.name], place[other.name])
        for source in schema.sources
        for one, other in _of_source(schema.channels_of(source))
    )
    return tuple(dict.fromkeys(found))


def _of_source(channels: Sequence[Channel]) -> Iterator[tuple[Channel, Channel]]:
    """Yield the pairs of one source's channels."""
    rates = [one for one in channels if one.kind != "gauge"]
    for unit in dict.fromkeys(one.unit for one in rates):
        alike = [one for one in rates if one.unit == unit]
        if len(alike) <= MOST_ALIKE:
            yield from combinations(alike, 2)
    volumes, times = (
        [one for one in rates if one.unit.lower() in units] for units in (VOLUME, TIME)
    )
    counts = [one for one in rates if one not in (*volumes, *times)]
    for amounts in (volumes, times):
        if len(amounts) * len(counts) <= MOST_PAIRS:
            yield from product(amounts, counts)


def ratios(x: NDArray[np.float32], chosen: Sequence[Pair]) -> Array:
    """Return `log1p(mean |x_a|) - log1p(mean |x_b|)` of each pair (a, b) in `x[N,C,T]`, `[N,R]`.

    The means are over measured steps; NaN where one of the two was not measured.
    """
    size = np.abs(x.astype(np.float64))
    known = np.isfinite(size)
    count = np.einsum("nct->nc", known.astype(np.int64))
    total = np.einsum("nct->nc", np.where(known, size, 0.0))
    level = np.log1p(total / np.where(count > 0, count, np.nan))
    first, second = np.array(chosen, dtype=np.int64).reshape(-1, 2).T
    return np.asarray(level[:, first] - level[:, second])
