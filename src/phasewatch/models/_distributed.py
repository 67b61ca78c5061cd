"""Training of networks on all workers of a Dask cluster together.

Every worker holds all windows, takes its share of each batch, and adds its gradients to those of
the others (PyTorch's DistributedDataParallel over gloo), so all end with the same weights.
"""

import os
import socket
from typing import Any

import torch
from torch import nn

from phasewatch.io.executors import connected
from phasewatch.models import _trainer
from phasewatch.models._trainer import Rank, Schedule, State
from phasewatch.models.base import UNMONITORED, Data, Epoch


def train(
    address: str, module: nn.Module, parts: tuple[Data, Data], schedule: Schedule, seed: int
) -> list[Epoch]:
    """Train like `_trainer.train`, on all workers of a Dask cluster together."""
    with connected(address) as client:
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        meeting = client.submit(_meeting, workers=workers[0], pure=False).result()
        given = client.scatter((module, parts), broadcast=True, hash=False)
        ranks = [
            client.submit(
                _work,
                given,
                (schedule, seed, Rank(number, len(workers), meeting)),
                workers=worker,
                pure=False,
                allow_other_workers=False,
            )
            for number, worker in enumerate(workers)
        ]
        state, history = client.gather(ranks)[0]
    module.load_state_dict(state)
    return [Epoch(*row) for row in history]


def _meeting() -> tuple[str, int]:
    """Return the host and a free port of the first worker, where all connect."""
    from distributed import get_worker

    host = get_worker().address.split("://")[-1].rsplit(":", 1)[0]
    with socket.socket() as free:
        free.bind((host, 0))
        return host, free.getsockname()[1]


def _work(given: Any, how: tuple[Schedule, int, Rank]) -> tuple[State, list[tuple[Any, ...]]]:
    """Run the part of one training that a worker has, and return its weights and epochs."""
    module, parts = given
    schedule, seed, rank = how
    before = dict(os.environ)
    try:
        history = _trainer.train(module, parts, schedule, seed, UNMONITORED, rank)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        os.environ.clear()
        os.environ.update(before)
    return _trainer.copied(module), [tuple(epoch) for epoch in history]
