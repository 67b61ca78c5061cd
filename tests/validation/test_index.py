"""The acceptance index: what is written is read back, and a flipped bit is noticed."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests import toy

from phasewatch.errors import Refused
from phasewatch.io import parquet
from phasewatch.store.format import SAMPLES
from phasewatch.store.local import Store
from phasewatch.validation import index
from phasewatch.validation.sweep import validate_store
from phasewatch.validation.verdict import Finding, ValidationResult


def test_a_written_index_is_read_back(toy_store: Store, tmp_path: Path) -> None:
    results = validate_store(toy_store)
    results.append(ValidationResult.unreadable("zz", Finding("sha_mismatch", "rejected", "é\n")))
    index.write(results, tmp_path / "i.parquet")
    assert index.read(tmp_path / "i.parquet") == results
    assert [one.id for one in results[:-1]] == toy_store.ids()
    assert dict(results[0].rows) == {source: 84 for source in toy_store.schema.sources}


def test_a_flipped_bit_is_never_read_as_another_verdict(toy_store: Store, tmp_path: Path) -> None:
    results, path = validate_store(toy_store), tmp_path / "i.parquet"
    index.write(results, path)
    intact, generator = path.read_bytes(), np.random.default_rng(0)
    footer = len(intact) - 8 - int.from_bytes(intact[-8:-4], "little")
    for place in generator.integers(0, footer, 300):
        damaged = bytearray(intact)
        damaged[place] ^= 1 << generator.integers(8)
        path.write_bytes(damaged)
        try:
            found = index.read(path)
        except Refused:
            continue
        assert found == results


def test_a_file_that_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Make it again"):
        index.read(tmp_path / "none")
    toy.store(tmp_path / "s", seeds=1)
    samples = next((tmp_path / "s" / "episodes").iterdir()) / "samples.parquet"
    with pytest.raises(Refused, match="columns"):
        index.read(samples)


def test_an_index_without_values_is_refused(tmp_path: Path) -> None:
    columns = index.to_table([]).schema
    empty = pa.Table.from_pylist([{"id": "a"}], schema=columns)
    (tmp_path / "i.parquet").write_bytes(parquet.encode(empty))
    with pytest.raises(Refused, match="cannot be read"):
        index.read(tmp_path / "i.parquet")


def test_another_parquet_file_is_not_replaced(toy_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    shutil.copy(toy_store.folder(toy_store.ids()[0]) / SAMPLES, path)
    with pytest.raises(Refused, match="would be lost"):
        index.prepare_index(path)
    path.write_bytes(path.read_bytes()[:-9])
    index.prepare_index(path)


def test_a_link_to_an_index_stays_one(toy_store: Store, tmp_path: Path) -> None:
    link, target = tmp_path / "link.parquet", tmp_path / "far" / "i.parquet"
    link.symlink_to(target)
    index.prepare_index(link)
    index.write(validate_store(toy_store), link)
    assert link.is_symlink() and index.read(target) == validate_store(toy_store)


def test_an_index_is_not_written_into_a_store_through_a_link(
    toy_store: Store, tmp_path: Path
) -> None:
    link = tmp_path / "link.parquet"
    link.symlink_to(toy_store.root / "i.parquet")
    with pytest.raises(Refused, match="lies in the episode store"):
        index.prepare_index(link)
