"""`make scale`: every stage from a simulated store to a report, at stores of several sizes.

Each stage runs in a process of its own, on one core, and reports its processor time, wall time and
peak memory; `scale_stages.py` says what each stage does and how many KiB a further episode may add
to its peak. A stage whose memory grows beyond that ends this program with 1.

`.venv/bin/python bench/scale.py --episodes 300 1200` is what CI runs; without numbers it takes
1,000, 5,000, 20,000 and 76,660 episodes, which takes hours and 10 GB of disk.
"""

import argparse
import gc
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from phasewatch import alignment
from phasewatch.features import views

SIZES = (1_000, 5_000, 20_000, 76_660)
NOISE_MIB = 32.0
"""Growth that is not counted: allocators and libraries keep so much more or less."""


@dataclass(frozen=True)
class Spent:
    """What a stage took: processor seconds, wall seconds, and its peak memory in MiB."""

    cpu_s: float
    wall_s: float
    peak_mib: float


@dataclass(frozen=True)
class Growth:
    """How a stage grows between two sizes; exponents are NaN for what is too small to tell."""

    cpu_exponent: float
    memory_exponent: float
    kib_per_episode: float
    bound_kib: float
    within: bool


def growth(sizes: tuple[int, int], spent: tuple[Spent, Spent], bound_kib: float) -> Growth:
    """Return how a stage grows from the first size to the second, and whether it may."""
    (few, many), (less, more) = sizes, spent
    added_mib = more.peak_mib - less.peak_mib

    def exponent(small: float, large: float, least: float) -> float:
        return math.log(large / small) / math.log(many / few) if small > least else math.nan

    return Growth(
        exponent(less.cpu_s, more.cpu_s, 0.05),
        exponent(less.peak_mib, more.peak_mib, 1.0),
        added_mib * 1024 / (many - few),
        bound_kib,
        added_mib <= NOISE_MIB + bound_kib * (many - few) / 1024,
    )


def measure(name: str, folder: Path, episodes: int) -> Spent:
    """Run a stage in this process, and return what the part after its preparation took."""
    from scale_stages import STAGES, Place

    # Else numba would be loaded in the larger sizes alone, and count as growth.
    for loop in (alignment.COMPILED, views.COMPILED):
        loop.after(sys.maxsize)
    work = STAGES[name].prepare(Place(folder, episodes))
    gc.collect()
    # The kernel then counts the peak of the resident memory anew, from what is resident now.
    Path("/proc/self/clear_refs").write_text("5")
    cpu, wall = time.process_time(), time.perf_counter()
    kept = work()
    took = time.process_time() - cpu, time.perf_counter() - wall
    del kept
    return Spent(*took, _peak_mib())


def _peak_mib() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def run_stage(name: str, folder: Path, episodes: int) -> Spent:
    """Run a stage in a new process on one core. Raises SystemExit when it fails."""
    result = folder / "spent.json"
    words = ("--stage", name, "--folder", folder, "--episodes", episodes, "--result", result)
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, sys.argv[0], *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **one},
    )
    if done.returncode:
        raise SystemExit(f"{name} of {episodes:,} episodes: {done.stdout[-2000:]}")
    return Spent(**json.loads(result.read_text(encoding="ascii")))


def run_all(sizes: Sequence[int], names: Sequence[str], root: Path, out: Console) -> bool:
    """Run stages at every size, print the table, and return whether all are within their bounds."""
    spent: dict[str, list[Spent]] = {name: [] for name in names}
    for episodes in sizes:
        folder = root / str(episodes)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            spent[name].append(run_stage(name, folder, episodes))
            one = spent[name][-1]
            out.print(f"{episodes:,} {name}: {one.cpu_s:.1f} CPU s, {one.peak_mib:,.0f} MiB")
    return print_table(sizes, spent, out)


def print_table(sizes: Sequence[int], spent: Mapping[str, Sequence[Spent]], out: Console) -> bool:
    """Print what every stage took, and how it grows; return whether all are within their bounds."""
    from scale_stages import STAGES

    table = Table("stage", "episodes", "CPU s", "wall s", "peak MiB")
    for name in ("CPU grows as N^", "memory as N^", "KiB an episode", "bound"):
        table.add_column(name, justify="right")
    within = True
    for name, found in spent.items():
        for place, (episodes, one) in enumerate(zip(sizes, found, strict=True)):
            cells = [f"{episodes:,}", f"{one.cpu_s:.1f}", f"{one.wall_s:.1f}"]
            cells.append(f"{one.peak_mib:,.0f}")
            if place:
                pair = (sizes[place - 1], episodes), (found[place - 1], one)
                grown = growth(*pair, STAGES[name].growth_kib)
                within &= grown.within
                cells += _cells(grown)
            table.add_row("" if place else name, *cells, end_section=place == len(found) - 1)
    out.print(table)
    return within


def _cells(grown: Growth) -> list[str]:
    """Return the cells on the growth of a stage."""
    verdict = f"{grown.bound_kib:g}" if grown.within else f"{grown.bound_kib:g} EXCEEDED"
    exponents = (grown.cpu_exponent, grown.memory_exponent)
    shown = ["" if math.isnan(one) else f"{one:.2f}" for one in exponents]
    return [*shown, f"{grown.kib_per_episode:,.0f}", verdict]


def main() -> None:
    """Run every stage at every size; or, for this program itself, one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--stages", nargs="+", help="these alone, each after those it needs")
    parser.add_argument("--folder", type=Path, help="keep stores and what comes of them here")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        spent = measure(given.stage, given.folder, given.episodes[0])
        given.result.write_text(json.dumps(asdict(spent)), encoding="ascii")
        return
    from scale_stages import STAGES

    out = Console(highlight=False, width=120)
    with tempfile.TemporaryDirectory() as scratch:
        root = given.folder or Path(scratch)
        within = run_all(given.episodes, given.stages or list(STAGES), root, out)
    out.print("every stage is within its bound" if within else "a stage grows beyond its bound")
    raise SystemExit(not within)


if __name__ == "__main__":
    main()
