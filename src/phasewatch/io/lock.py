"""A lock of a folder: one process at a time, released by the kernel when that process ends."""

import fcntl
from pathlib import Path
from typing import IO

from phasewatch.errors import Refused


def locked(path: Path, place: Path, refused: tuple[str, str, str]) -> IO[str]:
    """Lock the file at `path`, which is made, and return it: closing it releases the lock.

    Raises Refused about `place`, with the problem, what is expected, and the remedy of `refused`,
    where another process holds the lock.
    """
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise Refused(place, *refused) from error
    return lock
