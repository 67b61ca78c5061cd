"""Parquet files, whose rows have numbers in place of lines."""

import io
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from phasewatch.adapters.reading.head import Base, Head
from phasewatch.adapters.reading.source import open_bytes, unreadable
from phasewatch.adapters.reading.table import Batch, Layout

PRIORITY = 0
ROWS = 1 << 17
"""Rows of a batch."""


def matches(head: Head) -> bool:
    """Return whether the file begins as Parquet does, or is named so."""
    return head.data.startswith(b"PAR1") or head.given.plain_name.endswith(".parquet")


class Reader(Base):
    """Reads the columns that are asked for, and no others."""

    def __init__(self, head: Head) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        given = head.given
        self._source: Any = given.path
        if given.member or not given.path.name.lower().endswith(".parquet"):
            with open_bytes(given) as stream:
                self._source = io.BytesIO(stream.read())
        try:
            self._file = pq.ParquetFile(self._source)
            names = tuple(self._file.schema_arrow.names)
        # Arrow raises OSError for damage, too; the text says which it was.
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(head, error) from None
        if len(set(names)) < len(names):
            raise unreadable(given, "has two columns of one name", "names that differ")
        super().__init__(head, Layout("parquet", names))

    @staticmethod
    def _damaged(head: Head, error: Exception) -> Exception:
        """Return the refusal of a file that cannot be read."""
        return unreadable(head.given, str(error).splitlines()[0], "a Parquet file")

    def batches(self, columns: Collection[str] | None = None) -> Iterator[Batch]:
        """Yield the rows with these columns, or with all. Raises Refused."""
        import pyarrow as pa

        names = self.layout.names
        wanted = [name for name in names if columns is None or name in columns]
        row = 1
        try:
            for found in self._file.iter_batches(ROWS, columns=wanted or names[:1]):
                lines = np.arange(row, row + len(found), dtype=np.int64)
                row += len(found)
                cells = {name: _plain(found.column(name)) for name in wanted}
                yield Batch(names, lines, cells)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(self.head, error) from None


def _plain(cells: Any) -> Any:
    """Return numbers as they are, times as Unix ns, and everything else as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(cells.type):
        cells = cells.cast(pa.timestamp("ns", cells.type.tz)).cast(pa.int64())
    if pa.types.is_floating(cells.type):
        return pc.cast(cells, "float64")
    if pa.types.is_integer(cells.type):
        return pc.fill_null(pc.cast(cells, pa.string()), "") if cells.null_count else cells
    if pa.types.is_string(cells.type):
        return pc.fill_null(cells, "")
    texts = ["" if one is None else str(one) for one in cells.to_pylist()]
    return pa.array(texts, pa.string())
