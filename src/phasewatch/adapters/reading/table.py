"""What reading a file takes and gives: options, the layout that was found, and batches of rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasewatch.episode import Ints

MOST_EXAMPLES = 3
"""Lines that are kept for each reason why rows were dropped."""


@dataclass(frozen=True)
class Options:
    """What is known about files before they are read; an empty field is found from the content.

    `header` is the names of the columns where the first row holds values already; `skip` the
    number of lines before the header. `records` is the path of the list of rows in a JSON document,
    such as "data.items". `rename` are regular expressions, each with the text that replaces what it
    matches in the name of a column. `numbers` are columns of which only the numbers are wanted,
    with a decimal point: they may be parsed as such where all cells are numbers or missing.
    """

    encoding: str = ""
    separator: str = ""
    comment: str = ""
    skip: int | None = None
    header: tuple[str, ...] | None = None
    records: str = ""
    rename: tuple[tuple[Any, str], ...] = ()
    numbers: frozenset[str] = frozenset()


DEFAULTS = Options()
"""Options of which everything is found from the content."""


@dataclass(frozen=True)
class Layout:
    """How a file is written, as it was found or given, and the names of its columns.

    `original` are the names before they were renamed. `header_line` is the line of the header, 0
    for none. `notes` tell what a person should know: repeated names, an encoding that was assumed.
    """

    format: str
    names: tuple[str, ...]
    encoding: str = ""
    separator: str = ""
    comment: str = ""
    header_line: int = 0
    notes: tuple[str, ...] = ()
    original: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dropped:
    """A row that is left out: its line (in a Parquet file its number, from 1), and the reason."""

    line: int
    reason: str


@dataclass(frozen=True)
class Batch:
    """Some rows of a file: `lines[n]`, and an Arrow array of `n` values for each column.

    Values are text as it stands in the file, with "" for a missing one, or numbers where the file
    stores numbers (Parquet). `names` are all columns of these rows, read or not: rows below
    another header have others. `dropped` are rows of this stretch that could not be parsed.
    """

    names: tuple[str, ...]
    lines: Ints
    columns: Mapping[str, Any]
    dropped: tuple[Dropped, ...] = ()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lines)


@dataclass(frozen=True)
class Table:
    """The first rows of a file: `lines[n]`, and `n` texts of each column, empty for missing values.

    `complete` tells whether the file has no further rows.
    """

    path: Path
    lines: list[int]
    columns: dict[str, list[str]]
    dropped: list[Dropped]
    layout: Layout = field(default_factory=lambda: Layout("", ()))
    complete: bool = True

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lines)
