"""Lines in files that only grow at the end: bounded on the disk, and cut where a crash tore them.

A line stands at an offset, in bytes since the first line that was ever written. Files are named by
the offset at which they begin; the oldest is removed when all together exceed the bound.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from phasewatch.io import atomic

ENDING = ".jsonl"
FILE_BYTES = 4 << 20
"""The size from which on a file is followed by another."""

_BLOCK = 1 << 16


@dataclass
class Journal:
    """The lines in the files of `folder`, which is made; one writer at a time.

    `most_bytes` bounds all files but the last. What a crash has torn, a last line without its end,
    is removed when the journal is opened. Raises OSError.
    """

    folder: Path
    most_bytes: int
    file_bytes: int = FILE_BYTES
    _sizes: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the files, and cut the last one after its last whole line."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sizes = found(self.folder)
        if self._sizes:
            last = max(self._sizes)
            self.cut(last + whole_lines(self._path(last)))

    @property
    def start(self) -> int:
        """The offset of the oldest line that is kept."""
        return min(self._sizes, default=0)

    @property
    def end(self) -> int:
        """The offset at which the next line is written."""
        last = max(self._sizes, default=0)
        return last + self._sizes.get(last, 0)

    def append(self, lines: bytes) -> int:
        """Add whole lines at the end; return how many bytes of old ones had to be removed for it.

        Raises OSError, as for a full disk; nothing of the lines is kept then.
        """
        end, last = self.end, max(self._sizes, default=0)
        if not self._sizes or self._sizes[last] >= self.file_bytes:
            last = end
        try:
            with self._path(last).open("ab") as file:
                file.write(lines)
        except OSError:
            self.cut(end)
            raise
        self._sizes[last] = self._sizes.get(last, 0) + len(lines)
        before = self.start
        while len(self._sizes) > 1 and self.end - self.start > self.most_bytes:
            self._remove(self.start)
        return self.start - before

    def sync(self) -> None:
        """Flush what was appended to the disk. Raises OSError."""
        if self._sizes:
            atomic.sync(self._path(max(self._sizes)))
            atomic.sync(self.folder)

    def read(self, offset: int, most: int) -> bytes:
        """Return whole lines from an offset on, at most `most` bytes, of one file. Raises OSError.

        There are none at the end, and where not even one line fits.
        """
        return read(self.folder, offset, most)

    def forget(self, offset: int) -> None:
        """Remove the files of which all lines stand before an offset; the last one stays."""
        for start in sorted(self._sizes)[:-1]:
            if start + self._sizes[start] <= offset:
                self._remove(start)

    def cut(self, offset: int) -> None:
        """Remove everything from an offset on."""
        for start in [one for one in self._sizes if one > offset]:
            self._remove(start)
        last = max(self._sizes, default=None)
        if last is not None and last + self._sizes[last] > offset:
            os.truncate(self._path(last), offset - last)
            self._sizes[last] = offset - last

    def remove(self) -> None:
        """Remove all files, and the folder."""
        for start in list(self._sizes):
            self._remove(start)
        self.folder.rmdir()

    def _remove(self, start: int) -> None:
        self._path(start).unlink(missing_ok=True)
        del self._sizes[start]

    def _path(self, start: int) -> Path:
        return path_of(self.folder, start)


def path_of(folder: Path, start: int) -> Path:
    """Return the path of the file of a journal that begins at an offset."""
    return folder / f"{start:020d}{ENDING}"


def found(folder: Path) -> dict[int, int]:
    """Return the size of each file of a journal by the offset at which it begins."""
    paths = [path for path in folder.glob(f"*{ENDING}") if path.stem.isdigit()]
    return {int(path.stem): path.stat().st_size for path in paths}


def read(folder: Path, offset: int, most: int) -> bytes:
    """Return whole lines of a journal from an offset on, at most `most` bytes, of one file.

    There are none at the end, and where not even one line fits. Raises OSError for a file that was
    removed meanwhile.
    """
    starts = [start for start in found(folder) if start <= offset]
    if not starts:
        return b""
    with path_of(folder, max(starts)).open("rb") as file:
        file.seek(offset - max(starts))
        data = file.read(most)
    return data[: data.rfind(b"\n") + 1]


def whole_lines(path: Path) -> int:
    """Return the size of a file up to the end of its last whole line."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - _BLOCK)
            file.seek(begin)
            place = file.read(end - begin).rfind(b"\n")
            if place >= 0:
                return begin + place + 1
            end = begin
    return 0
