"""The acceptance index: one row per episode, in one Parquet file with page checksums.

Its bytes depend on the episodes and the release alone: not on how many workers validated them, in
which order, or how often a sweep was interrupted.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from phasewatch import __version__
from phasewatch.episode import NAMES
from phasewatch.errors import Refused
from phasewatch.io import atomic, parquet
from phasewatch.io.parquet_headers import MAGIC
from phasewatch.store.local import refuse_inside
from phasewatch.validation.verdict import Finding, Interner, ValidationResult

INDEX = Path("data/processed/validation_v1.parquet")

PART = 1024
"""How many rows are converted to dictionaries at a time, which take ten times the memory."""

_TEXT = pa.string()
_SCHEMA = pa.schema(
    [("id", _TEXT), ("verdict", _TEXT)]
    + [(name, pa.list_(_TEXT)) for name in ("codes", "severities", "reasons")]
    + [(name, _TEXT) for name in NAMES]
    + [("start_ns", pa.int64()), ("end_ns", pa.int64()), ("phases", pa.list_(_TEXT))]
    + [("rows", pa.map_(_TEXT, pa.int64())), ("offsets_s", pa.map_(_TEXT, pa.float64()))]
    + [("content", _TEXT), ("digest", _TEXT), ("tool", _TEXT)]
)
_PLAIN = ("id", "verdict", *NAMES, "start_ns", "end_ns")


def prepare_index(path: Path) -> None:
    """Check before long work that an index can be written to `path`. Raises Refused.

    A file that is no index is not replaced; a damaged index is, if it still begins as one. A link
    is followed.
    """
    atomic.refuse_url(path)
    refuse_inside(path.resolve())
    atomic.prepare_folder(path.resolve().parent)
    if _replaceable(path):
        return
    raise Refused(
        path,
        "is something else than an acceptance index, and would be lost",
        "an earlier index, or nothing yet",
        "Give another --index, or move it away.",
        code="index",
    )


def _replaceable(path: Path) -> bool:
    """Return whether a file is absent, empty, an index, or a damaged one. Raises OSError."""
    if not path.is_file():
        return not path.exists()
    with path.open("rb") as file:
        if file.read(len(MAGIC)) not in (MAGIC, b""):
            return False
    try:
        return _is_index(pq.read_schema(path))
    except (pa.ArrowException, OSError, ValueError):
        return True


def _is_index(found: pa.Schema) -> bool:
    """Return whether a table begins with the columns of an index."""
    return bool(found.names[: len(_SCHEMA)] == _SCHEMA.names)


def write(results: Sequence[ValidationResult], path: Path) -> None:
    """Write the index of a complete sweep atomically. Raises OSError."""
    atomic.write(path.resolve(), parquet.encode(to_table(results)))


def read(path: Path) -> list[ValidationResult]:
    """Return the results of an index, its page checksums verified. Raises Refused."""
    try:
        return from_table(parquet.decode(path.read_bytes()))
    # TypeError is raised where a column has no value.
    except (OSError, pa.ArrowException, ValueError, TypeError) as error:
        raise Refused(
            path,
            f"cannot be read ({str(error).splitlines()[0]})",
            "an acceptance index",
            "Make it again with `phasewatch validate STORE`.",
            code="index",
        ) from error


def to_table(
    results: Sequence[ValidationResult], extra: Mapping[str, Sequence[str]] = {}
) -> pa.Table:
    """Return results as a table of one row each, with more columns of text."""
    rows = [_row(result) for result in results]
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    for name, values in extra.items():
        table = table.append_column(name, pa.array(values, _TEXT))
    return table


def from_table(table: pa.Table) -> list[ValidationResult]:
    """Return the results of a table. Raises ValueError for a table of other columns."""
    if not _is_index(table.schema):
        raise ValueError(f"columns {', '.join(table.schema.names)}")
    parts = table.select(_SCHEMA.names).to_batches(max_chunksize=PART)
    interner = Interner()
    return [interner.of(_result(row)) for part in parts for row in part.to_pylist()]


def _row(result: ValidationResult) -> dict[str, Any]:
    return {
        **{name: getattr(result, name) for name in (*_PLAIN, "content", "digest")},
        "codes": [finding.code for finding in result.findings],
        "severities": [finding.severity for finding in result.findings],
        "reasons": [finding.reason for finding in result.findings],
        "phases": result.phases,
        "rows": result.rows,
        "offsets_s": result.offsets,
        "tool": __version__,
    }


def _result(row: Mapping[str, Any]) -> ValidationResult:
    findings = zip(row["codes"], row["severities"], row["reasons"], strict=True)
    return ValidationResult(
        **{name: row[name] for name in (*_PLAIN, "content", "digest")},
        findings=tuple(Finding(*one) for one in findings),
        phases=tuple(row["phases"]),
        rows=tuple(row["rows"]),
        offsets=tuple((sys.intern(pair), offset) for pair, offset in row["offsets_s"]),
    )
