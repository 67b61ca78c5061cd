"""Events, parts of a machine, rows to be joined, and the questions between them."""

from pathlib import Path

import numpy as np
import pytest
from tests.drafts import T_S, channels, cpu, draft, table, write

from phasewatch.errors import Refused


def test_disks_of_a_machine_are_pivoted(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        "time,device,util",
        lambda at: f"{T_S + at // 2 * 5},{('sda', 'sdb')[at % 2]},{cpu(at)}",
    )
    found = draft(path)
    assert '[pivot]  # CHECK\nname = "device"\nvalue = "util"' in found.mapping
    assert list(channels(found)) == ["sda", "sdb"]


def test_what_may_be_a_machine_or_a_part_is_asked(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        "time,pod,cores,mem",
        lambda at: f"{T_S + at // 2 * 5},{('web', 'db')[at % 2]},{cpu(at)},{at % 9}",
    )
    with pytest.raises(Refused, match=r"pod \(2: db, web\) tells series.*--host pod"):
        draft(path)
    assert 'host = { column = "pod" }' in draft(path, host="pod").mapping
    assert list(channels(draft(path, quantity="pod"))) == [
        "web_cores", "web_mem", "db_cores", "db_mem",
    ]  # fmt: skip


def test_a_long_table_is_pivoted_even_with_one_quantity(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv", "time,host,metric,value", lambda at: f"{T_S + at},h,rx_bytes,{at * 9}"
    )
    found = draft(path)
    assert channels(found) == {"rx_bytes": "counter"}
    assert 'name = "metric"' in found.mapping


def test_rows_of_one_time_with_other_columns_are_joined(tmp_path: Path) -> None:
    rows = [
        f'{{"ts": {T_S + at // 2}, "host": "h", "{"cpu" if at % 2 else "mem"}": {cpu(at)}}}'
        for at in range(60)
    ]
    found = draft(write(tmp_path / "a.jsonl", "", rows))
    assert "join = true" in found.mapping
    assert list(channels(found)) == ["mem", "cpu"]


def test_irregular_rows_without_a_sign_of_events_are_asked_about(tmp_path: Path) -> None:
    t = T_S + np.cumsum(np.random.default_rng(0).exponential(2, 60))
    path = table(tmp_path / "a.csv", "ts,level", lambda at: f"{t[at]:.3f},{cpu(at)}")
    with pytest.raises(Refused, match="--rows events"):
        draft(path)
    assert channels(draft(path, rows="samples")) == {"level": "gauge"}
    assert channels(draft(path, rows="events")) == {"rows": "event"}


def test_flows_are_events_even_at_even_times(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv", "ts,sa,da,ibyt", lambda at: f"{T_S + at},10.0.0.{at % 3},w,{at % 7}"
    )
    assert channels(draft(path)) == {"ibyt": "event", "rows": "event"}


def test_rows_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts,x", lambda at: f"{T_S + at // 2},{at}.5")
    with pytest.raises(Refused, match="nothing tells them apart"):
        draft(path)


def test_files_of_one_machine_hold_its_quantities(tmp_path: Path) -> None:
    for host in ("web1", "web2"):
        for quantity in ("cpu-user", "cpu-idle"):
            table(
                tmp_path / "c" / host / "cpu-0" / f"{quantity}-2026-09-21.csv",
                "epoch,value",
                lambda at: f"{T_S + at * 10}.000,{at * 3}",
            )
    found = draft(tmp_path / "c")
    assert channels(found) == {"cpu_0_cpu_idle": "counter", "cpu_0_cpu_user": "counter"}
    assert 'host = { path = "^([^/]+)/" }' in found.mapping


def test_numbers_may_be_those_of_machines(tmp_path: Path) -> None:
    rows = lambda at: f"{T_S + at // 2 * 5},{at % 2 + 1},{cpu(at)}"  # noqa: E731
    with pytest.raises(Refused, match=r"differ in bay.*--host bay"):
        draft(table(tmp_path / "a.csv", "time,bay,load", rows))
    assert len(channels(draft(table(tmp_path / "b.csv", "time,core,load", rows)))) == 2


def test_a_long_table_may_have_machines_beside_its_quantities(tmp_path: Path) -> None:
    def row(at: int) -> str:
        return f"{T_S + at // 4 * 5},{('load', 'rx')[at % 2]},{('web', 'db')[at // 2 % 2]},{at % 7}"

    path = table(tmp_path / "a.csv", "time,metric,pod,value", row)
    with pytest.raises(Refused, match="differ in pod"):
        draft(path)
    assert list(channels(draft(path, host="pod"))) == ["load", "rx"]
    assert sorted(channels(draft(path, quantity="pod"))) == [
        "load_db", "load_web", "rx_db", "rx_web",
    ]  # fmt: skip


def test_the_parts_of_a_path_stay_together(tmp_path: Path) -> None:
    def row(at: int) -> str:
        names = (("web", "cpu", "user"), ("web", "mem", "used"), ("db", "cpu", "user"),
                 ("db", "mem", "used"))[at % 4]  # fmt: skip
        return f"{T_S + at // 4 * 5},{at % 7},{','.join(names)}"

    path = table(tmp_path / "a.csv", "time,value,part_0,part_1,part_2", row)
    found = draft(path, host="part_0")
    assert list(channels(found)) == ["cpu_user", "mem_used"]


def test_files_that_are_named_by_what_they_measure_are_one_machine(tmp_path: Path) -> None:
    for quantity in ("cpu_percent", "memory_used"):
        table(tmp_path / "a" / f"{quantity}.csv", "ts,value", lambda at: f"{T_S + at},{at % 7}")
    found = draft(tmp_path / "a")
    assert channels(found) == {"cpu_percent": "gauge", "memory_used": "gauge"}
    assert 'host = "host-1"' in found.mapping


@pytest.mark.parametrize(("later", "join"), [(0, True), (9000, False)])
def test_files_with_further_columns_are_joined_where_they_hold_the_same_time(
    later: int, join: bool, tmp_path: Path
) -> None:
    table(tmp_path / "t" / "a.csv", "ts,host,x", lambda at: f"{T_S + at},h,{at % 7}")
    table(
        tmp_path / "t" / "b.csv", "ts,host,x,y",
        lambda at: f"{T_S + at + later},h,{'' if join else at % 7},{at % 5}",
    )  # fmt: skip
    assert ("join = true" in draft(tmp_path / "t").mapping) is join
