"""Single windows, one thread: a checkpoint beside its bundle; cold start and memory of both.

`python bench/latency.py --run RUN --store STORE` needs a run with the six models.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from phasewatch import bundle, checkpoint
from phasewatch.export import export
from phasewatch.pipeline import extract
from phasewatch.store import Store

COLD = """
import sys, time
began = time.perf_counter()
from pathlib import Path
from phasewatch import {module}
{module}.load(Path(sys.argv[1]))
took = time.perf_counter() - began
(size,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")]
print(took, int(size) / 1024)
"""


def quantiles(ask: Callable[[int], object], count: int = 500) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    took = []
    for number in range(count + 20):
        began = time.perf_counter()
        ask(number)
        took.append(1e3 * (time.perf_counter() - began))
    half, most = np.quantile(took[20:], [0.5, 0.99])
    return float(half), float(most)


def cold(module: str, path: Path) -> tuple[float, float]:
    """Seconds to load in a fresh process, and its resident MiB."""
    command = [sys.executable, "-c", COLD.format(module=module), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, size = map(float, done.stdout.split())
    return seconds, size


def compare(path: Path, store: Store, folder: Path) -> list[str]:
    """A row: one checkpoint and the bundle made of it."""
    own, place = checkpoint.load(path), export(path, store, folder)
    fast = bundle.load(place)
    ids = checkpoint.load_header(path).split["test"][:3]
    windows = extract(store, ids, own.schema, own.opening_s)
    rows = [(windows.x[row][None], windows.opening[row][None]) for row in range(len(windows))]
    one = quantiles(lambda number: own.logits(*rows[number % len(rows)]))
    two = quantiles(lambda number: fast.logits(*rows[number % len(rows)]))
    told = [f"{half:.2f} / {most:.2f}" for half, most in (one, two)]
    colds = cold("checkpoint", path), cold("bundle", place)
    sizes = [f"{seconds:.2f} s, {size:.0f} MiB" for seconds, size in colds]
    return [own.name, *told, f"{one[0] / two[0]:.1f}", *sizes]


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--store", type=Path, default=Path("corpus"))
    asked = parser.parse_args()
    table = Table(title="one window, ms (p50 / p99); a fresh process until it is loaded")
    for name in ("model", "checkpoint", "bundle", "ratio", "checkpoint cold", "bundle cold"):
        table.add_column(name)
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted((asked.run / "checkpoints").glob("*-realistic.ckpt.json")):
            if checkpoint.load_header(path).model not in ("majority", "logistic"):
                table.add_row(*compare(path, Store.open(asked.store), Path(folder)))
    Console().print(table)


if __name__ == "__main__":
    main()
