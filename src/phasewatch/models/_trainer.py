"""One training loop for all networks: loss, learning rate, early stopping, and resuming.

The random seed of every epoch follows from its number, so a stored state is weights, moments of the
optimizer and history: a training that is killed at any moment resumes after its last epoch and
ends with the same weights as one that was not.
"""

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from safetensors import SafetensorError
from safetensors.torch import load as unpack
from safetensors.torch import save as pack
from torch import Tensor, nn
from torch.nn import functional

from phasewatch import metrics
from phasewatch.errors import Refused
from phasewatch.features.views import Array
from phasewatch.io import atomic
from phasewatch.models.base import THREADS, Data, Epoch, TrainingMonitor

State = dict[str, Tensor]


@dataclass(frozen=True)
class Schedule:
    """How every network is trained; the module of a model defines only its layers.

    The learning rate `rate` is reached after the share `warm` of all steps, then falls to 0 as a
    cosine. Gradients longer than `clip` are cut. Stops after `patience` epochs without a better
    macro F1 on validation, or after `exactly` so many, where that is given. Batches are smaller
    than `batch` where few windows would make few steps: an epoch has `steps` of them at least, down
    to batches of 16.
    """

    epochs: int = 60
    batch: int = 256
    steps: int = 16
    rate: float = 1e-3
    decay: float = 0.05
    warm: float = 0.05
    clip: float = 1.0
    smoothing: float = 0.05
    patience: int = 12
    exactly: int | None = None

    def size(self, windows: int) -> int:
        """Return the batch size for a number of training windows."""
        return min(self.batch, max(windows // self.steps, 16))

    def share(self, step: int, steps: int) -> float:
        """Return the factor on `rate` at one step of `steps`, between 0 and 1."""
        warm = max(round(self.warm * steps), 1)
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1)))


@dataclass(frozen=True)
class TrainingState:
    """What is stored between two epochs: three sets of tensors, and the epochs so far."""

    weights: State
    moments: State
    best: State
    history: list[Epoch]


class Rank(NamedTuple):
    """One of `of` processes that train together; all meet at the first one's host and port."""

    number: int
    of: int
    meeting: tuple[str, int]


def train(
    module: nn.Module,
    parts: tuple[Data, Data | None],
    schedule: Schedule,
    seed: int,
    watch: TrainingMonitor,
    rank: Rank | None = None,
) -> list[Epoch]:
    """Train `module` on the first of `parts`, stop by the second; it ends on the CPU, at its best.

    Without a second part the score of an epoch is minus its loss, and the last epoch is the best.

    The loss is cross-entropy with every class weighing the same. Called in several processes, each
    with its `rank`, they train one model together. Raises Refused when the loss is no number.
    """
    with _deterministic():
        history = _Training(module, parts, schedule, seed, watch, rank).run()
    module.cpu()
    return history


def _fabric(rank: Rank | None) -> Fabric:
    """Return where to compute: CUDA in mixed precision, or the CPU; alone or with other ranks.

    Mixed precision is bfloat16. For float16 a scale that changes with every step would have to be
    resumed as well, and Fabric cannot clip gradients under it with a fused optimizer.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    precision: Literal["bf16-mixed", "32-true"]
    where, precision = ("cuda", "bf16-mixed") if torch.cuda.is_available() else ("cpu", "32-true")
    if rank is None:
        return Fabric(accelerator=where, devices=1, precision=precision)
    os.environ |= {"NODE_RANK": str(rank.number), "LOCAL_RANK": "0"}
    os.environ |= {"MASTER_ADDR": rank.meeting[0], "MASTER_PORT": str(rank.meeting[1])}
    together = DDPStrategy(cluster_environment=LightningEnvironment())
    fabric = Fabric(
        accelerator=where, devices=1, num_nodes=rank.of, strategy=together, precision=precision
    )
    fabric.launch()
    return fabric


@contextmanager
def _deterministic() -> Iterator[None]:
    """Compute in one thread with deterministic kernels: two threads add in another order."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(THREADS)
    # cuBLAS repeats itself only with a workspace of a fixed size, set before it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


