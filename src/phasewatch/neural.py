"""What the five networks share: inputs with their gaps marked, the trainer, weights as safetensors.

A network's file says what its layers are; what was not measured reaches it as 0, the mean, beside a
second set of inputs that are 1 there.
"""

import json
from abc import abstractmethod
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as unpack
from safetensors.torch import save as pack
from torch import Tensor, nn

from phasewatch import trainer
from phasewatch.model import UNWATCHED, Classifier, Data, Watch
from phasewatch.trainer import Schedule
from phasewatch.views import Array

MOST = 1_000_000
"""Parameters a network may have."""


class Marked(nn.Module):
    """A module on twice the inputs: `z` with 0 for NaN, and where that was."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, z: Tensor) -> Tensor:
        """Logits `[N,K]` of `z[N,F]` or `z[N,C,T]`."""
        gap = torch.isnan(z)
        answer: Tensor = self.inner(torch.cat([z.masked_fill(gap, 0.0), gap.to(z.dtype)], dim=1))
        return answer


class Network(Classifier):
    """A classifier made of layers; a subclass says which, from its own `Config`."""

    suffix = "safetensors"
    settings: ClassVar[type[Any]]
    """The dataclass of what was chosen by hand."""

    def __init__(self, classes: int, seed: int = 0, **changed: Any) -> None:
        """Layers are made when the first data says how many inputs there are."""
        self._classes = classes
        self._seed = seed
        self._config = self.settings(**changed)
        self._shape: tuple[int, ...] = ()
        self._module: nn.Module = nn.Identity()

    @staticmethod
    @abstractmethod
    def layers(config: Any, inputs: int, steps: int, classes: int) -> nn.Module:
        """The layers, from `[N, inputs]` (steps 0) or `[N, inputs, steps]` to `[N, classes]`."""

    @property
    def config(self) -> dict[str, Any]:
        """See the model's `Config`."""
        return asdict(self._config)

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return sum(own.numel() for own in self._module.parameters())

    def _make(self, shape: tuple[int, ...]) -> None:
        """Layers for windows of `shape`, drawn from the seed."""
        steps = shape[1] if len(shape) > 1 else 0
        with torch.random.fork_rng():
            torch.manual_seed(self._seed)
            made = self.layers(self._config, 2 * shape[0], steps, self._classes)
        self._shape, self._module = shape, Marked(made)

    def fit(
        self, train: Data, validation: Data, watch: Watch = UNWATCHED, cluster: str = ""
    ) -> None:
        """With the one training loop of all networks, here or on a cluster."""
        self._make(train.z.shape[1:])
        parts, how = (train, validation), (Schedule(), self._seed)
        if not cluster:
            trainer.train(self._module, parts, *how, watch)
            return
        from phasewatch import cluster as clusters

        for epoch in clusters.train(cluster, self._module, parts, *how):
            watch.tell(epoch)

    def logits(self, z: Array) -> Array:
        """`[N,K]`, in one thread: another number of them gives other last bits."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            self._module.cpu()
            asked = torch.from_numpy(np.ascontiguousarray(z, dtype=np.float32))
            return trainer.ask(self._module, asked)
        finally:
            torch.set_num_threads(threads)

    def save(self) -> bytes:
        """safetensors; shape and config stand beside the tensors."""
        tensors = {k: v.detach().cpu().contiguous() for k, v in self._module.state_dict().items()}
        # One entry: safetensors writes several in an order that changes from call to call.
        about = json.dumps({"shape": self._shape, "config": self.config})
        return pack(tensors, metadata={"about": about})

    @classmethod
    def load(cls, weights: bytes, classes: int) -> Self:
        """From safetensors; raises ValueError when names or shapes are not this model's."""
        try:
            about = json.loads(trainer.metadata(weights)["about"])
            config: dict[str, Any] = about["config"]
            lists = {key: tuple(value) for key, value in config.items() if isinstance(value, list)}
            model = cls(classes, **{**config, **lists})
            model._make(tuple(about["shape"]))
            model._module.load_state_dict(unpack(weights))
        except (SafetensorError, RuntimeError, UnicodeDecodeError) as error:
            raise ValueError(str(error).replace("\n", " ")) from error
        return model
