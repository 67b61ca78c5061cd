"""JSON: an object a line, or one document of many rows; nested fields are named outer.inner."""

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np

from phasewatch.adapters.reading import shapes
from phasewatch.adapters.reading.head import Base, Head
from phasewatch.adapters.reading.source import unreadable
from phasewatch.adapters.reading.table import Batch, Dropped, Layout

PRIORITY = 3
LINES = (".jsonl", ".ndjson")
ROWS = 1 << 15
"""Rows of a batch."""

MAX_DOCUMENT = 128 << 20
"""The largest JSON document of several lines: it takes about ten times as much memory."""

WRONG_SHAPE = (ValueError, RecursionError, KeyError, TypeError, AttributeError)
"""What is raised for text that is no JSON, and for objects that only seem to have a shape."""

Numbered = Iterable[tuple[int, Any]]
"""The number of a line, and the row or the text there."""


def matches(head: Head) -> bool:
    """Return whether the text begins with a JSON object or array, or the file is named so."""
    start = head.beginning.lstrip()[:1]
    return start in ("{", "[") or head.given.plain_name.endswith(LINES)


class Reader(Base):
    """Reads the objects of a file as rows, which need not have the same fields."""

    def __init__(self, head: Head) -> None:
        super().__init__(head, Layout("jsonl", (), head.encoding), varies=True)
        self._dropped: list[Dropped] = []
        lines = [line for line in head.beginning.split("\n") if line.strip()]
        first = _parsed(lines[0]) if lines else None
        self._single = head.whole and len(lines) == 1
        named = head.given.plain_name.endswith(LINES)
        self._document = (not named and first is None) or isinstance(first, list) or self._single
        if head.options.records:
            self._document = True
        sample = [row for _, row in zip(range(1000), self._rows(head_only=True), strict=False)]
        self._dropped.clear()
        names = dict.fromkeys(name for _, row in sample for name, _ in shapes.flat(row))
        format = "json" if self._document else "jsonl"
        found = shapes.shape_of(first) or format
        self.found = Layout(found, tuple(names), head.encoding)

    def batches(self, columns: Collection[str] | None = None) -> Iterator[Batch]:
        """Yield the rows with these columns, or with all. Raises Refused, or OSError."""
        lines: list[int] = []
        rows: list[dict[str, str]] = []
        for line, row in self._rows():
            lines.append(line)
            rows.append(dict(shapes.flat(row)))
            if len(rows) >= ROWS:
                yield self._batch(lines, rows, columns)
                lines, rows = [], []
        yield self._batch(lines, rows, columns)

    def _batch(
        self, lines: list[int], rows: list[dict[str, str]], columns: Collection[str] | None
    ) -> Batch:
        """Return some rows, and those that were dropped meanwhile."""
        import pyarrow as pa

        names = tuple(dict.fromkeys(name for row in rows for name in row))
        cells = {
            name: pa.array([row.get(name, "") for row in rows], pa.string())
            for name in names
            if columns is None or name in columns
        }
        dropped, self._dropped = tuple(self._dropped), []
        return Batch(names, np.array(lines, dtype=np.int64), cells, dropped)

    def _rows(self, head_only: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield every row with its line, in a document with its number."""
        if self._document:
            yield from self._document_rows()
            return
        lines = enumerate(self.head.beginning.split("\n"), 1) if head_only else self._lines()
        for number, line in lines:
            if not line.strip():
                continue
            try:
                for row in shapes.rows(json.loads(line)):
                    if not isinstance(row, dict):
                        raise ValueError("no JSON object")
                    yield number, row
            except WRONG_SHAPE as error:
                self._dropped.append(Dropped(number, str(error)))

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines of the file, which only a line feed ends, and their numbers."""
        content = self.head.content()
        for first, block in content.blocks():
            yield from enumerate(block.decode().split("\n"), first)
        self.notes += content.notes

    # ------------------------------------------------------------ documents

    def _document_rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the rows of a document with their numbers. Raises Refused for none."""
        value = self._value()
        wrapped = None
        if self._wraps(value):
            wrapped = shapes.listed(value, self.head.options.records) or shapes.keyed(value)
        try:
            found = shapes.rows(list(wrapped) if wrapped is not None else value)
            yield from enumerate(found, 1)
        except WRONG_SHAPE as error:
            problem = f"has rows of another form: {type(error).__name__} {error}"
            raise unreadable(self.head.given, problem, "a list of objects") from None

    def _wraps(self, value: Any) -> bool:
        """Return whether a document may hold its rows in a list under a name."""
        if not isinstance(value, dict):
            return False
        if self.head.options.records:
            if shapes.listed(value, self.head.options.records) is None:
                raise unreadable(
                    self.head.given, f"has no list of objects at {self.head.options.records}",
                    "the path of the rows under [files] records",
                )  # fmt: skip
            return True
        return not shapes.shape_of(value)

    def _value(self) -> Any:
        """Return the document. Raises Refused for one that is no JSON, or that is too large."""
        blocks, size = [], 0
        for _, block in self.head.content().blocks():
            blocks.append(block)
            size += len(block)
            if size > MAX_DOCUMENT:
                raise unreadable(
                    self.head.given, f"is one JSON document of more than {MAX_DOCUMENT >> 20} MB",
                    "an object a line, as `jq -c '.[]'` writes them",
                )  # fmt: skip
        try:
            values = list(_values(b"".join(blocks).decode()))
        except (ValueError, RecursionError) as error:
            raise unreadable(self.head.given, str(error), "JSON") from None
        return values[0] if len(values) == 1 else values


def _values(text: str) -> Iterator[Any]:
    """Yield the JSON values of a text, one after the other. Raises ValueError for other text."""
    decoder, place = json.JSONDecoder(), 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        value, place = decoder.raw_decode(text, place)
        yield value


def _parsed(line: str) -> Any:
    """Return the JSON value of a line, or None for none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
