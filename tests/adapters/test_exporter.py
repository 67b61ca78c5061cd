"""Exported windows are those that models see; an export is complete or absent."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from phasewatch.adapters import exporter
from phasewatch.adapters.exporter import ExportReport
from phasewatch.errors import Refused
from phasewatch.features.views import STATISTICS
from phasewatch.store.local import Store
from phasewatch.windowing import extract


def test_tensors_are_the_windows_themselves(toy_store: Store, tmp_path: Path) -> None:
    report = exporter.write(toy_store, tmp_path / "out")
    windows = extract(toy_store, toy_store.ids(), toy_store.schema, 0.0)
    table = pq.read_table(tmp_path / "out" / "windows.parquet")
    arrays = np.load(tmp_path / "out" / "windows.npz")
    assert report == ExportReport(table.num_rows, {"rejected": 0, "errored": 0})
    assert len(windows) == table.num_rows
    np.testing.assert_array_equal(arrays["X"], windows.x)
    np.testing.assert_array_equal(arrays["y"], windows.y)
    name = toy_store.schema.names[3]
    np.testing.assert_array_equal(np.array(table[name].to_pylist()), windows.x[:, 3])
    assert table["episode"].to_pylist() == windows.episode.tolist()
    assert list(arrays["classes"][arrays["y"]]) == table["phase"].to_pylist()


def test_features_are_named_by_channel_and_statistic(toy_store: Store, tmp_path: Path) -> None:
    exporter.write(toy_store, tmp_path / "out", "summary", 6.0)
    arrays = np.load(tmp_path / "out" / "windows.npz")
    assert arrays["X"].shape[1] == len(toy_store.schema.names) * len(STATISTICS)
    table = pq.read_table(tmp_path / "out" / "windows.parquet")
    for place in (0, 11):
        column = str(arrays["columns"][place])
        np.testing.assert_array_equal(table[column].to_numpy(), arrays["X"][:, place])


def test_an_existing_export_is_not_overwritten(toy_store: Store, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(Refused, match="is there already"):
        exporter.write(toy_store, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("opening_s", [-1.0, 86_401.0, 1e300, float("inf"), float("nan")])
def test_an_invalid_opening_is_refused(toy_store: Store, tmp_path: Path, opening_s: float) -> None:
    with pytest.raises(Refused, match=r"--opening .* seconds from 0 to 86,400"):
        exporter.write(toy_store, tmp_path / "out", "tensor", opening_s)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_target_is_named_as_given(toy_store: Store) -> None:
    with pytest.raises(OSError) as error:
        exporter.write(toy_store, Path("/proc/x"))
    assert error.value.filename == "/proc/x"


def test_exports_have_the_shapes_other_libraries_expect(toy_store: Store) -> None:
    windows = extract(toy_store, toy_store.ids()[:3], toy_store.schema, 0.0)
    count, channels, steps = windows.x.shape
    assert windows.aeon()[0].shape == windows.tsai()[0].shape == (count, channels, steps)
    assert windows.sklearn()[0].shape == (count, channels * steps)
    assert windows.aeon()[0].dtype == np.float64
    assert windows.tsai()[0].dtype == np.float32
    np.testing.assert_array_equal(windows.sklearn()[0][1, steps : 2 * steps], windows.x[1, 1])
