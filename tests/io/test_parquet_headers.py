"""The memory that a Parquet file needs is computed from its headers, whatever these claim."""

import io
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import toy
from tests.paths import ROOT

from phasewatch.errors import Refused
from phasewatch.io import parquet_headers
from phasewatch.io.parquet_headers import unpacked_size
from phasewatch.store import format

Parquet = Callable[..., bytes]


def written(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def footer(data: bytes) -> bytes:
    return data[-8 - int.from_bytes(data[-8:-4], "little") : -8]


def with_footer(data: bytes, other: bytes) -> bytes:
    pages_alone = data[: -8 - len(footer(data))]
    return pages_alone + other + len(other).to_bytes(4, "little") + parquet_headers.MAGIC


def number(value: int) -> bytes:
    """A whole number as Thrift's compact protocol has it."""
    folded, out = (value << 1) ^ (value >> 63), bytearray()
    while folded > 127:
        out.append(folded & 127 | 128)
        folded >>= 7
    return bytes([*out, folded])


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Our own form of samples."""
    return pq.read_table(io.BytesIO(format.encode_samples(toy.episode().sources)))


@settings(max_examples=40, deadline=None)
@given(
    compression=st.sampled_from(["none", "snappy", "zstd", "lz4", "gzip", "brotli"]),
    data_page_version=st.sampled_from(["1.0", "2.0"]),
    use_dictionary=st.booleans(),
    write_statistics=st.booleans(),
    write_page_index=st.booleans(),
    row_group_size=st.sampled_from([None, 1]),
    data_page_size=st.sampled_from([None, 64, 4096]),
)
def test_the_memory_bound_holds_and_is_tight_for_every_writer(**options: Any) -> None:
    table = pq.read_table(io.BytesIO(format.encode_samples(toy.episode().sources)))
    data = written(table, **options)
    assert table.nbytes <= unpacked_size(data) < 4 * table.nbytes
    assert set(format.decode_samples(data, "here")) == set(table["source"].to_pylist())


def test_a_file_of_no_rows_has_no_pages() -> None:
    assert unpacked_size(format.encode_samples({})) == 0


def test_dictionary_texts_count_once_per_value() -> None:
    data = written(pa.table({"a": ["x" * 1000] * 5000}), compression="zstd")
    assert len(data) < 5000
    assert unpacked_size(data) > 5_000_000


def test_nulls_without_bytes_count_towards_the_bound() -> None:
    data = written(pa.table({"a": pa.nulls(1 << 20, pa.float64())}), max_rows_per_page=1 << 21)
    assert len(data) < 1000
    assert unpacked_size(data) >= 8 << 20


def test_a_footer_that_understates_its_pages_is_not_trusted() -> None:
    """Some kilobytes of zeros unpack to eight megabytes, of which the footer tells a hundred."""
    many = 1 << 20
    options = {"use_dictionary": False, "write_statistics": False, "store_schema": False}
    zeros = pa.table({"a": np.zeros(many)})
    data = written(zeros, compression="zstd", max_rows_per_page=many + 1, **options)
    about = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(0)
    changed_footer = footer(data)
    for true, false in ((many, 1), (about.total_uncompressed_size, 100)):
        assert number(true) in changed_footer
        changed_footer = changed_footer.replace(number(true), number(false))
    lying = with_footer(data, changed_footer)
    assert pq.ParquetFile(io.BytesIO(lying)).metadata.row_group(0).column(0).num_values == 1
    with pytest.raises(ValueError, match="do not fill it"):
        unpacked_size(lying)


def test_no_flipped_bit_of_a_footer_ends_the_process() -> None:
    """Size statistics that contradict themselves did: Arrow's reader aborted."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.io.test_parquet_headers"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    refused, read = map(int, ran.stdout.split())
    assert refused > 3000
    assert read > 100


def flips() -> tuple[int, int]:
    """How many footers with one bit or several bytes changed were refused, and how many read."""
    data = format.encode_samples(toy.episode().sources)
    whole_footer, ends = footer(data), [0, 0]
    changed = [(at, 1 << bit) for at in range(len(whole_footer)) for bit in range(8)]
    generator = random.Random(1)
    several = [
        [(generator.randrange(len(whole_footer)), generator.randrange(1, 256)) for _ in range(3)]
        for _ in range(1000)
    ]
    for changes in [*([change] for change in changed), *several]:
        other = bytearray(whole_footer)
        for at, bits in changes:
            other[at] ^= bits
        try:
            format.decode_samples(with_footer(data, bytes(other)), "here")
        except (Refused, MemoryError):
            ends[0] += 1
        else:
            ends[1] += 1
    return ends[0], ends[1]


BEFORE_ROWS = bytes([1 << 4 | 6])
"""One field on, an i64: so the number of rows begins in a footer."""


def with_rows_after(data: bytes, other: bytes) -> bytes:
    """The same file with something else before the footer's number of rows."""
    old_footer = footer(data)
    rows = number(pq.ParquetFile(io.BytesIO(data)).metadata.num_rows) + bytes([1 << 4 | 9])
    assert old_footer.count(BEFORE_ROWS + rows) == 1
    return with_footer(data, old_footer.replace(BEFORE_ROWS + rows, other + rows))


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (bytes([6]) + number(3), None),
        (bytes([6]) + number(2), "out of order"),
        (bytes([6]) + number(-1), "out of order"),
        (bytes([6]) + number((1 << 16) + 3), "or too many"),
        (BEFORE_ROWS + b"\xff" * 9 + b"\x02", "over 64 bits"),
        (BEFORE_ROWS + b"\xff" * 10, "over 64 bits"),
        (bytes([1 << 4 | 11]), "unknown type"),
        (bytes([1 << 4 | 12]) * 40, "too deep"),
        (bytes([1 << 4 | 9, 1 << 4 | 5]), "another type"),
    ],
)
def test_files_that_readers_may_interpret_differently_are_refused(
    table: pa.Table, head: bytes, problem: str | None
) -> None:
    data = with_rows_after(format.encode_samples(toy.episode().sources), head)
    if problem is None:
        assert unpacked_size(data) >= table.nbytes
        return
    with pytest.raises(ValueError, match=problem):
        unpacked_size(data)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(2, 400), min_size=2, max_size=4, unique=True), st.booleans())
