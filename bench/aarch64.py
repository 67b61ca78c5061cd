"""Compare the bundles of a run on a Raspberry Pi's processor with their checkpoints here.

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
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--store", type=Path, default=Path("corpus"))
    options = parser.parse_args()
    if pi.lacks():
        sys.exit(pi.lacks())
    store, outputs, windows, bundles = Store.open(options.store), [], [], []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for path in Run.open(options.run).checkpoint_paths():
            header, loaded = checkpoint.load_header(path), checkpoint.load(path)
            ids = list(header.split["test"])
            windows.append(pool_openings(extract(store, ids, loaded.schema, loaded.opening_s)))
            outputs.append(loaded.logits(windows[-1].x, windows[-1].opening, windows[-1].past))
            bundles.append(export(path, store, folder))
        on_board = pi.logits(bundles, windows, folder)
    table = Table(title="aarch64 beside the checkpoint")
    for name in ("model", "windows", "largest difference of logits", "other labels"):
        table.add_column(name)
    for place, local, far in zip(bundles, outputs, on_board, strict=True):
        apart = f"{np.abs(local - far).max():.2g}"
        other = np.count_nonzero(local.argmax(axis=1) != far.argmax(axis=1))
        table.add_row(place.stem, f"{len(local)}", apart, f"{other}")
    out = Console()
    out.print(table)
    out.print(f"phasewatch\\[live] takes {pi.megabytes():.0f} MB there")


if __name__ == "__main__":
    main()
