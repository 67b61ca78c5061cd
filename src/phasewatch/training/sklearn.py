"""Every model as a scikit-learn classifier, for cross-validation and pipelines of others.

It is the same model behind the same lens as in a run; what scikit-learn has no place for, a
machine's own opening and sources that go missing, is left out.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from phasewatch.features.normalizer import Normalizer
from phasewatch.features.views import Array
from phasewatch.models.base import Data, find
from phasewatch.windowing import Windows

HELD_BACK = 5
"""One in so many groups of each class chooses when to stop."""


class Estimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A model by name, on `X[N,C,T]` or, each column a channel measured once, on `X[N,C]`.

    NaN is what was not measured. `groups[N]` in `fit` are kept whole when one in five is held back
    to choose when to stop: give episodes, or windows that overlap will flatter the choice.
    """

    def __init__(self, model: str = "gbt", seed: int = 0) -> None:
        self.model = model
        self.seed = seed

    def __sklearn_tags__(self) -> Tags:
        """NaN and three dimensions are taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Learn from windows and their classes.

        Raises Refused when no model has the name, ValueError when there is one class.
        """
        kind = find(self.model)
        x, y = validate_data(self, X, y, **_TAKEN)
        check_classification_targets(y)
        self.classes_, truth = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y has one class; a classifier needs two")
        own = np.arange(len(x)) if groups is None else np.asarray(groups)
        learns, chooses = _parts(truth, own, self.seed)
        count = len(self.classes_)
        self.lens_ = Normalizer.fit(kind.view, _windows(x[learns]))
        self.model_ = kind(count, self.seed)
        self.model_.fit(
            Data(self._view(x[learns]), truth[learns], count),
            Data(self._view(x[chooses]), truth[chooses], count),
        )
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """Logits `[N,K]`; of two classes, how far the second is above the first, `[N]`."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities `[N,K]`, in the order of `classes_`."""
        logits = self._logits(X)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest class of each window, `[N]`."""
        logits = self._logits(X)
        return np.asarray(self.classes_[logits.argmax(axis=1)])

    def _logits(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        return self.model_.logits(self._view(validate_data(self, X, reset=False, **_TAKEN)))

    def _view(self, x: Array) -> Array:
        own = _windows(x)
        return self.lens_.apply(own.x, own.opening)


_TAKEN = {"allow_nd": True, "ensure_all_finite": "allow-nan", "dtype": np.float64}


def _windows(x: Array) -> Windows:
    """Windows of nobody: all that a lens asks for is what was measured."""
    cube = x if x.ndim == 3 else x[:, :, None]
    size, none = len(cube), np.zeros(len(cube))
    opening = np.full(cube.shape[:2], np.nan, dtype=np.float32)
    who = np.full(size, "")
    whole = none.astype(np.int64)
    return Windows(
        cube.astype(np.float32), opening, whole, none, none, whole, who, who, who, who, who
    )


def _parts(
    truth: NDArray[np.int64], groups: NDArray[Any], seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows that are learned from, and those of one in five groups of each class that choose."""
    chance = check_random_state(seed)
    chooses = np.zeros(len(truth), dtype=bool)
    for label in np.unique(truth):
        own = np.unique(groups[truth == label])
        if len(own) > 1:
            chooses |= np.isin(groups, chance.permutation(own)[: max(len(own) // HELD_BACK, 1)])
    if len(np.unique(truth[~chooses])) < len(np.unique(truth)) or not chooses.any():
        # Too few groups to hold any back: what is learned from chooses as well.
        return np.ones(len(truth), dtype=bool), np.ones(len(truth), dtype=bool)
    return ~chooses, chooses
