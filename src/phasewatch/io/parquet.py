"""Tables as Parquet with a checksum on every page, which is verified when they are read."""

import io

import pyarrow as pa
import pyarrow.parquet as pq


def encode(table: pa.Table) -> bytes:
    """Return the bytes of a table; they depend on the table and the release of Arrow alone."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def decode(data: bytes) -> pa.Table:
    """Return the table of `encode`'s bytes. Raises ArrowException or OSError for damaged ones."""
    file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
    return file.read(use_threads=False)
