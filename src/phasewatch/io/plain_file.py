"""Opening a file that may not be what it seems: no link is followed, nothing is waited for."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OpenFile:
    """What was opened: its descriptor, and its status, which stays of the same file."""

    handle: int
    status: os.stat_result

    @property
    def plain(self) -> bool:
        """Whether it is a regular file, and no folder, device or pipe."""
        return stat.S_ISREG(self.status.st_mode)

    def read(self) -> bytes:
        """Return the content of the file.

        It is one byte more than there were when the file has grown meanwhile: what grows is not
        the file that was opened, and may have no end.
        """
        with open(self.handle, "rb", closefd=False) as file:
            return file.read(self.status.st_size + 1)


@contextlib.contextmanager
def open_plain(path: Path, folder: int | None = None) -> Iterator[OpenFile]:
    """Open what lies at `path`, or under its name in an open `folder`.

    Raises OSError: ELOOP for a link, ENXIO for a socket or a pipe that nobody reads.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path if folder is None else path.name, flags, dir_fd=folder)
    try:
        yield OpenFile(handle, os.fstat(handle))
    finally:
        os.close(handle)
