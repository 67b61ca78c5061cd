"""Rows of each machine, and what their times say."""

from pathlib import Path

import numpy as np
from tests.drafts import T_S, table

from phasewatch.adapters.suggest import sample, series
from phasewatch.adapters.suggest.sample import Sample
from phasewatch.adapters.suggest.series import Series


def read(path: Path, host: str = "") -> tuple[Sample, list[Series]]:
    found = sample.read(path)
    seconds = [np.array([float(cell) for cell in cells]) for cells in found.cells("ts")]
    return found, series.by_host(found, seconds, host)


def test_intervals_are_measured_within_a_machine(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts,m,x", lambda at: f"{T_S + at * 2.5},m{at % 4},{at}")
    _, together = read(path)
    _, apart = read(path, "m")
    assert series.every_s(together) == 2.5
    assert series.every_s(apart) == 10.0
    assert len(apart) == 4
    assert not series.repeated(apart)


def test_disks_and_quantities_tell_rows_of_one_time_apart(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv", "ts,note,disk,x", lambda at: f"{T_S + at // 2},n,sd{'ab'[at % 2]},{at}"
    )
    found, rows = read(path)
    assert series.repeated(rows)
    assert series.even(rows)
    assert series.keys(found, rows, ["note", "disk"]) == ("disk",)
    assert series.keys(found, rows, ["note"]) == ()
    assert not series.joinable(found, rows, ["x"])


def test_rows_with_values_in_different_columns_are_joined(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        "ts,every,x,y",
        lambda at: f"{T_S + at // 2},10,{at if at % 2 else ''},{'' if at % 2 else at}",
    )
    found, rows = read(path)
    assert series.joinable(found, rows, ["every", "x", "y"])


def test_events_come_at_uneven_times() -> None:
    chance = np.random.default_rng(0).exponential(1, 200)
    rows = np.arange(200)
    assert not series.even([Series(0, "", rows, np.cumsum(chance))])
    assert series.even([Series(0, "", rows, rows * 5.0 + chance / 5)])


def test_columns_of_flows_and_events() -> None:
    assert series.of_flows(["ts", "id.orig_h", "id.resp_h", "proto"])
    assert not series.of_flows(["ts", "cpu", "device"])
    assert series.of_events(["time", "rule", "priority"])
    assert not series.of_events(["time", "cpu"])


def test_a_long_table_has_one_column_of_values() -> None:
    assert series.long_form(("t", "name", "value"), ["value"]) == "value"
    assert series.long_form(("t", "a", "b"), ["a", "b"]) == ""
