"""What the five networks share: inputs with their gaps marked, the trainer, weights as safetensors.

The module of a network defines its layers. Inputs that were not measured are 0, the training mean,
and a second set of inputs is 1 where that is so.
"""

import json
import logging
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as unpack
from safetensors.torch import save as pack
from torch import Tensor, nn

from phasewatch.features.views import Array
from phasewatch.models import _trainer
from phasewatch.models._trainer import Schedule, best_epoch
from phasewatch.models.base import THREADS, UNMONITORED, Classifier, Data, TrainingMonitor, Unfit

MOST = 1_000_000
"""Parameters a network may have."""

WIDEST = 4096
"""Largest count or width that a configuration may name."""


class Marked(nn.Module):
    """A module on twice the inputs: `z` with 0 for NaN, and a mask that is 1 at those places."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, z: Tensor) -> Tensor:
        """Return logits `[N,K]` of `z[N,F]` or `z[N,C,T]`."""
        gap = torch.isnan(z)
        logits: Tensor = self.inner(torch.cat([z.masked_fill(gap, 0.0), gap.to(z.dtype)], dim=1))
        return logits


class Network(Classifier):
    """A neural network; a subclass defines its layers and their `Config`."""

    suffix = "safetensors"
    settings: ClassVar[type[Any]]
    """The dataclass of the hyperparameters."""

    def __init__(self, classes: int, seed: int = 0, **changed: Any) -> None:
        """Create an untrained network; its layers follow from the shape of the training windows."""
        self._classes = classes
        self._seed = seed
        self._config = self.settings(**changed)
        self._shape: tuple[int, ...] = ()
        self._module: nn.Module = nn.Identity()
        self._precise: nn.Module | None = None
        self._kept = 0

    @staticmethod
    @abstractmethod
    def layers(config: Any, inputs: int, steps: int, classes: int) -> nn.Module:
        """Return layers from `[N, inputs]` (steps 0) or `[N, inputs, steps]` to `[N, classes]`."""

    @property
    def config(self) -> dict[str, Any]:
        """The hyperparameters in the model's `Config`."""
        return asdict(self._config)

    @property
    def parameters(self) -> int:
        """The number of learned parameters."""
        return sum(tensor.numel() for tensor in self._module.parameters())

    def _make(self, shape: tuple[int, ...]) -> None:
        """Create the layers for windows of `shape`, with weights drawn from the seed."""
        with torch.random.fork_rng():
            torch.manual_seed(self._seed)
            layers = self._layers(shape)
        self._shape, self._module, self._precise = shape, Marked(layers), None

    def _layers(self, shape: tuple[int, ...]) -> nn.Module:
        steps = shape[1] if len(shape) > 1 else 0
        return self.layers(self._config, 2 * shape[0], steps, self._classes)

    def fit(
        self, train: Data, validation: Data, watch: TrainingMonitor = UNMONITORED, cluster: str = ""
    ) -> None:
        """Fit with the one training loop of all networks, here or on a cluster."""
        self._make(train.z.shape[1:])
        parts, how = (train, validation), (Schedule(), self._seed)
        if not cluster:
            history = _trainer.train(self._module, parts, *how, watch)
        else:
            from phasewatch.models import _distributed as clusters

            history = clusters.train(cluster, self._module, parts, *how)
            for epoch in history:
                watch.on_epoch(epoch)
        self._kept = best_epoch(history)

    @property
    def choices(self) -> dict[str, float]:
        """The number of the epoch whose weights were kept."""
        return {"epochs": float(self._kept)} if self._kept else {}

    def refit(
        self, train: Data, choices: Mapping[str, float], watch: TrainingMonitor = UNMONITORED
    ) -> None:
        """Fit for as many epochs as `choices` says, under the same falling learning rate."""
        self._make(train.z.shape[1:])
        schedule = Schedule(exactly=max(round(choices["epochs"]), 1))
        _trainer.train(self._module, (train, None), schedule, self._seed, watch)

    def logits(self, z: Array) -> Array:
        """Return `[N,K]`, the same for a window alone as in a batch (docs/decisions/0030)."""
        if self._precise is None:
            self._precise = deepcopy(self._module).cpu().double()
        inputs = torch.from_numpy(np.ascontiguousarray(z, dtype=np.float32)).double()
        threads = torch.get_num_threads()
        torch.set_num_threads(THREADS)
        try:
            return _trainer.predict(self._precise, inputs)
        finally:
            torch.set_num_threads(threads)

    def save(self) -> bytes:
        """Return safetensors with shape and config in the metadata."""
        tensors = {k: v.detach().cpu().contiguous() for k, v in self._module.state_dict().items()}
        # One entry: safetensors writes several in an order that changes from call to call.
        about = json.dumps({"shape": self._shape, "config": self.config})
        return pack(tensors, metadata={"about": about})

    @classmethod
    def load(cls, weights: bytes, shape: tuple[int, ...], classes: int) -> Self:
        """Load safetensors. Raises Unfit before memory is allocated for what a file states."""
        try:
            about = json.loads(_trainer.metadata(weights)["about"])
            model = cls(classes, **_hyperparameters(cls.settings, about["config"]))
            if tuple(about["shape"]) != shape:
                raise Unfit(
                    "weights_shape", f"for windows of shape {about['shape']}, not {list(shape)}"
                )
            with torch.device("meta"):
                expected = Marked(model._layers(shape)).state_dict()
            _refuse_tensors(expected, tensors := unpack(weights))
            model._make(shape)
            model._module.load_state_dict(tensors)
        except (SafetensorError, RuntimeError, UnicodeDecodeError) as error:
            raise ValueError(str(error).replace("\n", " ")) from error
        return model

    def onnx(self, shape: tuple[int, ...]) -> bytes:
        """Return the graph of PyTorch's own exporter (dynamo), for a batch of any size."""
        # The exporter warns of other libraries and of operators that this graph does not use.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                self._module.cpu().eval(),
                (torch.zeros(2, *shape),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("N")},),
                input_names=["z"],
                output_names=["logits"],
                verbose=False,
            )
        assert program is not None
        return bytes(program.model_proto.SerializeToString())


