"""Tables as Parquet with a checksum on every page, which is verified when they are read."""

import io
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

HOW: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}


def encode(table: pa.Table) -> bytes:
    """Return the bytes of a table; they depend on the table and the release of Arrow alone."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **HOW)
    return buffer.getvalue()


def decode(data: bytes) -> pa.Table:
    """Return the table of `encode`'s bytes. Raises ArrowException or OSError for damaged ones."""
    return opened(pa.BufferReader(data)).read(use_threads=False)


def writer(file: BinaryIO, schema: pa.Schema) -> pq.ParquetWriter:
    """Return a writer of tables of this schema into an open file, each a row group."""
    return pq.ParquetWriter(file, schema, **HOW)


def opened(file: Any) -> pq.ParquetFile:
    """Open a table to be read by row groups. Raises ArrowException or OSError for a damaged one."""
    return pq.ParquetFile(file, page_checksum_verification=True)
