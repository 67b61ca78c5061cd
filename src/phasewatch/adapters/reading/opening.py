"""Opens a table in whatever format it is: every file in formats/ is asked in turn."""

import importlib
import pkgutil
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from phasewatch.adapters.reading import formats, head, text
from phasewatch.adapters.reading.head import Opened
from phasewatch.adapters.reading.source import Input, find, unreadable
from phasewatch.adapters.reading.table import DEFAULTS, Dropped, Options, Table
from phasewatch.errors import Refused

__all__ = ["Input", "Opened", "find", "open_table", "sample"]

KNOWN_BINARY = (
    (b"PK\x03\x04", "a spreadsheet or another zip archive", "Export each sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet", "Export each sheet as CSV"),
    (b"\x89HDF", "an HDF5 file", "Write its tables as Parquet"),
    (b"SQLite format 3", "an SQLite database", "Export its tables as CSV"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture", "Turn it into flows first, with Zeek for example"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture", "Turn it into flows first, with Zeek for example"),
    (b"ARROW1", "an Arrow file", "Write its table as Parquet"),
)
"""The first bytes of files that hold tables in no format that is read, and what to do."""


@lru_cache(maxsize=1)
def _formats() -> tuple[Any, ...]:
    """Return the modules of all formats, those that can tell for certain first."""
    found = [
        importlib.import_module(f"{formats.__name__}.{module.name}")
        for module in pkgutil.iter_modules(formats.__path__)
    ]
    return tuple(sorted(found, key=lambda module: module.PRIORITY))


def open_table(given: Input, options: Options = DEFAULTS, expected: Collection[str] = ()) -> Opened:
    """Return an open table. Raises Refused for a file that is none, or OSError.

    `expected` are names of columns that a mapping needs: they tell the header from other lines.
    """
    start = head.read(given, options, expected)
    _refuse_other(start)
    for module in _formats():
        if module.matches(start):
            opened: Opened = module.Reader(start)
            return opened
    raise text.binary(given)


def _refuse_other(start: head.Head) -> None:
    """Raise Refused for an empty file, and for known formats that are not read."""
    if not start.data.strip():
        raise unreadable(start.given, "is empty", "a table")
    for magic, what, remedy in KNOWN_BINARY:
        if start.data.startswith(magic):
            raise Refused(
                start.given, f"is {what}", "a table as text, or Parquet",
                f"{remedy}, or set it aside under [files] skip.",
            )  # fmt: skip
    if start.data[257:262] == b"ustar":
        raise Refused(
            start.given, "is a tar archive", "a table as text, or Parquet", "Unpack it first.",
        )  # fmt: skip


def sample(given: Input, options: Options = DEFAULTS, rows: int | None = None) -> Table:
    """Return the first rows of a table as text, all of them where `rows` is None.

    Raises Refused, or OSError.
    """
    opened = open_table(given, options)
    lines: list[int] = []
    dropped: list[Dropped] = []
    columns: dict[str, list[str]] = {name: [] for name in opened.layout.names}
    complete = True
    for batch in opened.batches():
        dropped += batch.dropped
        take = len(batch) if rows is None else min(len(batch), rows - len(lines))
        complete = take == len(batch)
        for name in batch.names:
            columns.setdefault(name, [""] * len(lines))
        for name, cells in columns.items():
            found = batch.columns.get(name)
            cells += [""] * take if found is None else _texts(found.slice(0, take))
        lines += batch.lines[:take].tolist()
        if not complete or (rows is not None and len(lines) >= rows):
            complete = False
            break
    return Table(given.path, lines, columns, dropped, opened.layout, complete)


def _texts(cells: Any) -> list[str]:
    """Return the values of an Arrow array as text, "" for a missing one."""
    return ["" if one is None else str(one) for one in cells.to_pylist()]
