"""From a folder of CSV files to a report: how many commands, lines of TOML and minutes it takes.

`python bench/csv_to_report.py` writes the files that a monitoring agent could write, one folder for
each host and one file for each run, and gives the commands of docs/how-to/import.md.
"""

import difflib
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

BIN = Path(sys.executable).parent / "phasewatch"
HOSTS = {"web-1": 1.0, "web-2": 1.2, "db-1": 1.5, "db-2": 1.8}
LOADS = {"idle": 0.1, "build": 1.5, "scrape": 0.4, "mine": 3.9}
RUNS, ROWS, EVERY_S = 4, 120, 15.0
HEAD = "timestamp,cpu_seconds_total,receive_bytes_total,written_bytes_total,memory_bytes,load1"
CORRECTED = {
    "mapping.toml": {
        'sample = { path = "^([^.]+)" }  # the file\'s path': 'sample = { path = "-(run[0-9]+)" }',
        'profile = "recorded"': 'profile = { path = "([^/_.-]+)[^/]*$" }',
    },
    "schema.toml": {},
}
"""Lines of the drafts that a person would correct, and their corrections."""

COMMANDS = (
    "schema suggest tables --out mine",
    "import tables --schema mine/schema.toml --mapping mine/mapping.toml --out store",
    "validate store --summary",
    "run --store store --split leave_one_host_out --opening 0 --recipe all --out runs/mine",
)


def tables(folder: Path) -> None:
    """Write the agent's files: rows about every 15 s, some of them lost, and totals since boot."""
    generator = np.random.default_rng(0)
    began = 1_790_000_000.0
    for host, speed in HOSTS.items():
        totals = generator.uniform(1e3, 1e6, 3)
        for run in range(RUNS):
            for load, level in LOADS.items():
                lines = [HEAD]
                for _ in range(ROWS):
                    began += EVERY_S + generator.normal(0, 0.4)
                    busy = level * speed * generator.gamma(8, 1 / 8)
                    totals += (
                        EVERY_S * busy * np.array([0.25, 5e4, 2e5]) * generator.gamma(2, 0.5, 3)
                    )
                    row = (*totals, 4e9 - 4e8 * busy, busy)
                    if generator.random() > 0.02:
                        lines.append(f"{began:.3f}," + ",".join(f"{value:.2f}" for value in row))
                place = folder / host / f"{load}-run{run}.csv"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text("\n".join(lines) + "\n")
                began += 600


def correct(folder: Path) -> tuple[int, int]:
    """Correct the drafts; return their number of lines, and how many of them were changed."""
    lines = changed = 0
    for name, corrections in CORRECTED.items():
        draft = (folder / name).read_text().splitlines()
        final = [corrections.get(line, line) for line in draft]
        (folder / name).write_text("\n".join(final) + "\n")
        lines += sum(bool(line.strip()) and not line.startswith("#") for line in draft)
        changed += sum(line.startswith("+ ") for line in difflib.ndiff(draft, final))
    return lines, changed


def main() -> None:
    """Parse the command line and run the benchmark."""
    out = Console(highlight=False)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tables(folder / "tables")
        count = len(list((folder / "tables").rglob("*.csv")))
        out.print(f"{count} CSV files of {len(HOSTS)} hosts, {len(LOADS)} phases")
        first, lines, changed = time.perf_counter(), 0, 0
        for command in COMMANDS:
            began = time.perf_counter()
            finished = subprocess.run(
                [BIN, *shlex.split(command)], cwd=folder, capture_output=True, text=True, check=True
            )
            took = time.perf_counter() - began
            last = finished.stdout.strip().splitlines()[-1]
            out.print(f"$ phasewatch {command}\n  {took:.0f} s; {last}", soft_wrap=True)
            if command.startswith("schema"):
                lines, changed = correct(folder / "mine")
                out.print(f"  {lines} lines of TOML drafted, {changed} corrected by hand")
        minutes = (time.perf_counter() - first) / 60
        report = (folder / "runs" / "mine" / "report.md").read_text()
        (summary,) = (line for line in report.splitlines() if line.startswith("On "))
        out.print(f"{len(COMMANDS)} commands, {minutes:.1f} minutes of machine time\n{summary}")


if __name__ == "__main__":
    main()
