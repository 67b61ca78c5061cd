"""A table comes back as it was, and a damaged page is noticed."""

import pyarrow as pa
import pytest

from phasewatch.io import parquet

NUMBERS = [(37 * number * number) % 10_007 for number in range(4096)]
TABLE = pa.table({"name": ["x", "y"] * 2048, "number": NUMBERS})


def test_a_table_comes_back_with_the_same_bytes() -> None:
    data = parquet.encode(TABLE)
    assert parquet.decode(data).equals(TABLE)
    assert parquet.encode(parquet.decode(data)) == data


def test_a_flipped_bit_of_a_page_is_refused() -> None:
    data = bytearray(parquet.encode(TABLE))
    # The footer stands behind the pages; its length stands in the last eight bytes.
    pages = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    data[pages // 2] ^= 1
    with pytest.raises((OSError, pa.ArrowException)):
        parquet.decode(bytes(data))
