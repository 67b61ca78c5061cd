"""Bootstrap replicates of episodes, in blocks whose memory does not grow with their number.

A replicate draws episodes with replacement, for intervals over other episodes of the same hosts, or
hosts and then their episodes, for intervals over other hosts of the same kinds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REPLICATES, PAIRED_REPLICATES = 2000, 10_000

BLOCK_WEIGHTS = 1 << 21
"""How many weights are in memory at a time: 16 MiB, and as much again as floating point."""


@dataclass(frozen=True)
class Block:
    """How often the replicates in `rows` draw the episodes in `columns`: `weights[b,e]`."""

    rows: slice
    columns: NDArray[np.int64] | slice
    weights: NDArray[np.int64]


@dataclass(frozen=True)
class Resampling:
    """B `replicates` of some episodes; every call of `blocks` gives the same draws.

    The same seed gives the same replicates, so that two scores can be compared in pairs.
    """

    replicates: int
    blocks: Callable[[], Iterator[Block]]

    def totals(self, values: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sum of counts `[E,...]` over the episodes of every replicate, `[B,...]`.

        The product is one of float64, which BLAS computes much faster and which is exact for
        counts.
        """
        flat = values.reshape(len(values), -1).astype(np.float64)
        total = np.zeros((self.replicates, flat.shape[1]))
        for block in self.blocks():
            total[block.rows] += block.weights.astype(np.float64) @ flat[block.columns]
        return total.reshape(self.replicates, *values.shape[1:])


def over_episodes(episodes: int, seed: int, replicates: int = REPLICATES) -> Resampling:
    """Return replicates that draw as many episodes as there are."""

    def blocks() -> Iterator[Block]:
        generator = np.random.default_rng(seed)
        even = np.full(episodes, 1 / episodes)
        for rows in _parts(replicates, episodes):
            size = rows.stop - rows.start
            yield Block(rows, slice(None), generator.multinomial(episodes, even, size=size))

    return Resampling(replicates, blocks)


def over_hosts(host: NDArray[np.str_], seed: int, replicates: int = REPLICATES) -> Resampling:
    """Return replicates that draw hosts, and then episodes of each; `host[E]` is of the episodes.

    Each time a host is drawn, as many episodes as it has are drawn from it anew (Davison and
    Hinkley, Bootstrap Methods and their Application, 1997, 3.8).
    """
    names, place = np.unique(host, return_inverse=True)

    def blocks() -> Iterator[Block]:
        generator = np.random.default_rng(seed)
        even = np.full(len(names), 1 / len(names))
        drawn = generator.multinomial(len(names), even, size=replicates)
        for number in range(len(names)):
            columns = np.flatnonzero(place == number)
            even = np.full(len(columns), 1 / len(columns))
            for rows in _parts(replicates, len(columns)):
                often = drawn[rows, number] * len(columns)
                yield Block(rows, columns, generator.multinomial(often, even))

    return Resampling(replicates, blocks)


def _parts(replicates: int, episodes: int) -> Iterator[slice]:
    """Yield consecutive replicates whose weights fill a block. The draws are those of one call."""
    step = max(BLOCK_WEIGHTS // max(episodes, 1), 1)
    for first in range(0, replicates, step):
        yield slice(first, min(first + step, replicates))
