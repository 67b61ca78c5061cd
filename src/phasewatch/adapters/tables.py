"""Other people's tables as columns of text: CSV, TSV, Zeek logs, JSON Lines, Parquet, `.ts`.

Text may be gzipped. A row that cannot be parsed is left out and told by file and line; a file that
cannot be read is refused. Nothing here knows what a column means.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from phasewatch.errors import Refused

CSV, TSV, LINES, PARQUET = (".csv",), (".tsv", ".log"), (".jsonl", ".ndjson"), (".parquet",)
ARCHIVE = (".ts",)
ENDINGS = (*CSV, *TSV, *LINES, *PARQUET, *ARCHIVE)
UNSET = ("-", "(empty)")
"""What Zeek writes for nothing."""

ARCHIVE_S = 1_577_836_800
"""2020-01-01: series of an archive have no time of their own."""


@dataclass(frozen=True)
class Dropped:
    """A row that is left out: its line (its number, from 1, in a Parquet file), and why."""

    line: int
    why: str


@dataclass(frozen=True)
class Table:
    """Rows of a file: `lines[n]`, and of each column `n` texts, empty where there is nothing."""

    path: Path
    lines: list[int]
    columns: dict[str, list[str]]
    dropped: list[Dropped]

    def __len__(self) -> int:
        """Rows."""
        return len(self.lines)


def readable(path: Path) -> bool:
    """Whether a file's name ends as one that `table` reads."""
    return path.name.removesuffix(".gz").endswith(ENDINGS)


def table(path: Path) -> Table:
    """All rows of a file, by what its name ends with. Raises Refused, or OSError."""
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
        raise _refuse(path, str(error), "separated values") from None


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        if path.name.endswith(".gz"):
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _refuse(
            path, str(error), "text in UTF-8, gzipped where the name ends in .gz"
        ) from None


def _refuse(path: Path, problem: str, expected: str) -> Refused:
    return Refused(path, problem, expected, "Repair it, or set it aside under [files] skip.")


def _collect(path: Path, header: list[str], rows: Iterator[tuple[int, list[str]]]) -> Table:
    """Rows that have as many fields as the header; the others are dropped."""
    if not header or len(set(header)) < len(header):
        double = sorted({name for name in header if header.count(name) > 1})
        problem = f"has {', '.join(double)} twice" if double else "is empty"
        raise _refuse(path, f"its header {problem}", "a first line with a name for every column")
    lines, kept, dropped = [], [], []
    for line, fields in rows:
        if len(fields) != len(header):
            dropped.append(
                Dropped(line, f"{len(fields)} fields where the header has {len(header)}")
            )
        else:
            lines.append(line)
            kept.append(fields)
    columns = zip(*kept, strict=True) if kept else ([] for _ in header)
    named = {name: list(own) for name, own in zip(header, columns, strict=True)}
    return Table(path, lines, named, dropped)


def _separated(path: Path, text: str, separator: str) -> Table:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header = next(reader, [])
    return _collect(path, header, ((reader.line_num, row) for row in reader if row))


def _zeek(path: Path, text: str) -> Table:
    """A Zeek log: its header lines name separator and fields."""
    separator = text.partition("\n")[0].partition(" ")[2].encode().decode("unicode_escape")
    header: list[str] = []
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#fields"):
            header = line.split(separator)[1:]
        elif line and not line.startswith("#"):
            cells = ["" if cell in UNSET else cell for cell in line.split(separator)]
            rows.append((number, cells))
    return _collect(path, header, iter(rows))


def _json(path: Path, text: str) -> Table:
    """An object a line; a field that is an object is named outer.inner."""
    found, lines, dropped = [], [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("no JSON object")
        except ValueError as error:
            dropped.append(Dropped(number, str(error)))
            continue
        found.append(dict(_flat(row)))
        lines.append(number)
    names = dict.fromkeys(name for row in found for name in row)
    columns = {name: [row.get(name, "") for row in found] for name in names}
    return Table(path, lines, columns, dropped)


def _flat(row: dict[str, object], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, "" if value is None else str(value)


def _archive(path: Path, text: str) -> Table:
    """A time-series archive (the `.ts` files of sktime and aeon): a case a line, its label last.

    Columns: `case` (the file's name and the case's number), `time` (a made-up second a step, a gap
    between cases), `label`, and `dim_0` and on.
    """
    head, found, body = text.partition("@data\n")
    if not found:
        raise _refuse(path, "has no line @data", "a .ts file of sktime or aeon")
    if "@timestamps true" in head.lower():
        raise _refuse(path, "has a time for every value", "series of equal steps")
    labelled = "@classlabel true" in head.lower()
    stem = path.name.partition(".")[0]
    lines, rows, dropped = [], [], []
    width = 0
    # A word of the file's name keeps two files of one archive apart in time.
    moment = ARCHIVE_S + zlib.crc32(stem.encode()) % 10**6 * 1000
    before = head.count("\n") + 1
    for number, line in enumerate(body.splitlines(), before + 1):
        if not line.strip():
            continue
        *series, label = line.split(":") if labelled else [*line.split(":"), ""]
        steps = [one.split(",") for one in series]
        width = width or len(steps)
        if len(steps) != width or len({len(one) for one in steps}) > 1:
            dropped.append(
                Dropped(number, f"its {len(steps)} series are not {width} of one length")
            )
            continue
        for at, values in enumerate(zip(*steps, strict=True)):
            cells = ["" if cell.strip() == "?" else cell.strip() for cell in values]
            rows.append([f"{stem}-{number - before}", str(moment + at), label.strip(), *cells])
            lines.append(number)
        moment += len(steps[0]) + 1000
    names = ["case", "time", "label", *(f"dim_{place}" for place in range(width))]
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return Table(path, lines, dict(zip(names, map(list, columns), strict=True)), dropped)


def _parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_table(path)
    except pa.ArrowException as error:
        raise _refuse(path, str(error).splitlines()[0], "a Parquet file") from None
    columns = {}
    for name in found.column_names:
        own = found[name]
        if pa.types.is_timestamp(own.type):
            own = own.cast(pa.timestamp("ns", own.type.tz)).cast(pa.int64())
        columns[name] = ["" if value is None else str(value) for value in own.to_pylist()]
    return Table(path, list(range(1, len(found) + 1)), columns, [])
