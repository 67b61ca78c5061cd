"""Separated values: CSV, TSV and their kin, in whatever dialect they are written."""

import re
from collections.abc import Collection, Generator, Iterator

import numpy as np

from phasewatch.adapters.reading import dialect, rows
from phasewatch.adapters.reading.head import Base, Head
from phasewatch.adapters.reading.rows import Rows
from phasewatch.adapters.reading.source import unreadable
from phasewatch.adapters.reading.table import Batch, Dropped, Layout
from phasewatch.adapters.reading.text import Text, binary
from phasewatch.errors import counted

PRIORITY = 9
"""The last format that is tried: nearly every text has separated values."""

TABS = (".tsv", ".log", ".tab")
BLANKS, AROUND = re.compile(rb"[ \t]+"), re.compile(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)")
REPEATED = "repeats the header"


def matches(head: Head) -> bool:
    """Return True: what no other format takes is text with separated values, or no table."""
    return True


class Reader(Base):
    """Reads separated values, of which Arrow parses one stretch of rows after the other."""

    def __init__(self, head: Head) -> None:
        if not head.encoding:
            raise binary(head.given)
        usual = "\t" if head.given.plain_name.endswith(TABS) else ","
        found = dialect.find(head.beginning, head.options, head.expected, usual, head.given)
        separator = found.separator
        super().__init__(
            head,
            Layout(
                "csv", found.names, head.encoding, separator, found.comment, found.header_line,
                found.notes, self._original(head, found),
            ),
        )  # fmt: skip
        self._dialect = found
        self._names, self._comments = found.names, 0
        self._key = self._key_column()

    @staticmethod
    def _original(head: Head, found: dialect.Dialect) -> tuple[str, ...]:
        """Return the names of the columns before they were renamed."""
        if not found.header_line or not head.options.rename:
            return found.names
        header = head.beginning.split("\n")[found.header_line - 1].rstrip("\r")
        return dialect.column_names(dialect.cut(header, found.separator))

    def _key_column(self) -> str:
        """Return the name by which a further header is known: the first that is expected."""
        if not self._dialect.header_line:
            return ""
        names = self._dialect.names
        return next((name for name in names if name in self.head.expected), names[0])

    def batches(self, columns: Collection[str] | None = None) -> Iterator[Batch]:
        """Yield the rows with these columns, or with all. Raises Refused, or OSError."""
        content = self.head.content()
        self._names, self._comments = self._dialect.names, 0
        for chosen in self._rows(content):
            start = 0
            for row in self._headers(chosen):
                if row > start:
                    yield self._parsed(chosen.take(slice(start, row)), columns)
                yield self._header(chosen, row)
                start = row + 1
            if start < len(chosen):
                yield self._parsed(chosen.take(slice(start, None)), columns)
        self.notes += content.notes
        if self._comments:
            mark = self._dialect.comment
            self.notes.append(f"{counted(self._comments, 'line')} of comments ({mark}) left out")

    # ------------------------------------------------------------ rows

    def _rows(self, content: Text) -> Iterator[Rows]:
        """Yield the rows of values, block by block, without comments."""
        rest, rest_line = b"", 0
        for line, block in content.blocks():
            data = rest + block if rest else block
            first_line = rest_line if rest else line
            found, used = self._split(data, first_line)
            rest, rest_line = data[used:], first_line + data.count(b"\n", 0, used)
            yield self._values(found)
            while len(rest) > rows.MAX_CELL and b"\n" in rest:
                rest, rest_line = yield from self._unended(rest, rest_line)
        if rest and not rest.endswith(b"\n"):
            rest += b"\n"
        found, used = self._split(rest, rest_line)
        yield self._values(found)
        rest, rest_line = rest[used:], rest_line + rest.count(b"\n", 0, used)
        while rest:
            rest, rest_line = yield from self._unended(rest, rest_line)

    def _unended(self, text: bytes, line: int) -> Generator[Rows, None, tuple[bytes, int]]:
        """Yield rows of text that begins with a quoted cell without end; return what is left.

        Such a quote is a character, and its line a row. What is left begins in the same way.
        """
        cut = text.find(b"\n") + 1
        yield self._values(rows.split(text[:cut], line, "")[0])
        found, used = self._split(text[cut:], line + 1)
        yield self._values(found)
        return text[cut + used :], line + 1 + text.count(b"\n", cut, cut + used)

    def _split(self, data: bytes, line: int) -> tuple[Rows, int]:
        """Return the complete rows of some text, and how many bytes they are."""
        return rows.split(data, line, self._dialect.separator or ",")

    def _values(self, found: Rows) -> Rows:
        """Return the rows below the header that are no comments."""
        if len(found) and found.lines[0] < self._dialect.first_line:
            found = found.take(found.lines >= self._dialect.first_line)
        mark = self._dialect.comment.encode()
        if mark and len(found):
            buffer = np.frombuffer(found.data, dtype=np.uint8)
            maybe = np.flatnonzero(buffer[found.starts] == mark[0])
            marked = [row for row in maybe if found.text(int(row)).startswith(mark)]
            self._comments += len(marked)
            keep = np.ones(len(found), dtype=bool)
            keep[marked] = False
            found = found.take(keep)
        return found

    # ------------------------------------------------------------ headers among the rows

    def _headers(self, chosen: Rows) -> list[int]:
        """Return which rows are headers: one of their cells is the name of the key column."""
        key = self._key.encode()
        if not key or not len(chosen) or key not in chosen.data:
            return []
        places = [one.start() for one in re.finditer(re.escape(key), chosen.data)]
        found = np.unique(np.searchsorted(chosen.starts, places, side="right") - 1)
        return [int(row) for row in found if row >= 0 and self._is_header(chosen, int(row))]

    def _is_header(self, chosen: Rows, row: int) -> bool:
        """Return whether a row has the names of columns for cells."""
        cells, names = self._header_cells(chosen, row)
        return names == self._names or (
            self._key in names and len(names) > 1 and not any(map(dialect.is_value, cells))
        )

    def _header_cells(self, chosen: Rows, row: int) -> tuple[list[str], tuple[str, ...]]:
        """Return the cells of a row, and the names of columns that they would be."""
        cells = dialect.cut(chosen.text(row).decode().rstrip("\r"), self._dialect.separator)
        return cells, dialect.column_names(cells, self.head.options.rename, self.head.expected)

    def _header(self, chosen: Rows, row: int) -> Batch:
        """Take the names of a header for the rows below; one that says the same is dropped."""
        _, names = self._header_cells(chosen, row)
        repeated = (Dropped(int(chosen.lines[row]), REPEATED),) if names == self._names else ()
        self._names = names
        return Batch(names, np.zeros(0, dtype=np.int64), {}, repeated)

    def _parsed(self, stretch: Rows, columns: Collection[str] | None) -> Batch:
        """Return the rows of a stretch as text."""
        separator = self._dialect.separator or "\x1f"
        if separator == " ":
            data = BLANKS.sub(b"\t", AROUND.sub(b"", bytes(stretch.joined())))
            (again, _), separator = rows.split(data, 1, "\t"), "\t"
            if len(again) == len(stretch):
                stretch = Rows(again.data, again.starts, again.ends, stretch.lines)
        if len(separator) > 1:
            raise unreadable(self.head.given, f"its separator is {separator!r}", "one character")
        wanted = self._names if columns is None else columns
        found = rows.parse(stretch, self._names, wanted, separator, self.head.options.numbers)
        return _stripped(found) if self._dialect.padded else found


def _stripped(found: Batch) -> Batch:
    """Return rows without the blanks around their texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {
        name: pc.utf8_trim_whitespace(cells) if pa.types.is_string(cells.type) else cells
        for name, cells in found.columns.items()
    }
    return Batch(found.names, found.lines, columns, found.dropped)
