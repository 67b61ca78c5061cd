"""Baseline predictions that need no detector: from the time, the host name, one channel, chance.

A corpus in which one of them comes near a model is too easy, and the score of the model means
little. Each is fitted on training windows alone and weighs all classes the same, as models do.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from phasewatch import metrics
from phasewatch.features.views import STATISTICS, summary
from phasewatch.models.base import balance
from phasewatch.schema import NS
from phasewatch.windowing import Windows, signed_log

Labels = NDArray[np.int64]
Baseline = Callable[[Windows, Windows, Windows, int], Labels]

BIN_S = 5
TREE_LEAVES = 24
"""Leaves of the tree over one channel: enough for four a class, too few to memorise windows."""

BASELINES: dict[str, Baseline] = {}
CHANNEL_FREE: list[str] = []
"""Baselines that use no channel, so that their predictions are the same in every mode."""


def baseline(name: str, channel_free: bool = True) -> Callable[[Baseline], Baseline]:
    """Register a baseline: it takes training, validation and test windows and K."""

    def register(predict: Baseline) -> Baseline:
        BASELINES[name] = predict
        if channel_free:
            CHANNEL_FREE.append(name)
        return predict

    return register


@baseline("chance")
def chance(train: Windows, validation: Windows, test: Windows, classes: int) -> Labels:
    """Predict classes at random, as often as training has each of them."""
    share = np.bincount(train.y, minlength=classes) / len(train.y)
    return np.random.default_rng(0).choice(classes, size=len(test), p=share)


@baseline("time only")
def time_only(train: Windows, validation: Windows, test: Windows, classes: int) -> Labels:
    """Predict the class from the seconds since the episode began, in bins of BIN_S."""
    bins = [_elapsed(windows) // BIN_S for windows in (train, test)]
    return _vote(bins[0], train.y, bins[1], classes)


@baseline("host only")
def host_only(train: Windows, validation: Windows, test: Windows, classes: int) -> Labels:
    """Predict the class from the name of the host; all hosts that training lacks are one."""
    known, place = np.unique(train.host, return_inverse=True)
    queried = np.searchsorted(known, test.host)
    queried = np.where(np.isin(test.host, known), np.minimum(queried, len(known) - 1), len(known))
    return _vote(place, train.y, queried, classes)


@baseline("best channel", channel_free=False)
def best_channel(train: Windows, validation: Windows, test: Windows, classes: int) -> Labels:
    """Predict with a small tree over one channel: the channel that does best on validation."""
    views = [summary(signed_log(part.x)) for part in (train, validation, test)]
    weight = balance(train.y, classes)
    best, found = -1.0, np.zeros(len(test), np.int64)
    for channel in range(train.x.shape[1]):
        columns = slice(channel * len(STATISTICS), (channel + 1) * len(STATISTICS))
        tree = DecisionTreeClassifier(max_leaf_nodes=TREE_LEAVES, random_state=0)
        tree.fit(views[0][:, columns], train.y, sample_weight=weight)
        _, cube = metrics.confusions(
            validation.episode, validation.y, tree.predict(views[1][:, columns]), classes
        )
        score = float(metrics.macro_f1(cube.sum(axis=0)))
        if score > best:
            best, found = score, tree.predict(views[2][:, columns])
    return found


def _elapsed(windows: Windows) -> NDArray[np.int64]:
    """Return whole seconds from the first window of each episode to each window."""
    _, place = np.unique(windows.episode, return_inverse=True)
    first = np.full(place.max(initial=0) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, place, windows.t_ns)
    return np.asarray((windows.t_ns - first[place]) // NS)


def _vote(
    cell: NDArray[np.int64], y: NDArray[np.int64], queried: NDArray[np.int64], classes: int
) -> Labels:
    """Return the class with most weight in each cell; where training has none, the most common."""
    weight = np.zeros((max(cell.max(initial=0), queried.max(initial=0)) + 1, classes))
    np.add.at(weight, (cell, y), balance(y, classes))
    common = np.bincount(y, minlength=classes).argmax()
    best = np.where(weight.any(axis=1), weight.argmax(axis=1), common)
    return np.asarray(best[queried])
