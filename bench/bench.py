"""`make bench`: ours and a peer in one run, as a ratio; absolute figures hold for one machine only.

Nothing here is a test, and nothing fails on a slow day.
"""

import tempfile
from pathlib import Path

import checks
import coverage
import cuts
import flips
import latency
import layouts
import resamples
from receive import receiving
from rich.console import Console

from phasewatch.store.local import Store


def main() -> None:
    """Every table, on the corpus in the repository."""
    opened = Store.open(Path(__file__).parent.parent / "corpus")
    out = Console(highlight=False)
    layouts.run(opened, out)
    for bench in (checks, cuts):
        with tempfile.TemporaryDirectory() as scratch:
            bench.run(opened, out, Path(scratch))
    flips.run(opened, out, 1000)
    receiving(opened)
    resamples.run(opened, out)
    latency.run(opened, out, lambda folder: latency.trained(opened, folder))
    coverage.run(out)


if __name__ == "__main__":
    main()
