"""What every model is: a view, `fit`, `logits`, and weights as bytes.

The folder `models/` is the registry: dropping a file with a class `Model` in registers it.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from phasewatch import models
from phasewatch.errors import Refused
from phasewatch.features.views import Array, View

THREADS = 1
"""In which every model learns and answers: another number of them gives other last bits."""


class Data(NamedTuple):
    """Windows `z[N,F]` or `z[N,C,T]`, as the model's lens has them; `y[N]` in `classes` classes."""

    z: Array
    y: NDArray[np.int64]
    classes: int


class Epoch(NamedTuple):
    """How a training stood after an epoch (a round, for trees), counted from 1, of at most `of`."""

    number: int
    of: int
    loss: float
    score: float
    seconds: float


def _nobody(epoch: Epoch) -> None:
    """Told when nobody follows."""


@dataclass(frozen=True)
class TrainingMonitor:
    """Who follows a training: told after every epoch; `state` is where it is kept between kills."""

    tell: Callable[[Epoch], None] = _nobody
    state: Path | None = None


UNMONITORED = TrainingMonitor()


class Unfit(ValueError):
    """Weights that cannot be a model's; `code` is the rule that they broke."""

    def __init__(self, code: str, told: str) -> None:
        self.code = code
        super().__init__(told)


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

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many numbers were learned."""

    @abstractmethod
    def fit(
        self, train: Data, validation: Data, watch: TrainingMonitor = UNMONITORED, cluster: str = ""
    ) -> None:
        """Learn from `train`; `validation` may only choose when to stop.

        `cluster` is the address of a Dask cluster to train on; models that take no time ignore it.
        """

    @abstractmethod
    def logits(self, z: Array) -> Array:
        """Unnormalised log-probabilities `[N,K]`."""

    def contributions(self, z: Array) -> Array | None:
        """What each column added to each logit, `[N,F+1,K]`, the base last; they sum to `logits`.

        None for a model that has no exact answer of its own.
        """
        return None

    @abstractmethod
    def save(self) -> bytes:
        """The weights."""

    @classmethod
    @abstractmethod
    def load(cls, weights: bytes, shape: tuple[int, ...], classes: int) -> Self:
        """The model whose `save` gave `weights`, for windows of `shape`: `(F,)` or `(C, T)`.

        The bytes may be an enemy's. Raises ValueError, or Unfit, when they cannot be its own.
        """

    def onnx(self, shape: tuple[int, ...]) -> bytes:
        """An ONNX graph from float32 `z[N, *shape]` to `logits[N,K]`. Raises Refused."""
        raise Refused(
            self.__class__.__module__.rpartition(".")[2],
            "has no ONNX graph",
            "a model that gives one",
            "Export one of the six models.",
            code="no_onnx",
        )


def names() -> list[str]:
    """Every model there is."""
    found = {module.name for module in pkgutil.iter_modules(models.__path__)}
    return sorted(name for name in found - {"base"} if not name.startswith("_"))


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
