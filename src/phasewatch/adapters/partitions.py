"""Rows of all episodes of a file, by episode: in memory while they are few, otherwise on the disk.

Tables hold the rows of many hosts in any order, and may be larger than memory. Every batch is
divided by identity and by stretch of time; when memory is full, each part is appended to a
temporary file of its own. One episode at a time is then read back, and sorted.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasewatch.episode import Ints

MEMORY = 64 << 20
"""Bytes of rows that are kept in memory."""

ABSENT = np.inf
"""The value of a channel of which a row to be joined says nothing; NaN is "not measured"."""

Rows = NDArray[np.void]
"""Rows as records: `t` in Unix ns, `line`, `file`, `phase` and `values[C]`."""


def row_type(channels: int) -> np.dtype[Any]:
    """Return the type of a row with values of so many channels."""
    return np.dtype(
        [
            ("t", np.int64), ("line", np.int64), ("file", np.int32), ("phase", np.int32),
            ("values", np.float64, (channels,)),
        ]
    )  # fmt: skip


def _groups(identities: Ints, stretches: Ints) -> list[Ints]:
    """Return the places of the rows of each identity and stretch, in their order."""
    stretches = stretches - stretches.min()
    keys = identities * (int(stretches.max()) + 1) + stretches
    if keys.max() < 1 << 16:
        # NumPy sorts numbers of 16 bits by radix, in a tenth of the time.
        keys = keys.astype(np.uint16)
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)


class Partitions:
    """The rows of each identity and stretch, in the order in which they were added.

    Files are written to `folder`, which the caller makes and removes.
    """

    def __init__(self, folder: Path, channels: int, memory: int | None = None) -> None:
        self._folder = folder
        self._type = row_type(channels)
        self._memory = MEMORY if memory is None else memory
        self._held: dict[tuple[int, int], list[Rows]] = {}
        self._bytes = 0
        self._sizes: dict[tuple[int, int], int] = {}
        self._files: dict[tuple[int, int], Path] = {}

    def add(self, identities: Ints, stretches: Ints, rows: Rows) -> None:
        """Add rows, each with the number of its identity and of its stretch of time."""
        if not len(rows):
            return
        for part in _groups(identities, stretches):
            key = int(identities[part[0]]), int(stretches[part[0]])
            self._held.setdefault(key, []).append(rows[part])
            self._sizes[key] = self._sizes.get(key, 0) + len(part)
        self._bytes += rows.nbytes
        if self._bytes > self._memory:
            self._spill()

    def _spill(self) -> None:
        """Append what is held to the files."""
        for key, parts in self._held.items():
            path = self._files.setdefault(key, self._folder / f"{len(self._files)}.rows")
            with path.open("ab") as file:
                for part in parts:
                    part.tofile(file)
        self._held, self._bytes = {}, 0

    @property
    def keys(self) -> list[tuple[int, int]]:
        """Return identity and stretch of all parts: by identity, then in the order of time."""
        return sorted(self._sizes)

    def size(self, key: tuple[int, int]) -> int:
        """Return the bytes of a part."""
        return self._sizes[key] * self._type.itemsize

    def load(self, key: tuple[int, int]) -> Rows:
        """Return the rows of a part, in the order in which they were added."""
        return np.concatenate([np.empty(0, self._type), *self._stored(key)])

    def _stored(self, key: tuple[int, int]) -> Iterator[Rows]:
        """Yield what is on the disk, then what is in memory."""
        if key in self._files:
            yield np.fromfile(self._files[key], dtype=self._type)
        yield from self._held.get(key, ())
