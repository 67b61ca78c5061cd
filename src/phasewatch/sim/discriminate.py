"""How well boosted trees tell the windows of two stores apart: a classifier two-sample test.

The trees see the same view as the models of phases, and are scored on episodes that they were not
trained on. An area under the ROC curve of .5 means that no difference was found, 1 that every
window gives its store away (Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, ICLR
2017). Both stores give the same number of windows of each host in each phase, so that what is
compared is how windows look, and not how many there are of each kind.
"""

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from phasewatch.errors import Refused
from phasewatch.features.views import STATISTICS, Array, summary
from phasewatch.models.base import THREADS
from phasewatch.windowing import Windows, concatenate, signed_log

Folds = NDArray[np.int64]
FOLDS = 5
MAX_WINDOWS = 4000
"""Windows of each store that are compared; they are drawn at random, and the same every time."""

ROUNDS, SINGLE_ROUNDS = 100, 30
"""Rounds of the trees that see all channels, and of those that see one."""

PARAMETERS = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": 4,
    "eta": 0.2,
    "nthread": THREADS,
    "seed": 0,
}


def tell_apart(left: Windows, right: Windows) -> tuple[float, Array]:
    """Return the area under the ROC curve from all channels, and `[C]` from each one alone.

    The first is a mean over all folds, the others are of one fold.
    Raises Refused when the stores share no host in a phase, or have under 5 episodes there.
    """
    pair = matched(left, right)
    both = concatenate(pair)
    side = np.arange(len(both)) >= len(pair[0])
    _, number = np.unique(both.episode, return_inverse=True)
    view = summary(signed_log(both.x))
    alone = np.split(view, view.shape[1] // len(STATISTICS), axis=1)
    folds = np.asarray(number % FOLDS)
    first = np.zeros(1, dtype=np.int64)
    single = [_auc(columns, side, folds, first, SINGLE_ROUNDS) for columns in alone]
    return _auc(view, side, folds, np.unique(folds), ROUNDS), np.array(single)


def matched(left: Windows, right: Windows) -> tuple[Windows, Windows]:
    """Return as many windows of `left` as of `right`, host by host and phase by phase."""
    generator = np.random.default_rng(0)
    here, there = (np.char.add(part.host, part.y.astype(str)) for part in (left, right))
    rows = [
        (generator.permutation(ours)[:count], generator.permutation(theirs)[:count])
        for ours, theirs in (
            (np.flatnonzero(here == cell), np.flatnonzero(there == cell))
            for cell in np.intersect1d(here, there)
        )
        if (count := min(len(ours), len(theirs)))
    ]
    if not rows:
        raise Refused("compare", "the stores share no host and phase", "some", "Add episodes.")
    ours, theirs = (np.concatenate(part) for part in zip(*rows, strict=True))
    kept = generator.permutation(len(ours))[:MAX_WINDOWS]
    return left.take(ours[kept]), right.take(theirs[kept])


def _auc(view: Array, side: NDArray[np.bool_], fold: Folds, scored: Folds, rounds: int) -> float:
    """Return the area under the ROC curve, as the mean over the folds of episodes in `scored`."""
    areas = []
    for place in scored:
        test = fold == place
        train = xgboost.DMatrix(view[~test], side[~test])
        trees = xgboost.train(PARAMETERS, train, rounds)
        areas.append(roc_auc_score(side[test], trees.predict(xgboost.DMatrix(view[test]))))
    return float(np.mean(areas))
