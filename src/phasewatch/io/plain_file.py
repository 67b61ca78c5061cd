"""Opens files that are not trusted: no link is followed, and opening never blocks."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OpenFile:
    """An open file: its descriptor, and its status at the time of opening."""

    handle: int
    status: os.stat_result

    @property
    def plain(self) -> bool:
        """Return whether it is a regular file, not a folder, device or pipe."""
        return stat.S_ISREG(self.status.st_mode)

    def read(self) -> bytes:
        """Return the content of the file.

        At most one byte more than the size at opening is returned: a file that grows is not the
        file that was opened, and may have no end.
        """
        with open(self.handle, "rb", closefd=False) as file:
            return file.read(self.status.st_size + 1)


@contextlib.contextmanager
def open_plain(path: Path, folder: int | None = None) -> Iterator[OpenFile]:
    """Open the file at `path`, or the one of its name in an open `folder`.

    Raises OSError: ELOOP for a link, ENXIO for a socket or a pipe that nobody reads.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path if folder is None else path.name, flags, dir_fd=folder)
    try:
        yield OpenFile(handle, os.fstat(handle))
    finally:
        os.close(handle)
