"""Logs of Zeek, whose lines `#separator` and `#fields` say how they are written.

Logs that were appended to one another have a header each: every stretch of rows is read by its own.
"""

import itertools
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from phasewatch.adapters.reading import rows
from phasewatch.adapters.reading.head import Base, Head
from phasewatch.adapters.reading.rows import Rows
from phasewatch.adapters.reading.source import unreadable
from phasewatch.adapters.reading.table import Batch, Layout

PRIORITY = 2
UNSET = ("-", "(empty)")
"""What Zeek writes for a missing value, unless its header says otherwise."""


def matches(head: Head) -> bool:
    """Return whether the text begins as Zeek's logs do."""
    return head.beginning.startswith("#separator")


class Reader(Base):
    """Reads the rows of a log by the header above them."""

    _names: tuple[str, ...] = ()
    _separator = ""

    def __init__(self, head: Head) -> None:
        super().__init__(head, Layout("zeek", (), head.encoding, comment="#"))
        self._unset = {"#unset_field": UNSET[0], "#empty_field": UNSET[1]}
        for line in itertools.takewhile(lambda line: line[:1] == "#", head.beginning.split("\n")):
            self._header(line)
        if not self._names:
            raise unreadable(head.given, "its header is empty", "a line #fields with their names")
        self.found = Layout("zeek", self._names, head.encoding, self._separator, "#", 1)

    def _header(self, line: str) -> None:
        """Take what a line of a header says. Raises Refused where it names no separator."""
        line = line.rstrip("\r")
        if line.startswith("#separator"):
            self._separator = self._unescaped(line.partition(" ")[2].strip())
            return
        key, _, rest = line.partition(self._separator or "\t")
        if key == "#fields":
            self._names = tuple(rest.split(self._separator))
        elif key in self._unset:
            self._unset[key] = rest

    def _unescaped(self, named: str) -> str:
        """Return the separator that a log names, such as `\\x09`."""
        try:
            separator = named.encode().decode("unicode_escape")
        except ValueError:
            separator = ""
        if len(separator) != 1:
            expected = r"one such as #separator \x09"
            raise unreadable(self.head.given, f"its separator is {named!r}", expected)
        return separator

    def batches(self, columns: Collection[str] | None = None) -> Iterator[Batch]:
        """Yield the rows with these columns, or with all. Raises Refused, or OSError."""
        content = self.head.content()
        for line, block in content.blocks():
            data = block if block.endswith(b"\n") else block + b"\n"
            found, _ = rows.split(data, line, "")
            start = 0
            for row in _marked(found):
                if row > start:
                    yield self._parsed(found.take(slice(start, row)), columns)
                self._header(found.text(row).decode())
                start = row + 1
            if start < len(found):
                yield self._parsed(found.take(slice(start, None)), columns)
        self.notes += content.notes

    def _parsed(self, stretch: Rows, columns: Collection[str] | None) -> Batch:
        """Return rows as text, with "" for what was not set."""
        wanted = self._names if columns is None else columns
        found = rows.parse(stretch, self._names, wanted, self._separator, quoted=False)
        unset = tuple(self._unset.values())
        texts = {name: _without(cells, unset) for name, cells in found.columns.items()}
        return Batch(found.names, found.lines, texts, found.dropped)


def _marked(found: Rows) -> list[int]:
    """Return which rows are lines of a header."""
    if not len(found):
        return []
    buffer = np.frombuffer(found.data, dtype=np.uint8)
    return [int(row) for row in np.flatnonzero(buffer[found.starts] == ord("#"))]


def _without(cells: Any, words: tuple[str, ...]) -> Any:
    """Return texts with "" in place of some words."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.is_in(cells, value_set=pa.array(words)), "", cells)
