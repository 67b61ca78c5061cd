"""Every model as a scikit-learn classifier, for cross-validation and pipelines.

Model and normalizer are those of a run. The opening of a machine and the augmentation with missing
sources have no place in the interface of scikit-learn and are left out.
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
from phasewatch.windowing import PAST_BLOCKS, Windows

HELD_BACK = 5
"""One of so many groups of each class is held back for early stopping."""


class Estimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A model by name, on `X[N,C,T]` or, each column a channel measured once, on `X[N,C]`.

    NaN stands for what was not measured. `fit` holds back one in five `groups[N]` of each class for
    early stopping, and divides no group. Give the episode of each window, since overlapping
    windows on both sides bias early stopping.
    """

    def __init__(self, model: str = "gbt", seed: int = 0) -> None:
        self.model = model
        self.seed = seed

    def __sklearn_tags__(self) -> Tags:
        """Declare that NaN and arrays of three dimensions are accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Fit to windows `X` and their classes `y[N]`.

        Raises Refused when no model has the name, ValueError when `y` has one class.
        """
        kind = find(self.model)
        x, y = validate_data(self, X, y, **_TAKEN)
        check_classification_targets(y)
        self.classes_, truth = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y has one class; a classifier needs two")
        group = np.arange(len(x)) if groups is None else np.asarray(groups)
        training, stopping = _parts(truth, group, self.seed)
        count = len(self.classes_)
        self.normalizer_ = Normalizer.fit(kind.view, _windows(x[training]))
        self.model_ = kind(count, self.seed)
        self.model_.fit(
            Data(self._view(x[training]), truth[training], count),
            Data(self._view(x[stopping]), truth[stopping], count),
        )
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """Return logits `[N,K]`; of two classes, the second minus the first, `[N]`."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return probabilities `[N,K]`, in the order of `classes_`."""
        logits = self._logits(X)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most likely class of each window, `[N]`."""
        logits = self._logits(X)
        return np.asarray(self.classes_[logits.argmax(axis=1)])

    def _logits(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        return self.model_.logits(self._view(validate_data(self, X, reset=False, **_TAKEN)))

    def _view(self, x: Array) -> Array:
        windows = _windows(x)
        return self.normalizer_.apply(windows.x, windows.opening, windows.past)


_TAKEN = {"allow_nd": True, "ensure_all_finite": "allow-nan", "dtype": np.float64}


def _windows(x: Array) -> Windows:
    """Return `x` as windows without identity, truth or opening, as the normalizer needs none."""
    cube = x if x.ndim == 3 else x[:, :, None]
    size, zeros = len(cube), np.zeros(len(cube))
    opening = np.full(cube.shape[:2], np.nan, dtype=np.float32)
    past = np.full((*cube.shape[:2], PAST_BLOCKS), np.nan, dtype=np.float32)
    unlabelled = zeros.astype(np.int64)
    identity = (np.full(size, ""),) * 5
    return Windows(
        cube.astype(np.float32), opening, past, unlabelled, zeros, zeros, unlabelled, *identity
    )


def _parts(
    truth: NDArray[np.int64], groups: NDArray[Any], seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows are trained on, and which are held back for early stopping, `[N]` each."""
    generator = check_random_state(seed)
    stopping = np.zeros(len(truth), dtype=bool)
    for label in np.unique(truth):
        members = np.unique(groups[truth == label])
        if len(members) > 1:
            stopping |= np.isin(
                groups, generator.permutation(members)[: max(len(members) // HELD_BACK, 1)]
            )
    if len(np.unique(truth[~stopping])) < len(np.unique(truth)) or not stopping.any():
        # Too few groups to hold any back: all rows serve for training and early stopping.
        return np.ones(len(truth), dtype=bool), np.ones(len(truth), dtype=bool)
    return ~stopping, stopping
