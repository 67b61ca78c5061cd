"""Rows of every notation become numbers; what is left out is counted by reason."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.adapters.test_importer import HEAD, rows, source, take
from tests.adapters.test_mapping import MAPPING, SCHEMA

from phasewatch.adapters.importer import unmatched
from phasewatch.adapters.mapping import read as read_mapping
from phasewatch.errors import Refused
from phasewatch.schema import read as read_schema
from phasewatch.store.local import Store

__all__ = ["source"]

GAUGES = SCHEMA.replace('"B/s"', '"B"')
LONG = MAPPING[: MAPPING.index("[phase]")].replace('{ column = "job", rules', '{ path = "", rules')
LONG = LONG.replace('column = "job"', 'path = ""') + '[phase]\nvalue = "calm"\n'


def values(store: Store) -> list[list[float]]:
    (id,) = store.ids()
    return [[*map(float, row)] for row in store.read(id).sources["node"].values]


def put(source: Path, name: str, text: str) -> None:
    for path in source.iterdir():
        path.unlink()
    (source / name).write_text(text)


def test_lists_of_texts_choose_rows_and_what_finds_none_is_told(source: Path) -> None:
    lines = [row.replace("backup", f"job-{at % 3}") for at, row in enumerate(rows())]
    put(source, "run-1.csv", "\n".join([HEAD, *lines]))
    everything = 'rules = [["", "other"]]'
    text = MAPPING.replace('rules = [["^backup", "backup"], ["", "other"]]', everything)
    drop = text + '[rows]\ndrop = { job = ["job-0", "job-1", "job-9"] }\n'
    keep = text + '[rows]\nkeep = { job = ["job-2", "job-8"] }\n'
    for rule, told in ((drop, "drop = { job = 'job-9' }"), (keep, "keep = { job = 'job-8' }")):
        reports, store = take(source, rule)
        assert [len(one) for one in values(store)] == [2] * 8
        layout = read_schema(source.parent / "schema.toml")
        mapped = read_mapping(source.parent / "mapping.toml", layout)
        assert unmatched(reports, mapped) == [f"[rows] {told} finds no row"]
        assert reports[0].rows_dropped == 16


def test_infinity_in_events_is_not_summed(source: Path) -> None:
    kinds = SCHEMA.replace('["cpu", "%", "gauge"', '["cpu", "%", "event"').replace(
        '["rx", "B/s", "gauge"', '["rx", "B/s", "event"'
    )
    text = MAPPING + "[rows]\nevents_every_s = 60\n"
    lines = rows()
    lines[3] = lines[3].replace(",3,15,", ",Infinity,15,")
    put(source, "run-1.csv", "\n".join([HEAD, *lines]))
    (report,), store = take(source, text, kinds)
    assert sum(row[0] for row in values(store)) == sum(range(24)) - 3
    assert [str(one) for one in report.unmeasured] == ["cpu is infinite (line 5)"]


def test_a_file_of_which_no_row_fits_is_refused_in_one_line(source: Path) -> None:
    lines = [row.replace(f",{at},", f',"{at},5",', 1) for at, row in enumerate(rows())]
    put(source, "run-1.csv", "\n".join([HEAD, *lines]))
    with pytest.raises(
        Refused, match=r"none of its 24 rows can be used: cpu is no number \(line 2"
    ):
        take(source)
    (_,), store = take(source, MAPPING + '[numbers]\ndecimal = ","\n')
    assert values(store)[3][0] == 3.5


def test_times_have_the_decimal_comma_too(source: Path) -> None:
    lines = [f'"{int(row[:13]) // 1000},5"{row[13:]}' for row in rows()]
    put(source, "run-1.csv", "\n".join([HEAD, *lines]))
    text = MAPPING.replace('unit = "ms"', 'unit = "s"') + '[numbers]\ndecimal = ","\n'
    _, store = take(source, text)
    assert store.read(store.ids()[0]).end_ns == (int(rows()[-1][:13]) + 500) * 10**6


def test_a_unit_word_may_follow_the_numbers_of_its_channel(source: Path) -> None:
    lines = [row.replace(f",{at},", f",{at} %,", 1) for at, row in enumerate(rows())]
    put(source, "run-1.csv", "\n".join([HEAD, *lines]))
    text = MAPPING.replace('"node.cpu" = "cpu"', '"node.cpu" = { column = "cpu", unit = "%" }')
    assert values(take(source, text)[1])[3][0] == 3.0


def test_long_rows_are_pivoted_by_names_of_several_columns(source: Path) -> None:
    lines = ["ts,kind,field,value"]
    for at in range(6):
        moment = rows()[at][:13]
        lines += [f"{moment},cpu,user,{at}", f"{moment},net,,{at * 10}", f"{moment},io,x,text"]
    put(source, "run-1.csv", "\n".join(lines))
    text = LONG + (
        '[pivot]\nname = ["kind", "field"]\nvalue = "value"\n'
        '[channels]\n"node.cpu" = "cpu.user"\n"node.rx" = { column = "net", scale = 2 }\n'
    )
    (report,), store = take(source, text)
    assert values(store) == [[at, 20.0 * at] for at in range(6)]
    assert [(one.reason, one.count) for one in report.dropped] == [
        ("no channel of the mapping has its name", 6)
    ]


def test_files_of_one_value_are_joined_by_their_paths(source: Path) -> None:
    put(source, "x", "")
    (source / "x").unlink()
    for name in ("cpu-user", "net-rx"):
        body = [f"{rows()[at][:13]},{at if name == 'cpu-user' else at + 100}" for at in range(5)]
        (source / f"{name}.csv").write_text("\n".join(["ts,value", *body]))
    text = LONG.replace('sample = { path = "([^/]+)[.]csv" }', 'sample = "s"') + (
        '[pivot]\npath = "([^/]+)[.]csv"\nvalue = ["value", "absent"]\n'
        '[channels]\n"node.cpu" = "cpu-user.value"\n"node.rx" = "net-rx.value"\n'
    )
    reports, store = take(source, text)
    assert values(store) == [[at, at + 100.0] for at in range(5)]
    assert [report.rows for report in reports] == [5, 5]


def test_a_host_may_stand_in_the_names_of_columns(source: Path) -> None:
    head = HEAD.replace("cpu", r"\\WEB1\cpu")
    put(source, "run-1.csv", "\n".join([head, *rows()]))
    text = MAPPING.replace('host = "pi-1"', r"host = { header = '^\\\\([^\\]+)\\' }")
    text += "[files]\nrename = [['^" + r"\\\\[^\\]+\\" + "', '']]\n"
    other = text.replace(r"{ header = '^\\\\([^\\]+)\\' }", "{ header = 'zz' }")
    with pytest.raises(Refused, match=r"run-1.csv: header: does not fit 'zz'"):
        take(source, other)
    _, store = take(source, text)
    assert store.manifest(store.ids()[0]).host == "WEB1"


def test_an_optional_column_may_be_absent(source: Path) -> None:
    put(source, "run-1.csv", "\n".join([HEAD.replace("cpu", "load"), *rows()]))
    with pytest.raises(Refused, match="has no column cpu; expected some of ts, job, state, load"):
        take(source)
    text = MAPPING.replace('"node.cpu" = "cpu"', '"node.cpu" = { column = "cpu", optional = true }')
    assert np.isnan(values(take(source, text)[1])[0][0])


def test_objects_without_a_needed_field_are_refused_by_its_name(source: Path) -> None:
    objects = [dict(zip(HEAD.split(","), row.split(","), strict=True)) for row in rows()]
    text = MAPPING.replace("[.]csv", "[.]jsonl")
    for one in objects[:4]:
        del one["cpu"]
    put(source, "run-1.jsonl", "\n".join(map(json.dumps, objects)))
    _, store = take(source, text)
    assert np.isnan([row[0] for row in values(store)]).tolist() == [True] * 4 + [False] * 20
    for one in objects:
        one.pop("cpu", None)
    put(source, "run-1.jsonl", "\n".join(map(json.dumps, objects)))
    with pytest.raises(Refused, match=r"run-1.jsonl: has no column cpu"):
        take(source, text)


def test_another_header_further_down_is_refused_unless_rows_are_joined(source: Path) -> None:
    first = [",".join(row.split(",")[:4]) for row in rows()]
    second = [",".join([row.split(",")[0], *row.split(",")[4:]]) for row in rows()]
    lines = ["ts,job,state,cpu", *first, "ts,rx,seconds", *second]
    put(source, "run-1.csv", "\n".join(lines))
    text = MAPPING.replace('{ column = "job", rules', '{ value = "backup", rules')
    with pytest.raises(Refused, match="has no column rx, seconds"):
        take(source, text)
    _, store = take(source, text + "[rows]\njoin = true\n")
    assert values(store)[5] == [5.0, 5 * 5 * 1024 / 5]


def test_phases_come_from_intervals(source: Path) -> None:
    start = int(rows()[6][:13])
    (source / "labels.csv").write_text(f"start,end,label\n{start},{start + 20_000},busy\n")
    text = MAPPING.replace('column = "state"', 'file = "labels.csv"\noutside = "calm"')
    reports, store = take(source, text)
    assert [report.file for report in reports] == ["run-1.csv"]
    labels = store.read(store.ids()[0]).labels
    assert [one.phase for one in labels] == ["calm", "busy", "calm"]
    assert labels[1].t_wall_ns == (start - 5000) * 10**6


def test_rows_of_a_kind_are_counted(source: Path) -> None:
    kinds = SCHEMA.replace('["cpu", "%", "gauge"', '["cpu", "%", "event"').replace(
        '["rx", "B/s", "gauge"', '["rx", "B/s", "event"'
    )
    text = MAPPING.replace('"node.cpu" = "cpu"', '"node.cpu" = { rows = true }').replace(
        '{ column = "rx", unit = "KiB", per = "seconds" }',
        '{ rows = true, where = { state = ["busy", "idle"] } }',
    )
    _, store = take(source, text + "[rows]\nevents_every_s = 60\n", kinds)
    assert np.sum(values(store), axis=0).tolist() == [24.0, 12.0]


def test_events_of_which_none_has_a_value_are_not_measured(source: Path) -> None:
    kinds = SCHEMA.replace('["cpu", "%", "gauge"', '["cpu", "%", "event"').replace(
        '["rx", "B/s", "gauge"', '["rx", "B/s", "event"'
    )
    text = MAPPING.replace(
        '"node.cpu" = "cpu"', '"node.cpu" = { column = "load", optional = true }'
    )
    (report,), store = take(source, text + "[rows]\nevents_every_s = 60\n", kinds)
    assert np.isnan([row[0] for row in values(store)]).all() and report.rows_dropped == 0
    assert np.isfinite([row[1] for row in values(store)]).all()
