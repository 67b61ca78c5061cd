"""One model fitted to training windows, with the normalizer and projection of the same windows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from phasewatch.features.normalizer import Normalizer
from phasewatch.features.projection import Projection
from phasewatch.features.rows import NormalizedWindows
from phasewatch.features.views import (
    PREFERRED,
    Array,
    ViewVersion,
    count_columns,
    count_steps,
)
from phasewatch.models.base import UNMONITORED, Classifier, Data, TrainingMonitor, find
from phasewatch.schema import Schema
from phasewatch.training import augment
from phasewatch.windowing import WindowSet

MOST_BYTES = 512 << 20
"""Size of normalized windows in memory; more of them are read in blocks."""

PROJECTED = 16_384
"""Windows that the projection for pictures is fitted to, at most."""


@dataclass(frozen=True)
class FittedModel:
    """A classifier with the normalizer that its input goes through, fitted on the same windows."""

    normalizer: Normalizer
    model: Classifier

    def logits(self, windows: WindowSet) -> Array:
        """Return `[N,K]` logits of windows."""
        return np.concatenate([self.model.logits(z) for z in self.normalizer.blocks(windows)])

    def predict(self, windows: WindowSet) -> NDArray[np.int64]:
        """Return the most likely class of each window, `[N]`."""
        return np.asarray(self.logits(windows).argmax(axis=1))

    def project(self, windows: WindowSet) -> Projection:
        """Return the projection onto the two main axes of `windows`, as the model sees them.

        Of more than `PROJECTED` windows so many are taken, evenly spaced.
        """
        step = -(-len(windows) // PROJECTED)
        some = windows.take(np.arange(0, len(windows), step)) if step > 1 else windows
        return Projection.fit(np.concatenate([*self.normalizer.blocks(some)]))


@dataclass(frozen=True)
class FitOptions:
    """How a model is fitted: observed by `monitor`, on the Dask `cluster` of that address, if any.

    `view_version` chooses what the model sees of a window; None is what its view prefers. `balance`
    is how far classes are weighed alike, from 0 to 1; None is what the model prefers.
    """

    monitor: TrainingMonitor = UNMONITORED
    cluster: str = ""
    view_version: ViewVersion | None = None
    balance: float | None = None


DEFAULT_OPTIONS = FitOptions()


def fit_model(
    name: str,
    schema: Schema,
    seed: int,
    parts: tuple[WindowSet, WindowSet],
    options: FitOptions = DEFAULT_OPTIONS,
) -> FittedModel:
    """Fit the model of that name on the first of two `parts`, stopping by the second.

    Ambiguous windows of either are left out: their label is no evidence for it or against it.

    Only training windows reach the normalizer and the weights; some of them are repeated without a
    source or their opening, see `augment`. `schema` names the channels of both parts. Raises
    Refused.
    """
    train, validation = parts[0].clear, parts[1].clear
    fitted = _unfitted(name, schema, seed, train, options)
    data = partial(_data, fitted.normalizer, schema, fitted.model, options)
    augmented = augment.drop(train, schema, seed)
    fitted.model.fit(data(augmented), data(validation), options.monitor, options.cluster)
    return fitted


def refit_model(
    name: str,
    schema: Schema,
    seed: int,
    train: WindowSet,
    choices: Mapping[str, float],
    options: FitOptions = DEFAULT_OPTIONS,
) -> FittedModel:
    """Fit the model of that name on `train` by the `choices` of earlier trainings.

    It differs from `fit_model` in that no validation is needed. A cluster is not used.
    """
    train = train.clear
    fitted = _unfitted(name, schema, seed, train, options)
    augmented = augment.drop(train, schema, seed)
    data = _data(fitted.normalizer, schema, fitted.model, options, augmented)
    fitted.model.refit(data, choices, options.monitor)
    return fitted


def _unfitted(
    name: str, schema: Schema, seed: int, train: WindowSet, options: FitOptions
) -> FittedModel:
    """Return the normalizer of training windows, and an untrained model."""
    kind = find(name)
    version = options.view_version or PREFERRED[kind.view]
    normalizer = Normalizer.fit(kind.view, train, version, schema)
    return FittedModel(normalizer, kind(len(schema.classes), seed))


def _data(
    normalizer: Normalizer,
    schema: Schema,
    model: Classifier,
    options: FitOptions,
    windows: WindowSet,
) -> Data:
    """Return windows as a model takes them: in memory, or to be read in blocks where they are many.

    Those of validation may be in memory although those of training are not.
    """
    balance = model.balance if options.balance is None else options.balance
    rest = (windows.y, len(schema.classes), balance)
    columns = count_columns(normalizer.view, normalizer.version, schema)
    steps = count_steps(normalizer.view, normalizer.version, schema)
    shape = (len(windows), columns, *([steps] if steps else []))
    if math.prod(shape) * np.dtype(np.float64).itemsize > MOST_BYTES:
        return Data(np.empty((0, *shape[1:])), *rest, NormalizedWindows(normalizer, windows))
    return Data(np.concatenate([*normalizer.blocks(windows)]), *rest)
