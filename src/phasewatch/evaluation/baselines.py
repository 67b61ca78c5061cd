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
from phasewatch.windowing import WindowSet, signed_log

Labels = NDArray[np.int64]
Baseline = Callable[[WindowSet, WindowSet, WindowSet, int], Labels]

BIN_S = 5
TREE_LEAVES = 24
"""Leaves of the tree over one channel: enough for four a class, too few to memorise windows."""

MOST_WINDOWS = 65_536
"""Windows that a tree over one channel learns from, or is judged by."""

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
def chance(train: WindowSet, validation: WindowSet, test: WindowSet, classes: int) -> Labels:
    """Predict classes at random, as often as training has each of them."""
    share = np.bincount(train.y, minlength=classes) / len(train.y)
    return np.random.default_rng(0).choice(classes, size=len(test), p=share)


@baseline("time only")
def time_only(train: WindowSet, validation: WindowSet, test: WindowSet, classes: int) -> Labels:
    """Predict the class from the seconds since the episode began, in bins of BIN_S."""
    bins = [_elapsed(windows) // BIN_S for windows in (train, test)]
    return _vote(bins[0], train.y, bins[1], classes)


@baseline("host only")
def host_only(train: WindowSet, validation: WindowSet, test: WindowSet, classes: int) -> Labels:
    """Predict the class from the name of the host; all hosts that training lacks are one."""
    known, place = np.unique(train.host, return_inverse=True)
    queried = np.searchsorted(known, test.host)
    queried = np.where(np.isin(test.host, known), np.minimum(queried, len(known) - 1), len(known))
    return _vote(place, train.y, queried, classes)


@baseline("best channel", channel_free=False)
def best_channel(train: WindowSet, validation: WindowSet, test: WindowSet, classes: int) -> Labels:
    """Predict with a small tree over one channel: the channel that does best on validation.

    Of more than `MOST_WINDOWS` training windows the trees are fitted to so many, drawn at random,
    and those of validation judge by as many.
    """
    sampled, chosen = _sampled(train), _sampled(validation)
    learned = (_statistics(sampled), sampled.y, balance(sampled.y, classes))
    judged = _statistics(chosen)
    best, found = -1.0, None
    for channel in range(len(learned[0])):
        tree = DecisionTreeClassifier(max_leaf_nodes=TREE_LEAVES, random_state=0)
        tree.fit(learned[0][channel], learned[1], sample_weight=learned[2])
        _, cube = metrics.confusions(
            chosen.episode, chosen.y, tree.predict(judged[channel]), classes
        )
        score = float(metrics.macro_f1(cube.sum(axis=0)))
        if score > best:
            best, found = score, (channel, tree)
    if found is None:
        return np.zeros(len(test), np.int64)
    channel, tree = found
    return np.asarray(tree.predict(_statistics(test, channel)[0]))


def _sampled(windows: WindowSet) -> WindowSet:
    """Return at most `MOST_WINDOWS` windows, drawn at random, in their order."""
    if len(windows) <= MOST_WINDOWS:
        return windows
    drawn = np.random.default_rng(0).permutation(len(windows))[:MOST_WINDOWS]
    return windows.take(np.sort(drawn))


def _statistics(windows: WindowSet, channel: int | None = None) -> NDArray[np.float32]:
    """Return the statistics of each channel, or of one, `[C,N,S]`, in the precision of trees."""
    rows = slice(None) if channel is None else slice(channel, channel + 1)
    parts = [
        summary(signed_log(block.x[:, rows])).astype(np.float32)
        for block in windows.blocks(past=False)
    ]
    joined = np.concatenate(parts)
    return joined.reshape(len(joined), -1, len(STATISTICS)).swapaxes(0, 1)


def _elapsed(windows: WindowSet) -> NDArray[np.int64]:
    """Return whole seconds from the first window of each episode to each window."""
    _, place = windows.episodes
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
