"""Validate a simulated store of any size, twice: minutes, memory, verdicts against the truth.

`.venv/bin/python bench/scale.py --episodes 76660` takes a quarter of an hour and 2 GB on two cores;
without a number it makes 2,000. Ends with 1 where a verdict is not on the diagonal.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from phasewatch.sim import stream
from phasewatch.validation import index as indices

CLI = (sys.executable, "-c", "from phasewatch.cli.main import main; main()")
INTERVAL_S = 0.1


class Peak:
    """The peak memory of a process and all its children together, in bytes.

    Proportional (PSS): a page that several share counts once.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.bytes, self._root = 0, psutil.Process(process.pid)
        self._process = process
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while self._process.poll() is None:
            held = 0
            for process in (self._root, *self._children()):
                try:
                    held += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.bytes = max(self.bytes, held)
            time.sleep(INTERVAL_S)

    def _children(self) -> list[psutil.Process]:
        try:
            return list(self._root.children(recursive=True))
        except psutil.Error:
            return []


def run(*words: object) -> tuple[float, int]:
    """Run a command of phasewatch; return minutes and peak memory in bytes."""
    began = time.perf_counter()
    command = [*CLI, *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = Peak(process)
    if process.wait() not in (0, 3, 4):
        raise SystemExit(f"{words[0]} ended with {process.returncode}")
    return (time.perf_counter() - began) / 60, peak.bytes


def main() -> None:
    """Simulate, validate twice, and compare with the truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=float, default=0.1)
    parser.add_argument("--jobs", type=int, default=0, help="processes of a sweep; 0 for all cores")
    parser.add_argument("--out", type=Path, help="keep the store here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, index = given.out or Path(folder, "store"), Path(folder, "index.parquet")
        made = ("--episodes", given.episodes, "--seed", given.seed, "--faults", given.faults)
        sweep = ("validate", root, "--index", index, "--jobs", given.jobs, "--summary")
        table = Table("", "minutes", "episodes/s", "peak memory, MiB")
        for name, words in (
            ("simulate", ("simulate", "--out", root, *made)),
            ("sweep, cold", sweep),
            ("sweep again, nothing changed", sweep),
        ):
            minutes, peak = run(*words)
            rate = f"{given.episodes / minutes / 60:,.0f}"
            table.add_row(name, f"{minutes:.2f}", rate, f"{peak / 2**20:,.0f}")
        out = Console(highlight=False)
        out.print(table)
        print_score(stream.score_validation(indices.read(index), stream.read_truth(root)), out)


def print_score(hits: stream.ValidationScore, out: Console) -> None:
    """Print the verdict matrix and the missed faults. Exits with 1 where any was missed."""
    table = Table("must be", *hits.matrix)
    for verdict, row in hits.matrix.items():
        table.add_row(verdict, *(f"{count:,}" for count in row.values()))
    out.print(table)
    off = sum(n for must, row in hits.matrix.items() for got, n in row.items() if must != got)
    out.print(f"{off} off the diagonal; {hits}")
    raise SystemExit(bool(off or hits.missed))


if __name__ == "__main__":
    main()
