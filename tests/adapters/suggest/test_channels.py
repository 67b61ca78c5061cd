"""Columns that become channels, and the reasons of those that do not."""

from pathlib import Path

import numpy as np
import pytest
from tests.drafts import T_S, table

from phasewatch.adapters.numerals import Numerals
from phasewatch.adapters.suggest import channels, sample, series
from phasewatch.adapters.suggest.channels import Channel


def of(path: Path, events: bool = False) -> tuple[list[Channel], str]:
    found = sample.read(path)
    columns = channels.read(found, [n for n in found.columns if n != "ts"], Numerals())
    seconds = [np.array([float(cell) for cell in cells]) for cells in found.cells("ts")]
    chosen, remarks = channels.of_columns(
        found, columns, series.by_host(found, seconds, ""), events
    )
    return chosen, "; ".join(remarks)


def test_names_of_channels_are_apart_and_valid() -> None:
    names = ["%user", "-1.%user", r"Memory\Available MBytes", ""]
    assert [Channel(name, "gauge").name for name in names] == [
        "pct_user", "minus_1_pct_user", "memory_available_mbytes", "rows",
    ]  # fmt: skip
    assert Channel("a b", "gauge", number=2).name == "a_b_2"


def test_the_answer_constants_and_row_numbers_are_no_channels(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        "ts,x,attack_P1,fixed,n,uptime,pid",
        lambda at: f"{T_S + at},{at % 7},{at % 2},5,{at},{at * 3},{100 + at % 9}",
    )
    chosen, remarks = of(path)
    assert [one.column for one in chosen] == ["x"]
    assert "it holds the answer: attack_P1" in remarks
    assert "constant for each machine and file: fixed" in remarks
    assert "the number of the row: n" in remarks
    assert "the time since boot: uptime" in remarks
    assert "an identifier: pid" in remarks


def test_events_are_summed_only_where_that_makes_sense(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        "ts,orig_bytes,id.orig_p,bytes_s/s,severity,decoder_bytes,count,delta_bytes",
        lambda at: f"{T_S + at},{at % 7},{at % 5},{at % 3},{at % 4},{at * 9},1,{at % 3 - 1}",
    )
    chosen, remarks = of(path, events=True)
    assert [one.column for one in chosen] == ["orig_bytes", "count"]
    assert {one.kind for one in chosen} == {"event"}
    assert "an identifier: id.orig_p" in remarks
    assert "nothing says that its values add up over events: bytes_s/s" in remarks
    assert "a running total among events, which must not be summed: decoder_bytes" in remarks
    assert "below 0, so that its values do not add up over events: delta_bytes" in remarks


@pytest.mark.parametrize(("cell", "unit"), [("{}%", "%"), ("{}", "1")])
def test_a_percent_sign_is_the_unit(cell: str, unit: str, tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts,x", lambda at: f"{T_S + at},{cell.format(at % 7)}")
    found = sample.read(path)
    columns = channels.read(found, ["x"], Numerals(suffixes=(("%", 1.0),)))
    rows = series.by_host(found, [np.arange(60.0)], "")
    (one,), _ = channels.of_columns(found, columns, rows, False)
    assert one.unit == unit


def test_two_columns_of_one_name_get_two_channels(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts,a b,a_b", lambda at: f"{T_S + at},{at % 7},{at % 5}")
    assert [one.name for one in of(path)[0]] == ["a_b", "a_b_2"]
