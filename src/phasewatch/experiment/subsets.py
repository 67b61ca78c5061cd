"""Growing training sets for learning curves: random subsets of samples, hosts and episodes.

A subset is drawn from what a fold may train on; what it is evaluated on is the same for every size.
Within one draw a larger subset contains the smaller ones, so that steps of a curve are compared in
pairs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from phasewatch.episode import Identity
from phasewatch.errors import Refused
from phasewatch.splits import MOST_FOLDS, Split, grouped_folds

LADDER = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Sizes of subsets: steps of a third or a half, so that a long curve stays affordable."""

SHARES = (0.25, 0.5, 0.75, 1.0)
MOST_HOST_FOLDS = 10
"""Hosts are few, so they are dealt into more folds than samples are: more are left to train on."""

SEED = 0


@dataclass(frozen=True)
class Axis:
    """What a learning curve varies: its unit in words, and the grouped split that holds out.

    `sizes` returns the sizes of the subsets from the training episodes of every fold, and `chosen`
    the ids of one subset: of a size, from training episodes, in the order that a generator draws.
    """

    name: str
    unit: str
    recipe: str
    most_folds: int
    sizes: Callable[[Sequence[Sequence[Identity]]], list[float]]
    chosen: Callable[[Sequence[Identity], float, np.random.Generator], list[str]]


@dataclass(frozen=True)
class Fit:
    """One training of a curve: its size and draw, and the episodes on each side of its fold."""

    axis: str
    size: float
    draw: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def plan(axis: Axis, episodes: Sequence[Identity], draws: int) -> list[Fit]:
    """Return every training of a curve, fold by fold.

    Raises Refused when the episodes allow no fold, or subsets of only one size.
    """
    folds = grouped_folds(axis.recipe, episodes, axis.most_folds)
    pools = [_pool(episodes, fold) for fold in folds]
    sizes = axis.sizes(pools)
    if len(sizes) < 2:
        raise Refused(
            f"learning curve of {axis.name}",
            f"training sets have one size only, {axis.unit}: {sizes[0]:g}",
            "two sizes or more beside what is held out to choose on and to test",
            "Record more.",
        )
    return [
        fit
        for number, (fold, pool) in enumerate(zip(folds, pools, strict=True))
        for draw in range(draws)
        for fit in _nested(axis, sizes, (fold, pool), (number, draw))
    ]


def _nested(
    axis: Axis,
    sizes: Sequence[float],
    fold: tuple[Split, Sequence[Identity]],
    numbers: tuple[int, int],
) -> Iterator[Fit]:
    """Yield the trainings of one draw of one fold; each size contains the smaller ones."""
    split, pool = fold
    for size in sizes:
        # The same generator for every size draws the same order.
        generator = np.random.default_rng([SEED, *numbers])
        train = tuple(sorted(axis.chosen(pool, size, generator)))
        yield Fit(axis.name, size, numbers[1], train, split.validation, split.test)


def _pool(episodes: Sequence[Identity], fold: Split) -> list[Identity]:
    """Return the episodes that a fold may train on: the part held back as seen is not needed."""
    ids = {*fold.train, *fold.seen}
    return sorted((one for one in episodes if one.id in ids), key=lambda one: one.id)


def _profiles(episodes: Sequence[Identity]) -> list[list[Identity]]:
    """Return the episodes of each profile."""
    names = sorted({one.profile for one in episodes})
    return [[one for one in episodes if one.profile == name] for name in names]


def _samples(episodes: Sequence[Identity]) -> list[str]:
    return sorted({one.sample for one in episodes})


def _hosts(episodes: Sequence[Identity]) -> list[str]:
    return sorted({one.host for one in episodes})


# ---------------------------------------------------------------- samples, hosts, episodes


def _up_to(most: int, ladder: Sequence[int]) -> list[float]:
    """Return the sizes of a ladder below `most`, and `most`."""
    return [*(float(size) for size in ladder if size < most), float(most)]


def sample_sizes(pools: Sequence[Sequence[Identity]]) -> list[float]:
    """Return numbers of samples a profile, up to those of the profile that has most of them."""
    return _up_to(min(max(len(_samples(own)) for own in _profiles(pool)) for pool in pools), LADDER)


def host_sizes(pools: Sequence[Sequence[Identity]]) -> list[float]:
    """Return even numbers of hosts, or all numbers where three hosts or fewer are left."""
    most = min(len(_hosts(pool)) for pool in pools)
    return _up_to(most, [size for size in LADDER if size % 2 == 0 or most < 4])


def episode_shares(pools: Sequence[Sequence[Identity]]) -> list[float]:
    """Return the shares of the episodes; only all of them where profiles are too small to share."""
    least = min(len(own) for pool in pools for own in _profiles(pool))
    return list(SHARES) if least >= 2 else [1.0]


def some_samples(
    pool: Sequence[Identity], size: float, generator: np.random.Generator
) -> list[str]:
    """Return the episodes of `size` samples of every profile; of all, where it has fewer."""
    chosen: set[str] = set()
    for own in _profiles(pool):
        chosen.update(generator.permutation(_samples(own))[: int(size)].tolist())
    return [one.id for one in pool if one.sample in chosen]


def some_hosts(pool: Sequence[Identity], size: float, generator: np.random.Generator) -> list[str]:
    """Return the episodes of `size` hosts."""
    chosen = set(generator.permutation(_hosts(pool))[: int(size)].tolist())
    return [one.id for one in pool if one.host in chosen]


def some_episodes(
    pool: Sequence[Identity], size: float, generator: np.random.Generator
) -> list[str]:
    """Return a share `size` of the episodes of every profile, at least one of each."""
    return [
        id
        for own in _profiles(pool)
        for id in generator.permutation([one.id for one in own])[: max(round(size * len(own)), 1)]
    ]


AXES = (
    Axis(
        "samples",
        "training samples a profile",
        "k_fold_sample",
        MOST_FOLDS,
        sample_sizes,
        some_samples,
    ),
    Axis("hosts", "training hosts", "k_fold_host", MOST_HOST_FOLDS, host_sizes, some_hosts),
    Axis(
        "episodes",
        "share of training episodes",
        "k_fold_sample",
        MOST_FOLDS,
        episode_shares,
        some_episodes,
    ),
)
