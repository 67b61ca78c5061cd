"""What every model is: a view, `fit`, `logits`, and weights as bytes.

The folder `models/` is the registry: dropping a file with a class `Model` in registers it.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from phasewatch import models
from phasewatch.refusal import Refused
from phasewatch.views import Array, View


class Data(NamedTuple):
    """Scaled windows `z[N,F]` or `z[N,C,T]`, as the model's view has them, and classes `y[N]`."""

    z: Array
    y: NDArray[np.int64]


class Classifier(ABC):
    """A classifier of windows into K classes."""

    view: ClassVar[View]
    suffix: ClassVar[str]
    """Ending of the weights file, which names its format."""

    @abstractmethod
    def __init__(self, classes: int, seed: int) -> None:
        """A model of K classes that knows nothing yet."""

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What was chosen by hand, as JSON types, for the checkpoint to keep."""

    @abstractmethod
    def fit(self, train: Data, validation: Data) -> None:
        """Learn from `train`; `validation` may only choose when to stop."""

    @abstractmethod
    def logits(self, z: Array) -> Array:
        """Unnormalised log-probabilities `[N,K]`."""

    @abstractmethod
    def save(self) -> bytes:
        """The weights."""

    @classmethod
    @abstractmethod
    def load(cls, weights: bytes, classes: int) -> Self:
        """The model whose `save` gave `weights`; raises ValueError when they cannot be its own."""


def names() -> list[str]:
    """Every model there is."""
    return sorted(module.name for module in pkgutil.iter_modules(models.__path__))


def find(name: str) -> type[Classifier]:
    """A model by name; raises Refused with the list of names."""
    if name not in names():
        raise Refused(
            f"model {name!r}",
            "is unknown",
            f"one of {', '.join(names())}",
            "Use one of these, or add a file to models/.",
            code="model_unknown",
        )
    found: type[Classifier] = importlib.import_module(f"phasewatch.models.{name}").Model
    return found


def balance(y: NDArray[np.int64], classes: int) -> Array:
    """A weight for each window so that every class present weighs the same, mean 1, `[N]`."""
    count = np.bincount(y, minlength=classes)
    weight = len(y) / (np.maximum(count, 1) * np.count_nonzero(count))
    return np.asarray(weight[y])
