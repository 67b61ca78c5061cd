"""Compare training on a CUDA device with the CPU: `python bench/cuda.py`.

Every network, in realistic mode, with arm-store held out: on the CPU, on the device twice, and once
there interrupted half-way. On the device arithmetic is in mixed precision, so scores may differ;
whether they repeat to the bit is printed, not assumed.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from phasewatch.schema import Schema
    from phasewatch.windowing import Windows

NETWORKS = ("mlp", "cnn", "gru", "lstm", "transformer")
HALF_WAY = 12
"""Epochs before the interruption; every network trains for more."""


class Trained(NamedTuple):
    """The result of one training: macro F1 on the unseen host, epochs, seconds and weights."""

    score: float
    epochs: int
    seconds: float
    weights: bytes


def hidden() -> None:
    """Hide the device from a worker process."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def train(name: str, cut_short: bool = False) -> Trained:
    """Train one network and return its result; with `cut_short` it is interrupted and resumed."""
    import numpy as np

    from phasewatch import metrics
    from phasewatch.models.base import Epoch, TrainingMonitor
    from phasewatch.training.fitting import FitOptions, fit_model

    parts, schema = windows()
    epochs: list[Epoch] = []

    def stop(epoch: Epoch) -> None:
        if epoch.number == HALF_WAY:
            raise KeyboardInterrupt

    with TemporaryDirectory() as place:
        state = Path(place) / "state.safetensors"
        sides = parts["train"], parts["validation"]
        if cut_short:
            with suppress(KeyboardInterrupt):
                fit_model(name, schema, 0, sides, FitOptions(TrainingMonitor(stop, state)))
        fitted = fit_model(
            name, schema, 0, sides, FitOptions(TrainingMonitor(epochs.append, state))
        )
    unseen = parts["unseen"]
    predicted = fitted.predict(unseen)
    _, cube = metrics.confusions(
        np.zeros(len(predicted), str), unseen.y, predicted, len(schema.classes)
    )
    score = float(metrics.macro_f1(cube.sum(axis=0)))
    return Trained(score, len(epochs), sum(one.seconds for one in epochs), fitted.model.save())


def windows() -> "tuple[dict[str, Windows], Schema]":
    """Return the realistic windows of the corpus by part of the split, and their schema."""
    from phasewatch import splits, windowing
    from phasewatch.store.local import Store
    from phasewatch.validation.sweep import validate_store

    store = Store.open(Path(__file__).parent.parent / "corpus")
    usable = [one.identity for one in validate_store(store) if one.usable]
    [split] = splits.find_splitter("held_out_host")(usable, "arm-store", "pc-tick")
    schema = store.schema.for_mode("realistic")
    complete = windowing.extract(store, [one.id for one in usable], schema, 15.0)
    return splits.divide_windows(complete, split), schema


def main() -> None:
    """Print one row for each network."""
    import torch

    out = Console(highlight=False, width=120)
    if not torch.cuda.is_available():
        out.print("There is no CUDA device here: nothing was measured.")
        return
    spawn = get_context("spawn")
    cores = min(len(NETWORKS), os.cpu_count() or 1)
    with (
        ProcessPoolExecutor(cores, spawn, hidden) as slow,
        ProcessPoolExecutor(1, spawn) as fast,
    ):
        local = {name: slow.submit(train, name) for name in NETWORKS}
        on_device = {
            name: [
                fast.submit(train, name),
                fast.submit(train, name),
                fast.submit(train, name, True),
            ]
            for name in NETWORKS
        }
        table = Table("network", "macro F1, CPU", "CUDA", "epoch, CPU", "CUDA", "again", "resumed")
        for name in NETWORKS:
            cpu, (first, again, resumed) = (
                local[name].result(),
                [t.result() for t in on_device[name]],
            )
            table.add_row(
                name,
                f"{cpu.score:.3f}",
                f"{first.score:.3f}",
                f"{cpu.seconds / cpu.epochs:.2f} s",
                f"{first.seconds / first.epochs:.2f} s",
                "same bits" if again.weights == first.weights else "other bits",
                "same bits" if resumed.weights == first.weights else "other bits",
            )
    out.print(torch.cuda.get_device_name(), torch.__version__)
    out.print(table)


if __name__ == "__main__":
    main()
