"""Parquet files keep their numbers, and give times as Unix nanoseconds."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from phasewatch.adapters.reading import opening
from phasewatch.adapters.reading.formats import parquet
from phasewatch.adapters.reading.source import Input


def test_columns_are_numbers_times_or_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS", 2)
    when = datetime(2023, 7, 5, 10, tzinfo=UTC)
    table = pa.table(
        {"when": [when] * 3, "x": [0.5, None, 2.0], "n": [1, None, 3], "ok": [True, None, False],
         "name": ["a", None, "c"]}
    )  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    given = Input(tmp_path / "a.parquet", "a.parquet")
    batches = list(opening.open_table(given).batches(["x", "when"]))
    assert [batch.lines.tolist() for batch in batches] == [[1, 2], [3]]
    assert batches[0].columns["x"].type == pa.float64() and set(batches[0].columns) == {"when", "x"}
    assert opening.sample(given).columns == {
        "when": ["1688551200000000000"] * 3, "x": ["0.5", "", "2.0"], "n": ["1", "", "3"],
        "ok": ["True", "", "False"], "name": ["a", "", "c"],
    }  # fmt: skip
