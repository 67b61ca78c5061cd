"""Columns that are times by name or form, questions, and refusals that show the columns."""

from pathlib import Path

import numpy as np
import pytest
from tests.drafts import T_S, table

from phasewatch.adapters.suggest import sample, time_columns
from phasewatch.adapters.suggest.time_columns import Found
from phasewatch.errors import Refused


def chosen(path: Path, told: str = "") -> Found:
    return time_columns.choose(sample.read(path), told)[0]


@pytest.mark.parametrize(
    ("head", "cell", "lines"),
    [
        ("ts", "{s}", ('unit = "s"',)),
        ("unixTime", "{s}000", ('unit = "ms"',)),
        ("_time", "2026-09-21T10:{m:02}:00Z", ('unit = "iso"',)),
        ("measured on", "2026/09/21 10:{m:02}:00", ('unit = "iso"',)),
        ("Timestamp", "21/9/2026 10:{m:02}", ('format = "%d/%m/%Y %H:%M"',)),
    ],
)
def test_times_by_name_or_form(
    head: str, cell: str, lines: tuple[str, ...], tmp_path: Path
) -> None:
    path = table(
        tmp_path / "a.csv", f"x,{head}", lambda at: f"{at},{cell.format(s=T_S + at, m=at)}"
    )
    found = chosen(path)
    assert found.columns == (head,)
    assert found.lines == lines
    assert not found.question


