"""What `phasewatch import` costs on a large file: `python bench/import_size.py --megabytes 500`.

The file is made in a temporary folder: 13 columns of four machines, of which 8 are mapped. The peer
is Polars, which scans the same file once, streaming, for means by host: it parses what import
parses, and writes nothing. Seconds are of processor time, memory is the peak of the process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

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
every_s = 3600

[phase]
column = "phase"

[channels]
""" + "".join(f'"table.c{n}" = {{ column = "c{n}" }}\n' for n in range(COUNTERS + GAUGES))
PEER = """import sys, polars as pl
columns = [pl.col(f"c{n}").mean() for n in range(int(sys.argv[2]))]
print(pl.scan_csv(sys.argv[1]).group_by("host").agg(columns).collect(engine="streaming").shape)
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of processor time, peak memory in MB, and the exit code of a process."""

    cpu_s: float
    peak_mb: float
    code: int


def write(path: Path, megabytes: int) -> int:
    """Write rows of four machines, one after the other in time, and return the size in bytes."""
    generator, total, step = np.random.default_rng(0), np.zeros((HOSTS, COUNTERS)), 0
    names = [f"c{n}" for n in range(COUNTERS + GAUGES)] + [f"note{n}" for n in range(UNUSED)]
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(["time", "host", "phase", *names]) + ",tail\n")
        while file.tell() < megabytes * 1_000_000:
            lines = []
            for _ in range(ROWS_AT_A_TIME // HOSTS):
                total += generator.integers(0, 5000, total.shape)
                for host in range(HOSTS):
                    gauges = generator.normal(50, 9, GAUGES + UNUSED)
                    values = [*map(str, total[host].astype(int)), *(f"{one:.3f}" for one in gauges)]
                    phase = "attack" if step // 120 % 6 == 5 else "benign"
                    time = 1_790_000_000 + step * STEP_S
                    lines.append(f"{time},web-{host},{phase},{','.join(values)},x\n")
                step += 1
            file.write("".join(lines))
    return path.stat().st_size


def cost(command: Sequence[str], log: Path) -> Cost:
    """Run a command and return what it cost; its output goes to `log`."""
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1000, process.returncode)


def main() -> None:
    """Write the file, import it, read it with the peer, and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--peers", default="", help="Python interpreter that has Polars")
    given, out = parser.parse_args(), Console(width=120)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        size = write(folder / "files" / "all.csv", given.megabytes)
        (folder / "schema.toml").write_text(SCHEMA, encoding="utf-8")
        (folder / "mapping.toml").write_text(MAPPING, encoding="utf-8")
        start = "from phasewatch.cli.entry import main; main()"
        imported = [sys.executable, "-c", start, "import", str(folder / "files")]
        imported += ["--schema", str(folder / "schema.toml")]
        imported += ["--mapping", str(folder / "mapping.toml"), "--out", str(folder / "store")]
        commands = {"phasewatch import": imported}
        if given.peers:
            arguments = [str(folder / "files" / "all.csv"), str(COUNTERS + GAUGES)]
            commands["Polars scan_csv, means by host"] = [given.peers, "-c", PEER, *arguments]
        table = Table("command", "CPU", "MB a second", "peak memory", "exit code")
        for what, command in commands.items():
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
