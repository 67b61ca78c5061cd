"""`make bench`, one window alone, in one thread: PyTorch, XGBoost and the bundle's ONNX.

`python bench/latency.py --run RUN --store STORE` measures the models of a run; `make bench` trains
six of the usual size on part of the corpus, since time depends on the size and not on the score.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from phasewatch import splits
from phasewatch.artifacts import bundle, checkpoint
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.artifacts.export import export
from phasewatch.experiment.run import Run
from phasewatch.features.normalizer import Normalizer
from phasewatch.features.views import PREFERRED
from phasewatch.models._network import Network
from phasewatch.models.base import Data, find
from phasewatch.store.local import Store
from phasewatch.training import recipes
from phasewatch.windowing import extract, pool_openings

COLD = """
import sys, time
began = time.perf_counter()
from pathlib import Path
from phasewatch.artifacts import {module}
{module}.load(Path(sys.argv[1]))
took = time.perf_counter() - began
(size,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")]
print(took, int(size) / 1024)
"""
EPISODES = 40
BUNDLE = "bundle (ONNX)"
WAYS = "torch eager", "inference mode", "checkpoint", BUNDLE
"""A checkpoint asks XGBoost, or PyTorch in double precision: see docs/decisions/0030."""
Ask = Callable[[int], object]


def quantiles(ask: Ask, count: int = 500) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    took = []
    for number in range(count + 20):
        began = time.perf_counter()
        ask(number)
        took.append(1e3 * (time.perf_counter() - began))
    half, most = np.quantile(took[20:], [0.5, 0.99])
    return float(half), float(most)


def cold(module: str, path: Path) -> str:
    """Seconds to load in a fresh process, and its resident MiB."""
    command = [sys.executable, "-c", COLD.format(module=module), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, size = map(float, done.stdout.split())
    return f"{seconds:.2f} s, {size:.0f} MiB"


def trained(store: Store, folder: Path) -> Iterator[Path]:
    """A checkpoint of each of the six, which learned from part of a store."""
    ids = store.ids()[:EPISODES]
    schema = store.schema.for_mode("realistic")
    recipe = replace(recipes.find("all"), test="none")
    windows = pool_openings(extract(store, ids, schema, recipe.opening_s))
    learned, judged = (windows.take(np.arange(first, len(windows), 2)) for first in (0, 1))
    split = splits.Split("held_out_host", "none", tuple(ids[3:]), (), (), tuple(ids[:3]))
    for name in recipes.SIX:
        kind = find(name)
        normalizer = Normalizer.fit(kind.view, learned, PREFERRED[kind.view], schema)
        model = kind(len(schema.classes), 0)
        parts = [
            Data(normalizer.apply(part.x, part.opening, part.past), part.y, len(schema.classes))
            for part in (learned, judged)
        ]
        model.fit(parts[0], parts[1])
        own = Checkpoint(
            name=f"{name}-realistic",
            model_name=name,
            mode="realistic",
            schema=schema,
            opening_s=recipe.opening_s,
            normalizer=normalizer,
            projection=None,
            model=model,
            recipe=asdict(recipe),
            split=asdict(split),
            scores={},
        )
        yield checkpoint.save(own, store.read(ids[0]), folder)


def compare(path: Path, store: Store, folder: Path) -> list[str]:
    """A row: one checkpoint and the bundle made of it, each from a window to its logits."""
    own, place = checkpoint.load(path), export(path, store, folder)
    fast = bundle.load(place)
    ids = checkpoint.load_header(path).split["test"][:3]
    windows = pool_openings(extract(store, ids, own.schema, own.opening_s))
    count = len(windows)
    inputs = (windows.x, windows.opening, windows.past)
    rows = [tuple(part[row][None] for part in inputs) for row in range(count)]
    asked = {"checkpoint": quantiles(lambda number: own.logits(*rows[number % count]))}
    if isinstance(own.model, Network):
        # The same layers in single precision, as a program that asks PyTorch itself would.
        module = own.model._module.float().eval()

        def ask(number: int) -> object:
            return module(torch.from_numpy(own.normalizer.apply(*rows[number % count])).float())

        asked["torch eager"] = quantiles(ask)
        with torch.inference_mode():
            asked["inference mode"] = quantiles(ask)
    asked[BUNDLE] = quantiles(lambda number: fast.logits(*rows[number % count]))
    told = ["{:.2f} / {:.2f}".format(*asked[way]) if way in asked else "" for way in WAYS]
    best = min(asked[way][0] for way in asked if way != BUNDLE)
    ratio = f"{best / asked[BUNDLE][0]:.1f}"
    return [own.name, *told, ratio, cold("checkpoint", path), cold("bundle", place)]


def run(store: Store, out: Console, checkpoints: Callable[[Path], Iterator[Path]]) -> None:
    """The table."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    table = Table(title="one window, ms (p50 / p99); a fresh process until it is loaded")
    for name in ("model", *WAYS, "best ÷ bundle", "checkpoint cold", "bundle cold"):
        table.add_column(name)
    with tempfile.TemporaryDirectory() as folder:
        for path in checkpoints(Path(folder)):
            table.add_row(*compare(path, store, Path(folder)))
    out.print(table)
    torch.set_num_threads(threads)


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--store", type=Path, default=Path("corpus"))
    asked = parser.parse_args()
    store = Store.open(asked.store)

    def told(folder: Path) -> Iterator[Path]:
        if asked.run is None:
            yield from trained(store, folder)
            return
        for path in Run.open(asked.run).checkpoint_paths():
            header = checkpoint.load_header(path)
            if header.model in recipes.SIX and header.mode == "realistic":
                yield path

    run(store, Console(width=140), told)


if __name__ == "__main__":
    main()
