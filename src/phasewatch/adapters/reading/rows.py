"""Splits text into rows with their line numbers, and parses stretches of them with Arrow.

Arrow's CSV reader parses; it gives no line numbers beside rows that it skips, so rows are found
here first, in the bytes, by the quotes. Where both counts of rows differ (a quote within a cell, as
in 27" monitors), Python's slower reader takes the stretch.
"""

import csv
import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasewatch.adapters.dates import Bools
from phasewatch.adapters.numerals import MISSING
from phasewatch.adapters.reading.table import Batch, Dropped
from phasewatch.episode import Ints

LINE_FEED, RETURN, QUOTE = 10, 13, 34
MAX_CELL = 1 << 20
"""The longest cell with line feeds in it: beyond, a quote was no opening one."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Rows:
    """Where the rows of some bytes begin and end `[n]`, without line feeds; their first lines."""

    data: bytes
    starts: Ints
    ends: Ints
    lines: Ints

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.starts)

    def take(self, chosen: Bools | slice) -> "Rows":
        """Return some of the rows."""
        return Rows(self.data, self.starts[chosen], self.ends[chosen], self.lines[chosen])

    def text(self, row: int) -> bytes:
        """Return the bytes of a row."""
        return self.data[self.starts[row] : self.ends[row]]

    def joined(self) -> bytes | memoryview:
        """Return the bytes of all rows, one after the other; of all that there are, not a copy."""
        if not len(self):
            return b""
        if (self.starts[1:] == self.ends[:-1] + 1).all() and self.ends[-1] < len(self.data):
            return memoryview(self.data)[self.starts[0] : self.ends[-1] + 1]
        # Rows that stood together are copied at once.
        breaks = np.flatnonzero(self.starts[1:] != self.ends[:-1] + 1) + 1
        first = self.starts[np.concatenate([[0], breaks])]
        last = self.ends[np.concatenate([breaks - 1, [len(self) - 1]])]
        pieces = [self.data[a:b] for a, b in zip(first, last, strict=True)]
        return b"\n".join([*pieces, b""])


def split(data: bytes, first_line: int, separator: str) -> tuple[Rows, int]:
    """Return the complete rows of text that begins at a line, and how many bytes they are.

    A row ends at a line feed outside quotes; `separator` is "" where quotes have no meaning. Rows
    without any text are left out.
    """
    buffer = np.frombuffer(data, dtype=np.uint8)
    feeds = np.flatnonzero(buffer == LINE_FEED).astype(np.int64)
    ends = feeds
    if separator and b'"' in data:
        ends = _outside_quotes(buffer, feeds, ord(separator[0]))
    if not len(ends):
        return Rows(data, *(np.zeros(0, dtype=np.int64) for _ in range(3))), 0
    starts = np.concatenate([[0], ends[:-1] + 1])
    lines = first_line + np.searchsorted(feeds, starts)
    blank = (ends == starts) | ((ends == starts + 1) & (buffer[starts] == RETURN))
    rows = Rows(data, starts, ends, lines)
    return (rows.take(~blank) if blank.any() else rows), int(ends[-1]) + 1


def _outside_quotes(buffer: Bytes, feeds: Ints, separator: int) -> Ints:
    """Return the line feeds that are not within a quoted cell.

    Quotes in a row are one another's escape. An odd number of them opens a cell at its beginning,
    and closes one at its end; elsewhere it is a character like others.
    """
    quotes = np.flatnonzero(buffer == QUOTE).astype(np.int64)
    first = quotes[np.concatenate([[True], np.diff(quotes) > 1])]
    last = quotes[np.concatenate([np.diff(quotes) > 1, [True]])]
    before = np.where(first > 0, buffer[first - 1], LINE_FEED)
    after = np.where(
        last + 1 < len(buffer), buffer[np.minimum(last + 1, len(buffer) - 1)], LINE_FEED
    )
    edges = (separator, LINE_FEED, RETURN)
    at_edge = np.isin(before, edges) | np.isin(after, edges)
    turns = first[((last - first) % 2 == 0) & at_edge]
    inside = np.searchsorted(turns, feeds) % 2 == 1
    found: Ints = feeds[~inside]
    return found


def parse(
    rows: Rows, names: Sequence[str], wanted: Collection[str], separator: str,
    numbers: Collection[str] = (), quoted: bool = True,
) -> Batch:  # fmt: skip
    """Return rows as text in the wanted ones of the columns; rows of another width are dropped.

    Columns of `numbers` are doubles where all their cells are numbers or missing.
    """
    columns = [name for name in names if name in wanted]
    read = columns or list(names[:1])
    known = frozenset(numbers) & set(read)
    found = (
        (_arrow(rows, names, read, separator, quoted, known) if known else None)
        or _arrow(rows, names, read, separator, quoted)
        or _python(rows, names, read, separator)
    )
    texts, kept, dropped = found
    return Batch(tuple(names), kept, {name: texts[name] for name in columns}, dropped)


def _arrow(
    rows: Rows, names: Sequence[str], read: Sequence[str], separator: str, quoted: bool,
    numbers: Collection[str] = (),
) -> tuple[dict[str, Any], Ints, tuple[Dropped, ...]] | None:  # fmt: skip
    """Return columns, their lines and dropped rows; None where Arrow sees other rows, or text."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    data = rows.joined()
    skipped: list[tuple[int, int]] = []
    quote: Any = '"' if quoted else False
    try:
        table = arrow.read_csv(
            pa.BufferReader(data),
            arrow.ReadOptions(use_threads=False, column_names=names, block_size=len(data) + 1),
            arrow.ParseOptions(
                delimiter=separator, quote_char=quote, newlines_in_values=quoted,
                invalid_row_handler=_note(skipped),
            ),
            arrow.ConvertOptions(
                include_columns=read, null_values=MISSING,
                column_types={n: pa.float64() if n in numbers else pa.string() for n in read},
            ),
        )  # fmt: skip
    except pa.ArrowException:
        return None
    if len(table) + len(skipped) != len(rows):
        return None
    kept = rows.lines
    if skipped:
        kept = np.delete(kept, [number - 1 for number, _ in skipped])
    dropped = tuple(
        Dropped(int(rows.lines[number - 1]), _width(found, len(names))) for number, found in skipped
    )
    return {name: table[name].combine_chunks() for name in read}, kept, dropped