def _hyperparameters(settings: type[Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return hyperparameters of a file, whose types and sizes are allowed. Raises Unfit."""
    chosen = {
        key: tuple(value) if isinstance(value, list) else value for key, value in found.items()
    }
    default = asdict(settings())
    if chosen.keys() != default.keys():
        raise Unfit("semantics_config", f"the fields are {sorted(chosen)}, not {sorted(default)}")
    for key, value in chosen.items():
        numbers = value if isinstance(value, tuple) else (value,)
        if type(value) is not type(default[key]) or len(numbers) > WIDEST:
            raise Unfit("semantics_config", f"{key} is {str(value)[:20]}")
        for one in numbers:
            low, high = (1, WIDEST) if type(one) is int else (0.0, 1.0)
            if type(one) not in (int, float) or not low <= one <= high:
                raise Unfit("semantics_config", f"{key} is {str(one)[:20]}, not {low} to {high}")
    return chosen


def _refuse_tensors(expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Raise Unfit unless all tensors have the expected names, types and shapes, and are finite."""
    many = sum(tensor.numel() for tensor in expected.values())
    if many > MOST:
        raise Unfit("semantics_config", f"{many:,} parameters, more than {MOST:,}")
    for name in sorted(expected.keys() ^ found.keys()):
        raise Unfit(
            "weights_shape", f"tensor {name} is {'missing' if name in expected else 'no part'}"
        )
    for name, tensor in found.items():
        if (tensor.dtype, tensor.shape) != (expected[name].dtype, expected[name].shape):
            problem = f"tensor {name} is {tensor.dtype} {list(tensor.shape)}"
            raise Unfit(
                "weights_shape",
                f"{problem}, not {expected[name].dtype} {list(expected[name].shape)}",
            )
        if not torch.isfinite(tensor).all():
            raise Unfit("weights_nonfinite", f"tensor {name} holds a number that is not finite")
