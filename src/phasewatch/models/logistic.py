"""Multinomial logistic regression: the linear baseline of the learned models."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from sklearn.linear_model import LogisticRegression

from phasewatch.features.views import Array
from phasewatch.io import atomic
from phasewatch.models.base import UNMONITORED, Classifier, Data, TrainingMonitor, Unfit

MOST_WINDOWS = 65_536
"""Training windows that all are in memory for the solver, which takes every one in each step."""


@dataclass(frozen=True)
class Config:
    """Hyperparameters, under the names that scikit-learn gives them."""

    C: float = 0.1
    max_iter: int = 2000


class Model(Classifier):
    """Linear in the normalized statistics; the training mean replaces what was not measured."""

    view = "summary"
    suffix = "linear.json"

    def __init__(self, classes: int, seed: int = 0) -> None:
        """The solver draws nothing: `seed` says which of very many windows are learned from."""
        self._seed = seed
        self._config = Config()
        self._coef = np.zeros((classes, 0))
        self._intercept = np.zeros(classes)

    @property
    def config(self) -> dict[str, Any]:
        """The hyperparameters in `Config`."""
        return asdict(self._config)

    @property
    def parameters(self) -> int:
        """The number of coefficients and intercepts."""
        return int(self._coef.size + self._intercept.size)

    def fit(
        self, train: Data, validation: Data, watch: TrainingMonitor = UNMONITORED, cluster: str = ""
    ) -> None:
        """Fit with classes balanced; a class that training lacks is never predicted.

        Of more than `MOST_WINDOWS` it learns from so many, drawn at random.
        """
        classes = len(self._intercept)
        solver = LogisticRegression(**self.config)
        z, places = train.sample(MOST_WINDOWS, self._seed)
        solver.fit(_filled(z), train.y[places], sample_weight=train.weight[places])
        self._coef = np.zeros((classes, train.z.shape[1]))
        self._intercept = np.full(classes, -1e3)
        coef, intercept = solver.coef_, solver.intercept_
        if len(solver.classes_) == 2:
            coef, intercept = np.vstack([-coef, coef]) / 2, np.concatenate([-intercept, intercept])
        self._coef[solver.classes_] = coef
        self._intercept[solver.classes_] = intercept

    def logits(self, z: Array) -> Array:
        """Return `z @ coef + intercept`, `[N,K]`."""
        return np.asarray(_filled(z) @ self._coef.T + self._intercept)

    def save(self) -> bytes:
        """Return coefficients and intercepts as JSON."""
        weights = {"coef": self._coef.tolist(), "intercept": self._intercept.tolist()}
        return atomic.canonical_json(weights)

    @classmethod
    def load(cls, weights: bytes, shape: tuple[int, ...], classes: int) -> Self:
        """Load coefficients and intercepts from JSON."""
        value = json.loads(weights)
        model = cls(classes)
        model._coef = np.array(value["coef"], dtype=np.float64)
        model._intercept = np.array(value["intercept"], dtype=np.float64)
        if model._coef.shape != (classes, *shape) or model._intercept.shape != (classes,):
            raise Unfit(
                "weights_shape", f"not coefficients of {classes} classes and {shape} columns"
            )
        if not (np.isfinite(model._coef).all() and np.isfinite(model._intercept).all()):
            raise Unfit("weights_nonfinite", "a coefficient is not finite")
        return model


def _filled(z: Array) -> Array:
    return np.nan_to_num(z, nan=0.0)
