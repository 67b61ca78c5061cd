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
FORMS = "torch eager", "inference mode", "checkpoint", BUNDLE
"""A checkpoint uses XGBoost, or PyTorch in double precision: see decision 30."""
Ask = Callable[[int], object]


def quantiles(ask: Ask, count: int = 500) -> tuple[float, float]:
    """Return p50 and p99 in milliseconds."""
    took = []
    for number in range(count + 20):
        began = time.perf_counter()
        ask(number)
        took.append(1e3 * (time.perf_counter() - began))
    half, most = np.quantile(took[20:], [0.5, 0.99])
    return float(half), float(most)


def cold(module: str, path: Path) -> str:
    """Return the seconds to load a model in a fresh process, and its resident MiB, as text."""
    command = [sys.executable, "-c", COLD.format(module=module), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, size = map(float, done.stdout.split())
    return f"{seconds:.2f} s, {size:.0f} MiB"


def trained(store: Store, folder: Path) -> Iterator[Path]:
    """Yield a checkpoint of each of the six models, trained on part of a store."""
    ids = store.ids()[:EPISODES]
    schema = store.schema.for_mode("realistic")
    recipe = replace(recipes.find("all"), test="none")
    windows = pool_openings(extract(store, ids, schema, recipe.opening_s))
    training, validation = (windows.take(np.arange(first, len(windows), 2)) for first in (0, 1))
    split = splits.Split("held_out_host", "none", tuple(ids[3:]), (), (), tuple(ids[:3]))
    for name in recipes.SIX:
        kind = find(name)
        normalizer = Normalizer.fit(kind.view, training, PREFERRED[kind.view], schema)
        model = kind(len(schema.classes), 0)
        parts = [
            Data(normalizer.apply(part.x, part.opening, part.past), part.y, len(schema.classes))
            for part in (training, validation)
        ]
        model.fit(parts[0], parts[1])
        trained_checkpoint = Checkpoint(
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
        yield checkpoint.save(trained_checkpoint, store.read(ids[0]), folder)


def compare(path: Path, store: Store, folder: Path) -> list[str]:
    """Return the row of one checkpoint and of the bundle made of it, from window to logits."""
    loaded, place = checkpoint.load(path), export(path, store, folder)
    fast = bundle.load(place)
    ids = checkpoint.load_header(path).split["test"][:3]
    windows = pool_openings(extract(store, ids, loaded.schema, loaded.opening_s))
    count = len(windows)
    inputs = (windows.x, windows.opening, windows.past)
    rows = [tuple(part[row][None] for part in inputs) for row in range(count)]
    measured = {"checkpoint": quantiles(lambda number: loaded.logits(*rows[number % count]))}
    if isinstance(loaded.model, Network):
        # The same layers in single precision, as a program that asks PyTorch itself would.
        module = loaded.model._module.float().eval()

        def ask(number: int) -> object:
            return module(torch.from_numpy(loaded.normalizer.apply(*rows[number % count])).float())

        measured["torch eager"] = quantiles(ask)
        with torch.inference_mode():
            measured["inference mode"] = quantiles(ask)
    measured[BUNDLE] = quantiles(lambda number: fast.logits(*rows[number % count]))
    cells = [
        "{:.2f} / {:.2f}".format(*measured[form]) if form in measured else "" for form in FORMS
    ]
    best = min(measured[form][0] for form in measured if form != BUNDLE)
    ratio = f"{best / measured[BUNDLE][0]:.1f}"
    return [loaded.name, *cells, ratio, cold("checkpoint", path), cold("bundle", place)]


def run(store: Store, out: Console, checkpoints: Callable[[Path], Iterator[Path]]) -> None:
    """Print the table."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    table = Table(title="one window, ms (p50 / p99); a fresh process until it is loaded")
    for name in ("model", *FORMS, "best ÷ bundle", "checkpoint cold", "bundle cold"):
        table.add_column(name)
    with tempfile.TemporaryDirectory() as folder:
        for path in checkpoints(Path(folder)):
            table.add_row(*compare(path, store, Path(folder)))
    out.print(table)
    torch.set_num_threads(threads)


def main() -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--store", type=Path, default=Path("corpus"))
    options = parser.parse_args()
    store = Store.open(options.store)

    def checkpoints(folder: Path) -> Iterator[Path]:
        if options.run is None:
            yield from trained(store, folder)
            return
        for path in Run.open(options.run).checkpoint_paths():
            header = checkpoint.load_header(path)
            if header.model in recipes.SIX and header.mode == "realistic":
                yield path

    run(store, Console(width=140), checkpoints)


if __name__ == "__main__":
    main()
