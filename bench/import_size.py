"""What drafting and importing cost on a large file: `python bench/import_size.py --megabytes 500`.

The file is made in a temporary folder: 13 columns of four machines, of which 8 are mapped, cut into
days as drafts do with long recordings. Peers are DuckDB and Polars, which scan the same file once
for means by host: they parse what import parses, and write nothing. `--peers` names an interpreter
that has both. One thread each; seconds are of processor time, memory is the peak of the process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
from pyarrow import csv
from rich.console import Console
from rich.table import Table

from phasewatch.episode import Ints

COUNTERS, GAUGES, UNUSED, HOSTS, STEP_S = 3, 2, 4, 4, 5
ROWS_AT_A_TIME = 50_000

KINDS = ["counter"] * COUNTERS + ["gauge"] * GAUGES
SCHEMA = (
    """name = "size"
classes = ["benign", "attack"]

[grid]
step_s = 5.0
window_s = 60.0
stride_s = 30.0
hold_s = 10.0

[sources.table]
deployed = true
meaning = "columns of one file"
channels = [
"""
    + "".join(f'  ["c{n}", "1", "{kind}", "c{n}"],\n' for n, kind in enumerate(KINDS))
    + "]\n"
)
MAPPING = """[files]
pattern = "*.csv"

[time]
column = "time"
unit = "s"

[episode]
host = { column = "host" }
sample = "one"
profile = "mixed"
every_s = 86400

[phase]
column = "phase"

[channels]
""" + "".join(f'"table.c{n}" = {{ column = "c{n}" }}\n' for n in range(COUNTERS + GAUGES))
MEANS = ", ".join(f"avg(c{n})" for n in range(COUNTERS + GAUGES))
PEERS = {
    "DuckDB read_csv, means by host": f"""import sys, duckdb
duckdb.execute("SET threads = 1")
query = "SELECT host, {MEANS} FROM read_csv('" + sys.argv[1] + "') GROUP BY host"
print(len(duckdb.execute(query).fetchall()))
""",
    "Polars scan_csv, means by host": f"""import sys, polars as pl
columns = [pl.col(f"c{{n}}").mean() for n in range({COUNTERS + GAUGES})]
print(pl.scan_csv(sys.argv[1]).group_by("host").agg(columns).collect(engine="streaming").shape)
""",
}
START = "from phasewatch.cli.entry import main; main()"


@dataclass(frozen=True)
class Cost:
    """Seconds of processor time, peak memory in MB, and the exit code of a process."""

    cpu_s: float
    peak_mb: float
    code: int


def write(path: Path, megabytes: int) -> int:
    """Write rows of four machines, one after the other in time, and return the size in bytes."""
    generator, total, step = np.random.default_rng(0), np.zeros((HOSTS, COUNTERS), np.int64), 0
    names = [f"c{n}" for n in range(COUNTERS + GAUGES)] + [f"note{n}" for n in range(UNUSED)]
    with path.open("wb") as file:
        file.write((",".join(["time", "host", "phase", *names]) + ",tail\n").encode())
        while file.tell() < megabytes * 1_000_000:
            steps = np.arange(step, step + ROWS_AT_A_TIME // HOSTS)
            grown = np.cumsum(generator.integers(0, 5000, (len(steps), *total.shape)), axis=0)
            values = total + grown
            total, step = values[-1], int(steps[-1]) + 1
            _append(file, steps, values.reshape(-1, COUNTERS), generator)
    return path.stat().st_size


def _append(file: IO[bytes], steps: Ints, totals: Ints, generator: np.random.Generator) -> None:
    """Write the rows of some steps, those of each machine in turn."""
    rows = len(totals)
    when = np.repeat(steps, HOSTS)
    attack = when // 120 % 6 == 5
    columns = [
        1_790_000_000 + when * STEP_S,
        np.tile([f"web-{host}" for host in range(HOSTS)], len(steps)),
        np.where(attack, "attack", "benign"),
        *totals.T,
        *np.round(generator.normal(50, 9, (GAUGES + UNUSED, rows)), 3),
        np.full(rows, "x"),
    ]
    table = pa.table([pa.array(one) for one in columns], [str(n) for n in range(len(columns))])
    csv.write_csv(table, file, csv.WriteOptions(include_header=False, quoting_style="none"))


def cost(command: Sequence[str], log: Path) -> Cost:
    """Run a command and return what it cost; its output goes to `log`."""
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1000, process.returncode)


def commands(folder: Path, peers: str) -> dict[str, list[str]]:
    """Return the commands to be measured, by what they are called in the table."""
    files, drafts = folder / "files", folder / "drafts"
    ours = [sys.executable, "-c", START]
    layout = ["--schema", str(folder / "schema.toml"), "--mapping", str(folder / "mapping.toml")]
    found = {
        "phasewatch schema suggest": [*ours, "schema", "suggest", str(files), "--out", str(drafts)],
        "phasewatch import": [*ours, "import", str(files), *layout, "--out", str(folder / "store")],
    }
    for name, program in PEERS.items() if peers else ():
        found[name] = [peers, "-c", program, str(files / "all.csv")]
    return found


def main() -> None:
    """Write the file, draft its mapping and import it, read it with the peers, and print all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--peers", default="", help="Python interpreter with DuckDB and Polars")
    given, out = parser.parse_args(), Console(width=120)
    # Arrow and Polars take their number of threads from the environment.
    os.environ |= {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        size = write(folder / "files" / "all.csv", given.megabytes)
        (folder / "schema.toml").write_text(SCHEMA, encoding="utf-8")
        (folder / "mapping.toml").write_text(MAPPING, encoding="utf-8")
        table = Table("command", "CPU", "MB a second", "peak memory", "exit code")
        for what, command in commands(folder, given.peers).items():
            log = folder / "log"
            found = cost(command, log)
            rate, memory = size / 1e6 / found.cpu_s, found.peak_mb
            table.add_row(
                what, f"{found.cpu_s:.1f} s", f"{rate:.0f}", f"{memory:.0f} MB", str(found.code)
            )
            if found.code:
                out.print(log.read_text(encoding="utf-8")[-2000:])
        out.print(f"{size / 1e6:.0f} MB, {COUNTERS + GAUGES + 3} of 13 columns are mapped")
        out.print(table)


if __name__ == "__main__":
    main()