@pytest.mark.parametrize("head", ["bytes_free", "serial", "column", "response_time"])
def test_a_number_as_large_as_unix_time_is_no_clock(head: str, tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", f"{head},x", lambda at: f"{T_S + at},{at}")
    with pytest.raises(Refused, match=f"{head}: {T_S}.*--time COLUMN"):
        chosen(path)
    assert chosen(path, head).lines == ('unit = "s"',)


def test_eight_digits_are_no_date(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "serial,x", lambda at: f"{20_260_000 + at},{at}")
    with pytest.raises(Refused, match="no column is a time"):
        chosen(path)


def test_day_and_month_that_may_be_swapped_are_a_question(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "time,x", lambda at: f"05/07/2023 10:{at:02},{at}")
    found = chosen(path)
    assert found.question
    assert 'format = "?"' in found.lines[0]
    assert "%m/%d/%Y" in found.lines[0]
    kind = time_columns.choose(sample.read(path), day_first=True)[0]
    assert kind.lines == ('format = "%d/%m/%Y %H:%M"',)


def test_days_without_a_gap_decide_between_day_and_month(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "time,x", lambda at: f"{1 + at // 10:02}/07/2023 10:00,{at}")
    assert chosen(path).lines == ('format = "%d/%m/%Y %H:%M"',)


def test_times_since_a_start_and_times_of_day_ask_for_it(tmp_path: Path) -> None:
    relative = chosen(table(tmp_path / "a.csv", "time,x", lambda at: f"{at / 2},{at}"))
    of_day = chosen(table(tmp_path / "b.csv", "time,x", lambda at: f"10:{at:02}:00,{at}"))
    for found, unit in ((relative, "s"), (of_day, "clock")):
        assert found.question
        assert found.lines[0] == f'unit = "{unit}"'
        assert found.lines[1].startswith('start = "?"')


def test_a_date_and_a_time_of_day_are_one_clock(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "Date,Time,x", lambda at: f"2026-09-21,10:{at:02}:00,{at}")
    assert chosen(path).columns == ("Date", "Time")


def test_perfmon_writes_months_first_and_its_zone_in_the_header(tmp_path: Path) -> None:
    head = r'"(PDH-CSV 4.0) (CEST)(-120)","\\W\x"'
    path = table(tmp_path / "a.csv", head, lambda at: f'"07/05/2023 10:{at:02}:00.000","{at}"')
    assert chosen(path).lines == ('format = "%m/%d/%Y %H:%M:%S.%f"', 'zone = "+02:00"')


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts,x", lambda at: f"{T_S + at},{at}")
    with pytest.raises(Refused, match="no column when"):
        chosen(path, "when")
    with pytest.raises(Refused, match="x is no time"):
        chosen(table(tmp_path / "b.csv", "ts,x", lambda at: f"{T_S + at},w{at}"), "x")


def test_an_hour_that_is_lost_or_comes_twice_is_noticed() -> None:
    even = np.arange(240.0) * 60 + 1_698_537_600  # 2023-10-29 00:00, a Sunday
    twice = np.where(np.arange(240) < 120, even, even - 3600)
    lost = np.where(np.arange(240) < 120, even, even + 3600)
    for wall in (twice, lost):
        moved = time_columns.summer_time(wall)
        assert moved is not None
        assert set(np.diff(moved)) == {60.0}
    assert time_columns.summer_time(even) is None
    weekday = lost + 3 * 86_400
    assert time_columns.summer_time(weekday) is None


def test_half_days_need_their_date(tmp_path: Path) -> None:
    rows = "Date,Time,x", lambda at: f"7/5/2023,10:{at:02}:00 AM,{at}"
    found = chosen(table(tmp_path / "a.csv", *rows))
    assert found.columns == ("Date", "Time")
    assert 'format = "?"' in found.lines[0]
    with pytest.raises(Refused, match="no column is a time"):
        chosen(table(tmp_path / "b.csv", "Time,x", lambda at: f"10:{at:02}:00 AM,{at}"))


def test_days_of_a_spreadsheet_are_no_seconds(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "time,x", lambda at: f"{46286 + at / 86400:.8f},{at}")
    for told in ("", "time"):
        with pytest.raises(Refused):
            chosen(path, told)


@pytest.mark.parametrize(("head", "unit"), [("elapsed_ms", "ms"), ("t", "s"), ("seconds", "s")])
def test_without_another_clock_what_counts_from_a_start_is_one(
    head: str, unit: str, tmp_path: Path
) -> None:
    found = chosen(table(tmp_path / "a.csv", f"{head},x", lambda at: f"{at * 250},{at % 7}"))
    assert found.question
    assert found.lines[0] == f'unit = "{unit}"'
    dated = table(tmp_path / "b.csv", f"{head},ts", lambda at: f"{at * 250},{T_S + at}")
    assert chosen(dated).columns == ("ts",)


def test_without_another_clock_the_start_of_a_flow_is_one(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "bytes,start,end", lambda at: f"9,{T_S + at},{T_S + at + 3}")
    found = chosen(path)
    assert (found.columns, found.lines) == (("start",), ('unit = "s"',))


def test_a_line_below_the_table_does_not_hide_its_clock(tmp_path: Path) -> None:
    def row(at: int) -> str:
        return f"2026-09-21 10:{at:02}:00,{at}" if at < 59 else "Average:,30"

    assert chosen(table(tmp_path / "a.csv", "time,x", row)).lines == ('unit = "iso"',)


@pytest.mark.parametrize(
    ("head", "cells", "format"),
    [
        ("date,time", "20260921,10{:02}00", "%Y%m%d %H%M%S"),
        ("Year,Month,Day,Hour,Minute", "2026,9,21,10,{}", "%Y %m %d %H %M"),
        ("date,hour", "2026-09-21,{}", "%Y-%m-%d %H"),
    ],
)
def test_a_date_may_stand_in_several_columns(
    head: str, cells: str, format: str, tmp_path: Path
) -> None:
    path = table(tmp_path / "a.csv", f"{head},x", lambda at: f"{cells.format(at % 24)},{at}.5")
    found = chosen(path)
    assert found.columns == tuple(head.split(","))
    assert found.lines == (f'format = "{format}"',)


def test_half_days_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    def row(at: int) -> str:
        return f"2026-09-21 {(11 + at // 20 - 1) % 12 + 1:02}:{at % 20:02}:00,{at}"

    path = table(tmp_path / "a.csv", "time,x", row)
    with pytest.raises(Refused, match="goes from hour 12 to hour 1"):
        chosen(path)


def test_a_refusal_says_what_to_do_about_lists_and_days(tmp_path: Path) -> None:
    days = table(tmp_path / "a.csv", "time,x", lambda at: f"{46286 + at / 86400:.8f},{at}")
    with pytest.raises(Refused, match="as spreadsheets count them"):
        chosen(days)
    path = tmp_path / "b.json"
    path.write_text(
        '{"name": "cpu", "points": [[1, 2], [3, 4]]}\n{"name": "m", "points": [[1, 2]]}'
    )
    with pytest.raises(Refused, match="hold lists of rows"):
        chosen(path)
