"""One model fitted to training windows, with the normalizer and projection of the same windows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasewatch.features.normalizer import Normalizer
from phasewatch.features.projection import Projection
from phasewatch.features.views import NEWEST, Array, ViewVersion
from phasewatch.models.base import UNMONITORED, Classifier, Data, TrainingMonitor, find
from phasewatch.schema import Schema
from phasewatch.training import augment
from phasewatch.windowing import Windows


@dataclass(frozen=True)
class FittedModel:
    """A classifier with the normalizer that its input goes through, fitted on the same windows."""

    normalizer: Normalizer
    model: Classifier

    def logits(self, windows: Windows) -> Array:
        """Return `[N,K]` logits of windows."""
        return self.model.logits(self.normalizer.apply(windows.x, windows.opening, windows.past))

    def predict(self, windows: Windows) -> NDArray[np.int64]:
        """Return the most likely class of each window, `[N]`."""
        return np.asarray(self.logits(windows).argmax(axis=1))

    def project(self, windows: Windows) -> Projection:
        """Return the projection onto the two main axes of `windows`, as the model sees them."""
        return Projection.fit(self.normalizer.apply(windows.x, windows.opening, windows.past))


def fit_model(
    name: str,
    schema: Schema,
    seed: int,
    parts: tuple[Windows, Windows],
    monitor: TrainingMonitor = UNMONITORED,
    cluster: str = "",
    view_version: ViewVersion = NEWEST,
) -> FittedModel:
    """Fit the model of that name on the first of two `parts`, stopping by the second.

    Only training windows reach the normalizer and the weights; some of them are repeated without a
    source or their opening, see `augment`. `schema` names the channels of both parts, and
    `view_version` chooses what the model sees of them. Raises Refused.
    """
    train, validation = parts
    kind, classes = find(name), len(schema.classes)
    fitted = FittedModel(Normalizer.fit(kind.view, train, view_version, schema), kind(classes, seed))

    def data(windows: Windows) -> Data:
        z = fitted.normalizer.apply(windows.x, windows.opening, windows.past)
        return Data(z, windows.y, classes)

    augmented = augment.drop(train, schema, seed)
    fitted.model.fit(data(augmented), data(validation), monitor, cluster)
    return fitted
