"""`make bench`: every benchmark on the corpus, each beside a peer measured in the same run.

Ratios are what counts; absolute figures hold for one machine only. Nothing here is a test.
"""

import tempfile
from pathlib import Path

import bit_flips
import bootstrap
import interval_coverage
import latency
import layouts
import receiver
from rich.console import Console

import features
import validation
from phasewatch.store.local import Store


def main() -> None:
    """Print every table, on the corpus in the repository."""
    opened = Store.open(Path(__file__).parent.parent / "corpus")
    out = Console(highlight=False)
    layouts.run(opened, out)
    layouts.by_length(Store.open(opened.root.parent / "recordings" / "large"), out)
    for bench in (validation, features):
        with tempfile.TemporaryDirectory() as scratch:
            bench.run(opened, out, Path(scratch))
    bit_flips.run(opened, out, 1000)
    receiver.run(opened)
    bootstrap.run(opened, out)
    latency.run(opened, out, lambda folder: latency.trained(opened, folder))
    interval_coverage.run(out)


if __name__ == "__main__":
    main()
