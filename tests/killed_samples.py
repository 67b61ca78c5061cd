"""One batch of samples, taken by a receiver that is killed at every call that reaches the disk.

Run by tests/store/test_samples.py. Prints one JSON line a kill: at which call, how far the stream
was acknowledged by the receiver that came next, and the lines in the end.
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


def take(folder: Path) -> None:
    """Take the second batch, as a receiver that has just been started."""
    HostJournal(folder, MOST).take(Batch(STREAM, len(FIRST), len(FIRST), SECOND))


def killed(folder: Path, step: int) -> str:
    """Take it in a child that is killed at `step`; return where it was, "end" for nowhere."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        sys.setprofile(killer(step))
        take(folder)
        sys.setprofile(None)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as output:
        found = output.read().splitlines()
    os.waitpid(child, 0)
    return (found or ["end"])[0]


def resent(folder: Path) -> int:
    """Send the batch again, as a sender that got no answer; return what was acknowledged before."""
    host = HostJournal(folder, MOST)
    try:
        host.take(Batch(STREAM, len(FIRST), len(FIRST), SECOND))
    except Unfit as unfit:
        assert unfit.position == len(FIRST) + len(SECOND)
        return unfit.position
    return 0


def kept(folder: Path) -> list[int]:
    """Return the numbers of the lines that are kept."""
    data = b""
    while part := journal.read(folder, len(data), MOST):
        data += part
    return [json.loads(line)["t_wall_ns"] for line in data.splitlines()]


def main() -> None:
    """Every step, until the batch is through."""
    at, step = "", 0
    while at != "end":
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "web"
            HostJournal(folder, MOST).take(Batch(STREAM, 0, 0, FIRST))
            at = killed(folder, step)
            found = {"at": at, "position": resent(folder), "lines": kept(folder)}
            sys.stdout.write(json.dumps(found) + "\n")
        step += 1


if __name__ == "__main__":
    main()
