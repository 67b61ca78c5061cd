"""What is exported is what models are shown, whole or absent."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from phasewatch import extracts, pipeline
from phasewatch.refusal import Refused
from phasewatch.store import Store
from phasewatch.views import STATISTICS


def test_tensors_are_the_windows_themselves(toy_store: Store, tmp_path: Path) -> None:
    count = extracts.write(toy_store, tmp_path / "out")
    windows = pipeline.extract(toy_store, toy_store.ids(), toy_store.schema, 0.0)
    table = pq.read_table(tmp_path / "out" / "windows.parquet")
    arrays = np.load(tmp_path / "out" / "windows.npz")
    assert count == len(windows) == table.num_rows
    np.testing.assert_array_equal(arrays["X"], windows.x)
    np.testing.assert_array_equal(arrays["y"], windows.y)
    name = toy_store.schema.names[3]
    np.testing.assert_array_equal(np.array(table[name].to_pylist()), windows.x[:, 3])
    assert table["episode"].to_pylist() == windows.episode.tolist()
    assert list(arrays["classes"][arrays["y"]]) == table["phase"].to_pylist()


def test_features_are_named_by_channel_and_statistic(toy_store: Store, tmp_path: Path) -> None:
    extracts.write(toy_store, tmp_path / "out", "summary", 6.0)
    arrays = np.load(tmp_path / "out" / "windows.npz")
    assert arrays["X"].shape[1] == len(toy_store.schema.names) * len(STATISTICS)
    table = pq.read_table(tmp_path / "out" / "windows.parquet")
    for place in (0, 11):
        column = str(arrays["columns"][place])
        np.testing.assert_array_equal(table[column].to_numpy(), arrays["X"][:, place])


def test_nothing_is_written_over(toy_store: Store, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(Refused, match="is there already"):
        extracts.write(toy_store, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_shapes_of_others(toy_store: Store) -> None:
    windows = pipeline.extract(toy_store, toy_store.ids()[:3], toy_store.schema, 0.0)
    count, channels, steps = windows.x.shape
    assert windows.aeon()[0].shape == windows.tsai()[0].shape == (count, channels, steps)
    assert windows.sklearn()[0].shape == (count, channels * steps)
    assert windows.aeon()[0].dtype == np.float64
    assert windows.tsai()[0].dtype == np.float32
    np.testing.assert_array_equal(windows.sklearn()[0][1, steps : 2 * steps], windows.x[1, 1])
