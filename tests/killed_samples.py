"""A batch of samples, taken by a receiver that is killed at every call that reaches the disk.

Run by tests/store/test_samples.py. Prints one JSON line a kill: at which call, whether the
receiver that came next had acknowledged it, and the lines in the end.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.killed import killer

from phasewatch.io import journal
from phasewatch.store.samples import Batch, HostJournal, Unfit

STREAM, MOST = "stream-of-a-test", 1 << 20


def lines(first: int, count: int) -> bytes:
    """Lines of one machine, numbered by their time."""
    rows = [{"machine": "web", "t_wall_ns": number} for number in range(first, first + count)]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


FIRST, SECOND = lines(0, 4), lines(4, 2)
BATCHES = Batch(STREAM, 0, 0, FIRST), Batch(STREAM, len(FIRST), len(FIRST), SECOND)


def killed(folder: Path, batch: Batch, step: int) -> str:
    """Take a batch in a child, killed at `step`; return where it was, "end" for nowhere."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        sys.setprofile(killer(step))
        HostJournal(folder, MOST).take(batch)
        sys.setprofile(None)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as output:
        found = output.read().splitlines()
    os.waitpid(child, 0)
    return (found or ["end"])[0]


def resent(folder: Path, batch: Batch) -> bool:
    """Send it again, as a sender that got no answer; return whether it was acknowledged before."""
    host = HostJournal(folder, MOST)
    try:
        host.take(batch)
    except Unfit as unfit:
        assert unfit.position == batch.offset + len(batch.lines)
        return True
    return False


def kept(folder: Path) -> list[int]:
    """Return the numbers of the lines that are kept."""
    data = b""
    while part := journal.read(folder, len(data), MOST):
        data += part
    return [json.loads(line)["t_wall_ns"] for line in data.splitlines()]


def main() -> None:
    """Every step of the first batch of a host and of a later one, until it is through."""
    for number, batch in enumerate(BATCHES):
        at, step = "", 0
        while at != "end":
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name) / "web"
                for before in BATCHES[:number]:
                    HostJournal(folder, MOST).take(before)
                at = killed(folder, batch, step)
                found = {"batch": number, "at": at, "known": resent(folder, batch)}
                sys.stdout.write(json.dumps({**found, "lines": kept(folder)}) + "\n")
            step += 1


if __name__ == "__main__":
    main()
