"""From a folder of CSV files never seen before to a report: commands, lines of TOML, minutes.

`python bench/stranger.py` makes up what a monitoring agent writes, a folder a host and a file a
run, and goes the way of docs/how-to/import.md with the commands that stand there.
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
    "schema.toml": {
        '  ["cpu_seconds_total", "1", "counter", "cpu_seconds_total"],': (
            '  ["cpu_seconds_total", "s", "counter", "time all cores were at work"],'
        ),
    },
}
"""What a person would correct in the drafts, line by line."""

COMMANDS = (
    "schema suggest tables --out mine",
    "import tables --schema mine/schema.toml --mapping mine/mapping.toml --out store",
    "validate store --summary",
    "run --store store --split leave_one_host_out --opening 0 --recipe all --out runs/mine",
)


def tables(folder: Path) -> None:
    """What the agent wrote: rows every 15 s or so, some lost, totals since boot."""
    chance = np.random.default_rng(0)
    began = 1_790_000_000.0
    for host, speed in HOSTS.items():
        totals = chance.uniform(1e3, 1e6, 3)
        for run in range(RUNS):
            for load, level in LOADS.items():
                lines = [HEAD]
                for _ in range(ROWS):
                    began += EVERY_S + chance.normal(0, 0.4)
                    busy = level * speed * chance.gamma(8, 1 / 8)
                    totals += EVERY_S * busy * np.array([0.25, 5e4, 2e5]) * chance.gamma(2, 0.5, 3)
                    row = (*totals, 4e9 - 4e8 * busy, busy)
                    if chance.random() > 0.02:
                        lines.append(f"{began:.3f}," + ",".join(f"{own:.2f}" for own in row))
                place = folder / host / f"{load}-run{run}.csv"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text("\n".join(lines) + "\n")
                began += 600


def correct(folder: Path) -> tuple[int, int]:
    """Correct the drafts; their lines, and how many of them a person changed."""
    lines = changed = 0
    for name, corrections in CORRECTED.items():
        draft = (folder / name).read_text().splitlines()
        final = [corrections.get(line, line) for line in draft]
        (folder / name).write_text("\n".join(final) + "\n")
        lines += sum(bool(line.strip()) and not line.startswith("#") for line in draft)
        changed += sum(line.startswith("+ ") for line in difflib.ndiff(draft, final))
    return lines, changed


def main() -> None:
    """See above."""
    out = Console(highlight=False)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tables(folder / "tables")
        count = len(list((folder / "tables").rglob("*.csv")))
        out.print(f"{count} CSV files of {len(HOSTS)} hosts, {len(LOADS)} phases")
        first, lines, changed = time.perf_counter(), 0, 0
        for command in COMMANDS:
            began = time.perf_counter()
            told = subprocess.run(
                [BIN, *shlex.split(command)], cwd=folder, capture_output=True, text=True, check=True
            )
            took = time.perf_counter() - began
            last = told.stdout.strip().splitlines()[-1]
            out.print(f"$ phasewatch {command}\n  {took:.0f} s; {last}", soft_wrap=True)
            if command.startswith("schema"):
                lines, changed = correct(folder / "mine")
                out.print(f"  {lines} lines of TOML drafted, {changed} corrected by hand")
        minutes = (time.perf_counter() - first) / 60
        report = (folder / "runs" / "mine" / "report.md").read_text()
        (claim,) = (line for line in report.splitlines() if line.startswith("On "))
        out.print(f"{len(COMMANDS)} commands, {minutes:.1f} minutes of machine time\n{claim}")


if __name__ == "__main__":
    main()
