"""The class that training saw most, for every window: what a score must exceed to mean anything."""

import json
from typing import Any, Self

import numpy as np

from phasewatch.features.views import Array
from phasewatch.io import atomic
from phasewatch.models.base import UNMONITORED, Classifier, Data, TrainingMonitor, Unfit


class Model(Classifier):
    """Class frequencies of the training windows as constant logits."""

    view = "summary"
    suffix = "prior.json"
    learns = False

    def __init__(self, classes: int, seed: int = 0) -> None:
        """Nothing is drawn, so `seed` changes nothing."""
        self._count = np.zeros(classes)

    @property
    def config(self) -> dict[str, Any]:
        """Empty: there is no hyperparameter."""
        return {}

    @property
    def parameters(self) -> int:
        """The number of classes."""
        return int(self._count.size)

    def fit(
        self, train: Data, validation: Data, watch: TrainingMonitor = UNMONITORED, cluster: str = ""
    ) -> None:
        """Count the training windows of each class."""
        self._count = np.bincount(train.y, minlength=len(self._count)).astype(np.float64)

    def logits(self, z: Array) -> Array:
        """Return the same row for every window, `[N,K]`."""
        row = np.log(self._count + 1e-6)
        return np.tile(row, (len(z), 1))

    def save(self) -> bytes:
        """Return the counts as JSON."""
        return atomic.canonical_json(self._count.tolist())

    @classmethod
    def load(cls, weights: bytes, shape: tuple[int, ...], classes: int) -> Self:
        """Load counts from JSON."""
        model = cls(classes)
        model._count = np.array(json.loads(weights), dtype=np.float64)
        if model._count.shape != (classes,):
            raise Unfit("weights_shape", f"not counts of {classes} classes")
        if not (np.isfinite(model._count) & (model._count >= 0)).all():
            raise Unfit("weights_nonfinite", "a count is none")
        return model