def test_a_cached_header_form_gives_the_parsed_result(rows: list[int], statistics: bool) -> None:
    tables = [pa.table({"a": np.arange(many) % 7.0, "b": ["x" * many] * many}) for many in rows]
    files = [written(one, write_statistics=statistics) for one in tables]
    afresh = []
    for data in files:
        parquet_headers._FORMS.clear()
        afresh.append(unpacked_size(data))
    assert [unpacked_size(data) for data in files] == afresh
    assert len({*afresh}) == len(files)


def test_the_number_of_cached_header_forms_is_bounded() -> None:
    parquet_headers._FORMS.clear()
    for wide in range(1, 2 * parquet_headers.FORMS_MOST):
        unpacked_size(written(pa.table({str(at): [1.0] for at in range(wide)})))
    assert len(parquet_headers._FORMS) == parquet_headers.FORMS_MOST
    parquet_headers._FORMS.clear()
    unpacked_size(written(pa.table({str(at): [1.0] for at in range(200)}), write_statistics=False))
    lengths = [len(form.pattern.pattern) for form in parquet_headers._FORMS]
    assert max(lengths) < parquet_headers.FORM_MOST


@given(st.binary(max_size=64), st.integers(min_value=0, max_value=1 << 32))
def test_arbitrary_bytes_raise_only_value_error(middle: bytes, length: int) -> None:
    for claimed in (length % (1 << 32), len(middle)):
        data = (
            parquet_headers.MAGIC + middle + claimed.to_bytes(4, "little") + parquet_headers.MAGIC
        )
        with pytest.raises(ValueError, match=r".+"):
            unpacked_size(data)


@pytest.mark.parametrize("cut", [0, 3, 11])
def test_a_file_that_is_too_short_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="begin and end"):
        unpacked_size((parquet_headers.MAGIC * 3)[:cut])


def test_a_file_without_rows_needs_no_memory_for_every_writer() -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([], schema=format._TABLE), buffer)
    assert format.decode_samples(buffer.getvalue(), "here") == {}


def test_no_page_is_read_of_a_column_that_claims_no_values() -> None:
    """Neither by us nor by Arrow: what stands in its place need be no page."""
    many = 1 << 20
    options = {"use_dictionary": False, "write_statistics": False, "store_schema": False}
    data = written(pa.table({"a": np.zeros(many)}), compression="zstd", **options)
    changed_footer = footer(data).replace(number(many), number(0))
    held = len(data) - 12 - len(footer(data))
    lying = with_footer(parquet_headers.MAGIC + b"\xff" * held + bytes(8), changed_footer)
    assert unpacked_size(lying) == 0
    assert pq.ParquetFile(io.BytesIO(lying)).read().nbytes == 0


if __name__ == "__main__":
    sys.stdout.write("{} {}".format(*flips()))
