"""The interface of every model: a view, `fit`, `logits`, and weights as bytes.

The folder `models/` is the registry: adding a file with a class `Model` registers it.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from phasewatch import models
from phasewatch.errors import Refused
from phasewatch.features.views import Array, View

THREADS = 1
"""Threads that every model trains and predicts in: another number gives other last bits."""


class Rows(Protocol):
    """Normalized windows, `[N,F]` or `[N,C,T]`, that are computed when they are read."""

    def __len__(self) -> int:
        """Return N, the number of windows."""

    def blocks(self) -> Iterator[Array]:
        """Yield all windows in blocks, in order."""

    def rows(self, places: NDArray[np.int64]) -> Array:
        """Return the windows at these places, in their order, all in memory."""


class Data(NamedTuple):
    """Windows `z[N,F]` or `z[N,C,T]`, normalized for the model; `y[N]` in `classes` classes.

    Where all of them may not fit into memory, they are `stored`, and `z` is empty, `[0,F]` or
    `[0,C,T]`. `balance` is how far classes are weighed alike in training, see `balance`.
    """

    z: Array
    y: NDArray[np.int64]
    classes: int
    balance: float = 1.0
    stored: "Rows | None" = None

    @property
    def weight(self) -> Array:
        """The weight of each window in training, `[N]`."""
        return balance(self.y, self.classes, self.balance)

    @property
    def whole(self) -> Array | None:
        """All windows, where they are in memory; None where they are to be read in blocks."""
        return self.z if self.stored is None else None

    def blocks(self) -> Iterator[Array]:
        """Yield all windows in blocks, in order; one block where they are in memory."""
        if self.stored is None:
            yield self.z
        else:
            yield from self.stored.blocks()

    def rows(self, places: NDArray[np.int64]) -> Array:
        """Return the windows at these places, in memory."""
        return self.z[places] if self.stored is None else self.stored.rows(places)

    def read(self) -> Array:
        """Return all windows in memory, however many."""
        return np.concatenate([*self.blocks()])

    def sample(self, most: int, seed: int) -> "tuple[Array, NDArray[np.int64]]":
        """Return `most` windows drawn at random, in order, and their places; all of fewer."""
        if len(self.y) <= most:
            return self.read(), np.arange(len(self.y))
        drawn = np.random.default_rng(seed).permutation(len(self.y))[:most]
        places = np.sort(drawn)
        return self.rows(places), places


class Epoch(NamedTuple):
    """The state of a training after epoch `number` (a round, for trees) of at most `of`, from 1."""

    number: int
    of: int
    loss: float
    score: float
    seconds: float


def _ignore(epoch: Epoch) -> None:
    """Ignore an epoch, in a training without a monitor."""


@dataclass(frozen=True)
class TrainingMonitor:
    """Observes a training: `on_epoch` is called after every epoch.

    `state` is the file that an interrupted training resumes from; None to keep none.
    """

    on_epoch: Callable[[Epoch], None] = _ignore
    state: Path | None = None


UNMONITORED = TrainingMonitor()


class Unfit(ValueError):
    """Weights that cannot belong to a model; `code` is the rule that they break."""

    def __init__(self, code: str, problem: str) -> None:
        self.code = code
        super().__init__(problem)


class Classifier(ABC):
    """A classifier of windows into K classes."""

    view: ClassVar[View]
    suffix: ClassVar[str]
    """Ending of the weights file, which names its format."""

    balance: ClassVar[float] = 1.0
    """How far classes are weighed alike in training, unless a recipe says otherwise."""

    constant: ClassVar[bool] = False
    """Whether every window gets the same logits: a baseline that learns nothing of channels."""

    @abstractmethod
    def __init__(self, classes: int, seed: int) -> None:
        """Create an untrained model of K classes."""

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The hyperparameters, as JSON types, which the checkpoint stores."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """The number of learned parameters."""

    @abstractmethod
    def fit(
        self, train: Data, validation: Data, watch: TrainingMonitor = UNMONITORED, cluster: str = ""
    ) -> None:
        """Fit the model to `train`; `validation` may only choose when to stop.

        `cluster` is the address of a Dask cluster to train on; fast models ignore it.
        """

    @property
    def choices(self) -> dict[str, float]:
        """What validation chose in `fit`, by name: rounds, epochs. Empty where it chooses nothing.

        A model that was loaded may have none.
        """
        return {}

    def refit(
        self, train: Data, choices: Mapping[str, float], watch: TrainingMonitor = UNMONITORED
    ) -> None:
        """Fit to `train` without validation, by the `choices` of earlier trainings."""
        self.fit(train, train, watch)

    @abstractmethod
    def logits(self, z: Array) -> Array:
        """Return unnormalised log-probabilities `[N,K]`."""

    def contributions(self, z: Array) -> Array | None:
        """Return what each column adds to each logit, `[N,F+1,K]`, the base last.

        The sum is `logits`. None for a model that has no exact attribution.
        """
        return None

    @abstractmethod
    def save(self) -> bytes:
        """Return the weights as bytes of the format that `suffix` names."""

    @classmethod
    @abstractmethod
    def load(cls, weights: bytes, shape: tuple[int, ...], classes: int) -> Self:
        """Return the model whose `save` gave `weights`, for windows of `shape`: `(F,)` or `(C, T)`.

        The bytes are not trusted. Raises ValueError, or Unfit, when they cannot be of this model.
        """

    def onnx(self, shape: tuple[int, ...]) -> bytes:
        """Return an ONNX graph from float32 `z[N, *shape]` to `logits[N,K]`. Raises Refused."""
        raise Refused(
            self.__class__.__module__.rpartition(".")[2],
            "has no ONNX graph",
            "a model that gives one",
            "Export another model; this one runs from its checkpoint.",
            code="no_onnx",
        )


def names() -> list[str]:
    """Return the name of every model in the folder, sorted."""
    found = {module.name for module in pkgutil.iter_modules(models.__path__)}
    return sorted(name for name in found - {"base"} if not name.startswith("_"))


def refuse_unknown(name: str) -> None:
    """Raise Refused, with the list of names, unless a model has this one."""
    if name not in names():
        raise Refused(
            f"model {name!r}",
            "is unknown",
            f"one of {', '.join(names())}",
            "Use one of these, or add a file to models/.",
            code="model_unknown",
        )


def find(name: str) -> type[Classifier]:
    """Return a model's class by its name. Raises Refused with the list of names."""
    refuse_unknown(name)
    found: type[Classifier] = importlib.import_module(f"phasewatch.models.{name}").Model
    return found


def balance(y: NDArray[np.int64], classes: int, degree: float = 1.0) -> Array:
    """Return a weight for each window, `[N]`, mean 1: count of its class to the power `-degree`.

    With 1 every class present weighs the same, with 0 every window.
    """
    count = np.bincount(y, minlength=classes)
    weight = len(y) / (np.maximum(count, 1) * np.count_nonzero(count))
    if degree != 1.0:
        weight = weight**degree
        weight *= len(y) / (weight @ count)
    return np.asarray(weight[y])
