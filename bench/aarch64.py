"""Every bundle of a run on a Raspberry Pi's processor: its answers beside the checkpoint's.

`python bench/aarch64.py --run RUN --store STORE` exports all checkpoints of the run and asks both
about every window of the test split; the processor is qemu-user's, the wheels are the real ones.
It needs `make pi`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from phasewatch.artifacts import checkpoint
from phasewatch.artifacts.export import export
from phasewatch.experiment.run import Run
from phasewatch.store.local import Store
from phasewatch.windowing import extract, pool_openings

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests import pi


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--store", type=Path, default=Path("corpus"))
    asked = parser.parse_args()
    if pi.lacks():
        sys.exit(pi.lacks())
    store, answers, windows, bundles = Store.open(asked.store), [], [], []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for path in Run.open(asked.run).checkpoint_paths():
            header, own = checkpoint.load_header(path), checkpoint.load(path)
            ids = list(header.split["test"])
            windows.append(pool_openings(extract(store, ids, own.schema, own.opening_s)))
            answers.append(own.logits(windows[-1].x, windows[-1].opening, windows[-1].past))
            bundles.append(export(path, store, folder))
        there = pi.logits(bundles, windows, folder)
    table = Table(title="aarch64 beside the checkpoint")
    for name in ("model", "windows", "largest difference of logits", "other labels"):
        table.add_column(name)
    for place, here, far in zip(bundles, answers, there, strict=True):
        apart = f"{np.abs(here - far).max():.2g}"
        other = np.count_nonzero(here.argmax(axis=1) != far.argmax(axis=1))
        table.add_row(place.stem, f"{len(here)}", apart, f"{other}")
    out = Console()
    out.print(table)
    out.print(f"phasewatch\\[live] takes {pi.megabytes():.0f} MB there")


if __name__ == "__main__":
    main()
