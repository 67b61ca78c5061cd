"""Answers that need no detector: by the clock, by the host's name, by one channel, by chance.

A corpus in which any of them comes near a model is too easy, and the model's score says nothing.
Each learns from training windows alone; all weigh the classes alike, as the models do.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from phasewatch import metrics
from phasewatch.features.views import STATISTICS, summary
from phasewatch.models.base import balance
from phasewatch.schema import NS
from phasewatch.windowing import Windows, log

Labels = NDArray[np.int64]
Baseline = Callable[[Windows, Windows, Windows, int], Labels]

BIN_S = 5
TREE_LEAVES = 24
"""Leaves of the tree over one channel: enough for four steps a class, too few to learn by heart."""

BASELINES: dict[str, Baseline] = {}
CHANNEL_FREE: list[str] = []
"""Baselines that look at no channel, and say the same in every mode."""


def baseline(name: str, blind: bool = True) -> Callable[[Baseline], Baseline]:
    """Register an answer: of training, validation and test windows and K, to test classes."""

    def register(answer: Baseline) -> Baseline:
        BASELINES[name] = answer
        if blind:
            CHANNEL_FREE.append(name)
        return answer

    return register


@baseline("chance")
def chance(train: Windows, validation: Windows, test: Windows, classes: int) -> Labels:
    """Drawn as often as each class was met in training."""
    share = np.bincount(train.y, minlength=classes) / len(train.y)
    return np.random.default_rng(0).choice(classes, size=len(test), p=share)


@baseline("time only")
def time_only(train: Windows, validation: Windows, test: Windows, classes: int) -> Labels:
    """The seconds since the episode began, in bins of 5 s."""
    bins = [_elapsed(windows) // BIN_S for windows in (train, test)]
    return _vote(bins[0], train.y, bins[1], classes)


@baseline("host only")
def host_only(train: Windows, validation: Windows, test: Windows, classes: int) -> Labels:
    """The host's name; of a new host nothing is known but its being new."""
    known, place = np.unique(train.host, return_inverse=True)
    asked = np.searchsorted(known, test.host)
    asked = np.where(np.isin(test.host, known), np.minimum(asked, len(known) - 1), len(known))
    return _vote(place, train.y, asked, classes)


@baseline("best channel", blind=False)
def best_channel(train: Windows, validation: Windows, test: Windows, classes: int) -> Labels:
    """A small tree over the statistics of one channel: the one that does best on validation."""
    views = [summary(log(part.x)) for part in (train, validation, test)]
    weight = balance(train.y, classes)
    best, found = -1.0, np.zeros(len(test), np.int64)
    for channel in range(train.x.shape[1]):
        own = slice(channel * len(STATISTICS), (channel + 1) * len(STATISTICS))
        tree = DecisionTreeClassifier(max_leaf_nodes=TREE_LEAVES, random_state=0)
        tree.fit(views[0][:, own], train.y, sample_weight=weight)
        _, cube = metrics.confusions(
            validation.episode, validation.y, tree.predict(views[1][:, own]), classes
        )
        score = float(metrics.macro_f1(cube.sum(axis=0)))
        if score > best:
            best, found = score, tree.predict(views[2][:, own])
    return found


def _elapsed(windows: Windows) -> NDArray[np.int64]:
    """Whole seconds from each episode's first window to each window's end."""
    _, place = np.unique(windows.episode, return_inverse=True)
    first = np.full(place.max(initial=0) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, place, windows.t_ns)
    return np.asarray((windows.t_ns - first[place]) // NS)


def _vote(
    cell: NDArray[np.int64], y: NDArray[np.int64], asked: NDArray[np.int64], classes: int
) -> Labels:
    """The heaviest class of each cell; in a cell that training never met, the most common one."""
    weight = np.zeros((max(cell.max(initial=0), asked.max(initial=0)) + 1, classes))
    np.add.at(weight, (cell, y), balance(y, classes))
    common = np.bincount(y, minlength=classes).argmax()
    best = np.where(weight.any(axis=1), weight.argmax(axis=1), common)
    return np.asarray(best[asked])