class _Training:
    """One training: what stays the same from epoch to epoch."""

    def __init__(
        self,
        module: nn.Module,
        parts: tuple[Data, Data | None],
        schedule: Schedule,
        seed: int,
        watch: TrainingMonitor,
        rank: Rank | None,
    ) -> None:
        self.fabric = _fabric(rank)
        self.share = slice(rank.number, None, rank.of) if rank else slice(None)
        self.ranks = rank.of if rank else 1
        self.schedule, self.seed, self.watch = schedule, seed, watch
        train, self.validation = parts
        self.train = train
        self.z = None if train.whole is None else self._tensor(train.whole)
        self.y = self.fabric.to_device(torch.from_numpy(train.y))
        self.weight = self.fabric.to_device(_weights(train))
        self.size = schedule.size(len(self.y))
        self.batches = math.ceil(len(self.y) / self.size)
        self.plain = module
        optimizer = torch.optim.AdamW(
            module.parameters(), lr=schedule.rate, weight_decay=schedule.decay, fused=True
        )
        self.module, self.optimizer = self.fabric.setup(module, optimizer)

    def _tensor(self, z: Array) -> Tensor:
        single = torch.from_numpy(np.ascontiguousarray(z, dtype=np.float32))
        found: Tensor = self.fabric.to_device(single)
        return found

    def _inputs(self, rows: Tensor) -> Tensor:
        """Return the windows of a batch; those that are not in memory are read."""
        if self.z is not None:
            return self.z[rows]
        return self._tensor(self.train.rows(rows.cpu().numpy()))

    def run(self) -> list[Epoch]:
        stored = _restored(self.watch.state, self.plain)
        history: list[Epoch] = []
        best = copied(self.plain)
        if stored is not None:
            self.plain.load_state_dict(stored.weights)
            _set_moments(self.optimizer, stored.moments)
            best, history = stored.best, stored.history
            for epoch in history:
                self.watch.on_epoch(epoch)
        while not self._done(history):
            history.append(self._epoch(len(history)))
            if self.validation is None or best_epoch(history) == len(history):
                best = copied(self.plain)
            if self.watch.state is not None:
                _store(
                    TrainingState(copied(self.plain), _moments(self.optimizer), best, history),
                    self.watch.state,
                )
            self.watch.on_epoch(history[-1])
        self.plain.load_state_dict(best)
        return history

    def _done(self, history: list[Epoch]) -> bool:
        if not history:
            return False
        if self.schedule.exactly is not None:
            return len(history) >= self.schedule.exactly
        late = len(history) - best_epoch(history) >= self.schedule.patience
        return late or len(history) == self.schedule.epochs

    def _epoch(self, number: int) -> Epoch:
        began = time.monotonic()
        # Shuffling and dropout of an epoch follow from its number, so no generator is stored.
        torch.manual_seed(self.seed * 1_000_003 + number)
        order = torch.randperm(len(self.y)).to(self.y.device)
        self.module.train()
        total, clip = 0.0, self.schedule.clip
        for place, batch in enumerate(torch.split(order, self.size)):
            rows = batch[self.share]
            if len(batch) < self.ranks:
                continue
            self._rate(number * self.batches + place)
            loss = functional.cross_entropy(
                self.module(self._inputs(rows)),
                self.y[rows],
                weight=self.weight,
                label_smoothing=self.schedule.smoothing,
            )
            self.optimizer.zero_grad()
            self.fabric.backward(loss)
            self.fabric.clip_gradients(
                self.module, self.optimizer, max_norm=clip, error_if_nonfinite=False
            )
            self.optimizer.step()
            total += float(loss.detach()) * len(rows)
        loss_mean = total / len(self.y)
        if not math.isfinite(loss_mean):
            raise Refused(
                f"training, epoch {number + 1}",
                f"the loss is {loss_mean}",
                "a finite loss",
                "Lower the learning rate, or look for absurd values with `phasewatch validate`.",
                code="loss",
            )
        score = self._score(loss_mean)
        return Epoch(number + 1, self.schedule.epochs, loss_mean, score, time.monotonic() - began)

    def _rate(self, step: int) -> None:
        share = self.schedule.share(step, self.batches * self.schedule.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate * share

    def _score(self, loss: float) -> float:
        """Return macro F1 on the validation windows; minus the loss where there are none."""
        if self.validation is None:
            return -loss
        logits = [predict(self.plain, self._tensor(z)) for z in self.validation.blocks()]
        predicted = np.concatenate(logits).argmax(axis=1)
        y = self.validation.y
        classes = len(self.weight)
        _, cube = metrics.confusions(np.zeros(len(y), dtype=np.str_), y, predicted, classes)
        return float(metrics.macro_f1(cube.sum(axis=0)))


def best_epoch(history: Sequence[Epoch]) -> int:
    """Return the number of the epoch, from 1, with the best score; the last of equal ones."""
    return 1 + max(range(len(history)), key=lambda place: (history[place].score, place))


def predict(module: nn.Module, z: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return logits `[N,K]` of `z`, computed in batches, in single precision at the end."""
    if module.training:
        module.eval()
    with torch.inference_mode():
        rows = [module(part).float().cpu() for part in torch.split(z, 512)]
    return torch.cat(rows).double().numpy()


def _weights(data: Data) -> Tensor:
    """Return a weight for each class, `[K]`: all classes weigh the same, mean 1 over windows.

    The weight of an absent class is 0.
    """
    weight = torch.zeros(data.classes)
    for label, share in zip(data.y, data.weight, strict=True):
        weight[label] = share
    return weight


def copied(module: nn.Module) -> State:
    """Return a copy of a module's weights, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


# ---------------------------------------------------------------- between two epochs


def _moments(optimizer: Any) -> State:
    """Return the state that AdamW has of each parameter, under the position of the parameter."""
    state = optimizer.state_dict()["state"]
    return {
        f"{place}.{name}": value.detach().cpu().clone()
        for place, moments in state.items()
        for name, value in moments.items()
    }


def _set_moments(optimizer: Any, moments: State) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        place, name = key.split(".", 1)
        state.setdefault(int(place), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _store(state: TrainingState, path: Path) -> None:
    tensors = {
        f"{part}/{name}": value
        for part in ("weights", "moments", "best")
        for name, value in getattr(state, part).items()
    }
    history = json.dumps([epoch._asdict() for epoch in state.history])
    atomic.write(path, pack(tensors, metadata={"history": history}))


def _restored(path: Path | None, module: nn.Module) -> TrainingState | None:
    """Return the state of an interrupted training; None without a state of this module."""
    if path is None or not path.exists():
        return None
    data = path.read_bytes()
    try:
        tensors = unpack(data)
        history = [Epoch(**row) for row in json.loads(metadata(data)["history"])]
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None
    parts: dict[str, State] = {"weights": {}, "moments": {}, "best": {}}
    for key, value in tensors.items():
        part, _, name = key.partition("/")
        parts[part][name] = value
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    if {name: value.shape for name, value in parts["weights"].items()} != shapes:
        return None
    return TrainingState(parts["weights"], parts["moments"], parts["best"], history)


def metadata(data: bytes) -> dict[str, str]:
    """Return the metadata of a safetensors file. Raises ValueError or KeyError."""
    length = int.from_bytes(data[:8], "little")
    found: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return found