def _note(skipped: list[tuple[int, int]]) -> Callable[[Any], str]:
    """Return a handler that notes the number and the width of each row that does not fit."""

    def handler(row: Any) -> str:
        skipped.append((row.number, row.actual_columns))
        return "skip"

    return handler


def _width(found: int, expected: int) -> str:
    """Return the reason why a row of another width is dropped."""
    return f"{found} fields where the header has {expected}"


def _python(
    rows: Rows, names: Sequence[str], read: Sequence[str], separator: str
) -> tuple[dict[str, Any], Ints, tuple[Dropped, ...]]:
    """Return columns, their lines and dropped rows by the reader of Python."""
    import pyarrow as pa

    text = bytes(rows.joined()).decode()
    physical = _lines(rows)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    places = [names.index(name) for name in read]
    cells: list[list[str]] = []
    lines, dropped = [], []
    before = 0
    for row in reader:
        line = int(physical[before])
        before = reader.line_num
        if len(row) != len(names):
            dropped.append(Dropped(line, _width(len(row), len(names))))
        else:
            lines.append(line)
            cells.append([row[place] for place in places])
    columns = zip(*cells, strict=True) if cells else ([] for _ in read)
    texts = {
        name: pa.array(list(one), pa.string()) for name, one in zip(read, columns, strict=True)
    }
    return texts, np.array(lines, dtype=np.int64), tuple(dropped)


def _lines(rows: Rows) -> Ints:
    """Return the number of every line of the rows, those within quoted cells as well."""
    counts = [rows.data.count(b"\n", a, b) + 1 for a, b in zip(rows.starts, rows.ends, strict=True)]
    inside = np.concatenate([np.arange(count) for count in counts]) if counts else np.zeros(0)
    return (np.repeat(rows.lines, counts) + inside).astype(np.int64)
