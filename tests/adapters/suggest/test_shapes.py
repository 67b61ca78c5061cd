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
    with pytest.raises(Refused, match=r"differ in pod \(2: db, web\).*--host pod"):
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
