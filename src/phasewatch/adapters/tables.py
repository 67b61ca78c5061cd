"""Reads tables as columns of text: CSV, TSV, Zeek logs, JSON Lines, Parquet, `.ts`.

Text files may be gzipped. A row that cannot be parsed is dropped and reported by its line; a file
that cannot be read is refused. This module does not know what a column means.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasewatch.errors import Refused

CSV, TSV, LINES, PARQUET = (".csv",), (".tsv", ".log"), (".jsonl", ".ndjson"), (".parquet",)
ARCHIVE = (".ts",)
ENDINGS = (*CSV, *TSV, *LINES, *PARQUET, *ARCHIVE)
UNSET = ("-", "(empty)")
"""What Zeek writes for a missing value."""

ARCHIVE_S = 1_577_836_800
"""2020-01-01, where the first series of an archive begins: a `.ts` file has no times."""


@dataclass(frozen=True)
class Dropped:
    """A row that is left out: its line (in a Parquet file its number, from 1), and the reason."""

    line: int
    reason: str


@dataclass(frozen=True)
class Table:
    """The rows of a file: `lines[n]`, and `n` texts of each column, empty for missing values."""

    path: Path
    lines: list[int]
    columns: dict[str, list[str]]
    dropped: list[Dropped]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lines)


def readable(path: Path) -> bool:
    """Return whether the name of a file has an ending that `read` knows."""
    return path.name.removesuffix(".gz").endswith(ENDINGS)


def read(path: Path) -> Table:
    """Return all rows of a file, whose format follows from the ending of its name.

    Raises Refused, or OSError.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith(PARQUET):
        return _parquet(path)
    text = _text(path)
    if name.endswith(LINES):
        return _json(path, text)
    if name.endswith(ARCHIVE):
        return _archive(path, text)
    if text.startswith("#separator"):
        return _zeek(path, text)
    try:
        return _separated(path, text, "," if name.endswith(CSV) else "\t")
    except csv.Error as error:
        raise _unreadable(path, str(error), "separated values") from None


def _text(path: Path) -> str:
    """Return the text of a file, gzipped or not. Raises Refused, or OSError."""
    data = path.read_bytes()
    try:
        if path.name.endswith(".gz"):
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _unreadable(
            path, str(error), "text in UTF-8, gzipped where the name ends in .gz"
        ) from None


def _unreadable(path: Path, problem: str, expected: str) -> Refused:
    """Return the refusal of a file that cannot be read as a table."""
    return Refused(path, problem, expected, "Repair it, or set it aside under [files] skip.")


def _from_rows(path: Path, header: list[str], rows: Iterator[tuple[int, list[str]]]) -> Table:
    """Return a table of the rows that have as many fields as the header, and drop the others."""
    if not header or len(set(header)) < len(header):
        repeated = sorted({name for name in header if header.count(name) > 1})
        problem = f"has {', '.join(repeated)} twice" if repeated else "is empty"
        raise _unreadable(
            path, f"its header {problem}", "a first line with a name for every column"
        )
    lines, complete, dropped = [], [], []
    for line, fields in rows:
        if len(fields) != len(header):
            dropped.append(
                Dropped(line, f"{len(fields)} fields where the header has {len(header)}")
            )
        else:
            lines.append(line)
            complete.append(fields)
    columns = zip(*complete, strict=True) if complete else ([] for _ in header)
    named = {name: list(cells) for name, cells in zip(header, columns, strict=True)}
    return Table(path, lines, named, dropped)


def _separated(path: Path, text: str, separator: str) -> Table:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header = next(reader, [])
    return _from_rows(path, header, ((reader.line_num, row) for row in reader if row))


def _zeek(path: Path, text: str) -> Table:
    """Return the rows of a Zeek log, whose header lines name the separator and the fields.

    Raises Refused where they name no separator.
    """
    named = text.partition("\n")[0].partition(" ")[2].strip()
    try:
        separator = named.encode().decode("unicode_escape")
    except ValueError:
        separator = ""
    if not separator:
        raise _unreadable(path, f"its separator is {named!r}", r"one such as #separator \x09")
    header: list[str] = []
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#fields"):
            header = line.split(separator)[1:]
        elif line and not line.startswith("#"):
            cells = ["" if cell in UNSET else cell for cell in line.split(separator)]
            rows.append((number, cells))
    return _from_rows(path, header, iter(rows))


def _json(path: Path, text: str) -> Table:
    """Return a row for each JSON object; a field of an inner object is named outer.inner."""
    found, lines, dropped = [], [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("no JSON object")
            found.append(dict(_flat(row)))
        except (ValueError, RecursionError) as error:
            dropped.append(Dropped(number, str(error)))
            continue
        lines.append(number)
    names = dict.fromkeys(name for row in found for name in row)
    columns = {name: [row.get(name, "") for row in found] for name in names}
    return Table(path, lines, columns, dropped)


def _flat(row: dict[str, object], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields of an object, with those of inner objects, and their text."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, "" if value is None else str(value)


def _archive(path: Path, text: str) -> Table:
    """Return the steps of a time-series archive (a `.ts` file of sktime or aeon), a case a line.

    Columns: `case` (the name of the file and the number of the case), `time` (invented: one second
    a step, and a gap between cases), `label`, and `dim_0` to the last dimension.
    """
    head, found, body = text.partition("@data\n")
    if not found:
        raise _unreadable(path, "has no line @data", "a .ts file of sktime or aeon")
    if "@timestamps true" in head.lower():
        raise _unreadable(path, "has a time for every value", "series of equal steps")
    labelled = "@classlabel true" in head.lower()
    stem = path.name.partition(".")[0]
    lines, rows, dropped = [], [], []
    width = 0
    # A digest of the name keeps the times of two files of one archive apart.
    second = ARCHIVE_S + zlib.crc32(stem.encode()) % 10**6 * 1000
    before = head.count("\n") + 1
    for number, line in enumerate(body.splitlines(), before + 1):
        if not line.strip():
            continue
        *series, label = line.split(":") if labelled else [*line.split(":"), ""]
        steps = [one.split(",") for one in series]
        width = width or len(steps)
        if not steps or len(steps) != width or len({len(one) for one in steps}) > 1:
            dropped.append(
                Dropped(number, f"its {len(steps)} series are not {width} of one length")
            )
            continue
        for step, values in enumerate(zip(*steps, strict=True)):
            cells = ["" if cell.strip() == "?" else cell.strip() for cell in values]
            rows.append([f"{stem}-{number - before}", str(second + step), label.strip(), *cells])
            lines.append(number)
        second += len(steps[0]) + 1000
    names = ["case", "time", "label", *(f"dim_{place}" for place in range(width))]
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return Table(path, lines, dict(zip(names, map(list, columns), strict=True)), dropped)


def _parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_table(path)
        return Table(path, list(range(1, len(found) + 1)), _columns(found), [])
    # Arrow raises OSError for damage, too; the text says which it was.
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, str(error).splitlines()[0], "a Parquet file") from None


def _columns(found: Any) -> dict[str, list[str]]:
    """Return the columns of an Arrow table as text, times in Unix ns. Raises ArrowException."""
    import pyarrow as pa

    columns = {}
    for name in found.column_names:
        values = found[name]
        if pa.types.is_timestamp(values.type):
            values = values.cast(pa.timestamp("ns", values.type.tz)).cast(pa.int64())
        columns[name] = ["" if value is None else str(value) for value in values.to_pylist()]
    return columns
