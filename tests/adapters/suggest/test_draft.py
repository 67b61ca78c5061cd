"""Drafts that run as they are, and say what a person must know to correct them."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from tests.drafts import channels, cpu, draft, table, word, write

from phasewatch import schema
from phasewatch.adapters import importer, mapping
from phasewatch.adapters.suggest import paths, sample
from phasewatch.adapters.suggest.draft import suggest
from phasewatch.adapters.suggest.text import quoted
from phasewatch.errors import Refused
from phasewatch.store.local import Store

T_S = 1_790_000_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four recordings of a node: a total, a level, a constant, a second clock, a text."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "tables"
    for phase in ("idle", "mining"):
        for number in range(2):
            path = folder / phase / f"run-{number}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            total = np.cumsum(generator.integers(1, 9, 40))
            path.write_text(
                "timestamp,cpu %,bytes_total,memory,date,kernel\n"
                + "".join(
                    f"{T_S + at * 2 + number * 10_000},{generator.random():.3f},{total[at]},"
                    f"512,2026-09-21T00:00:{at:02},6.1\n"
                    for at in range(40)
                )
            )
    return folder


def test_the_drafts_import_as_they_are(source: Path, tmp_path: Path) -> None:
    draft = suggest(source)
    (tmp_path / "schema.toml").write_text(draft.schema)
    (tmp_path / "mapping.toml").write_text(draft.mapping)
    layout = schema.read(tmp_path / "schema.toml")
    mapped = mapping.read(tmp_path / "mapping.toml", layout)
    store = Store.create(tmp_path / "store", layout)
    outcomes = list(importer.import_files(source, mapped, store))
    assert sum(len(one.episodes) for one in outcomes) == 4
    assert {one.verdict for outcome in outcomes for one in outcome.episodes} == {"accepted"}
    assert layout.classes == ("idle", "mining")
    assert [channel.kind for channel in layout.channels] == ["gauge", "counter"]
    assert layout.grid.step_s == 2.0


def test_omitted_columns_are_reported(source: Path) -> None:
    remarks = "; ".join(suggest(source).remarks)
    assert "a second time column: date" in remarks
    assert "constant for each machine and file: memory" in remarks


def test_a_column_that_states_the_phase_is_used(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text(
        "ts,label,x\n"
        + "".join(f"{T_S + at},{'rest' if at < 9 else 'c2'},{at % 3}\n" for at in range(20))
    )
    draft = suggest(path)
    assert 'column = "label"' in draft.mapping
    assert 'classes = ["rest", "c2"]' in draft.schema


def test_folders_are_hosts_where_files_are_named_by_what_runs(tmp_path: Path) -> None:
    for host in ("web-1", "db-1"):
        for phase in ("mine", "idle"):
            path = tmp_path / "tables" / host / f"{phase}-run1.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("ts,x\n" + "".join(f"{T_S + at * 5},{at % 3}\n" for at in range(20)))
    draft = suggest(tmp_path / "tables")
    assert 'classes = ["idle", "mine"]' in draft.schema
    assert 'host = { path = "^([^/]+)/" }' in draft.mapping


def test_text_that_names_machine_and_recording_is_used_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text(
        "".join(
            f'{{"ts": {T_S + at}, "vm": {{"hostname": "win{at % 2}"}}, "run_id": "r{at % 4}", '
            f'"note": "n", "phase": "{"exec" if at % 2 else "rest"}", "x": {at % 3}}}\n'
            for at in range(20)
        )
    )
    draft = suggest(path)
    assert 'host = { column = "vm.hostname" }' in draft.mapping
    assert 'sample = { column = "run_id" }' in draft.mapping
    assert "used as sample: run_id (4: r0, r1, r2, …)" in draft.remarks
    assert "used as host: vm.hostname (2: win0, win1)" in draft.remarks
    assert "left out, text: note (1: n)" in draft.remarks


def test_irregular_rows_are_drafted_as_events(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    t = T_S + np.cumsum(chance.exponential(0.5, 400))
    path = tmp_path / "source" / "conn.log"
    path.parent.mkdir()
    head = "#separator \\x09\n#fields\tts\tid.resp_p\torig_bytes\tlabel\n"
    rows = [
        f"{when:.6f}\t{chance.integers(1, 9)}\t{chance.integers(1, 999)}\t{label}\n"
        for when, label in zip(t, ["normal"] * 200 + ["scan"] * 200, strict=True)
    ]
    path.write_text(head + "".join(rows))
    draft = suggest(path)
    assert "left out, an identifier: id.resp_p" in draft.remarks
    (tmp_path / "schema.toml").write_text(draft.schema)
    (tmp_path / "mapping.toml").write_text(draft.mapping)
    layout = schema.read(tmp_path / "schema.toml")
    assert [(one.name, one.kind) for one in layout.channels] == [
        ("table.orig_bytes", "event"),
        ("table.rows", "event"),
    ]
    mapped = mapping.read(tmp_path / "mapping.toml", layout)
    store = Store.create(tmp_path / "store", layout)
    (outcome,) = importer.import_files(path.parent, mapped, store)
    samples = store.read(outcome.episodes[0].id).sources["table"]
    assert samples.values[:, 1].sum() == 400


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n2,3\n", "no column is a time"),
        ("ts,b\n1790000000,2\n1790000001,2\n", "no column"),
    ],
)
def test_data_without_a_clock_or_a_change_is_refused(
    text: str, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(Refused, match=problem):
        suggest(path)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no table"):
        suggest(tmp_path)


def test_machines_are_found_before_kinds_and_steps_are_measured(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        "timestamp,machine_id,cpu,rx_total",
        lambda at: f"{T_S + at * 2.5},m{at % 4},{cpu(at)},{1_000_000 * (4 - at % 4) + at}",
        rows=240,
    )
    found = draft(path)
    assert channels(found) == {"cpu": "gauge", "rx_total": "counter"}
    assert "step_s = 10\n" in found.schema
    assert "hold_s = 30\n" in found.schema
    assert 'host = { column = "machine_id" }' in found.mapping


def test_a_host_that_is_a_number_is_no_channel(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "time,host,x", lambda at: f"{T_S + at // 3},{at % 3},{at % 7}")
    found = draft(path)
    assert channels(found) == {"x": "gauge"}
    assert "used as host: host (3: 0, 1, 2)" in found.remarks


def test_no_phase_is_a_question_and_not_a_value(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "time,x,odd", lambda at: f"{T_S + at},{at % 7},{at % 2}")
    found = draft(path)
    assert 'value = "?"' in found.mapping
    assert any("Columns of two values may be it: odd" in question for question in found.questions)
    schema_path, mapping_path = tmp_path / "schema.toml", tmp_path / "mapping.toml"
    schema_path.write_text(found.schema)
    mapping_path.write_text(found.mapping)
    with pytest.raises(Refused, match=r"phase\.value: is a question that the draft leaves open"):
        mapping.read(mapping_path, schema.read(schema_path))


def test_the_user_may_name_the_phase(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "time,x,odd", lambda at: f"{T_S + at},{at % 7},{at % 2}")
    found = draft(path, phase="odd")
    assert 'column = "odd"' in found.mapping
    assert channels(found) == {"x": "gauge"}
    for column in ("x2", "time"):
        with pytest.raises(Refused, match="states no phases"):
            draft(path, phase=column)


def test_words_beyond_the_first_rows_are_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "ROWS", 15)
    found = draft(
        table(tmp_path / "a.csv", "ts,x,label", lambda at: f"{T_S + at},{at % 7},{word(at)}")
    )
    assert 'classes = ["benign", "mining"]' in found.schema


def test_times_where_the_clocks_change_ask_for_the_zone(tmp_path: Path) -> None:
    def wall(at: int) -> str:
        hour, minute = divmod(at, 60)
        return f"2026-10-25 {1 + hour - (hour > 1):02}:{minute:02}:00"

    path = table(tmp_path / "a.csv", "time,x", lambda at: f"{wall(at)},{at % 7}", rows=240)
    found = draft(path)
    assert 'zone = "?"' in found.mapping
    assert "step_s = 60\n" in found.schema


def test_files_of_one_time_are_machines(tmp_path: Path) -> None:
    for name in ("a", "b"):
        table(tmp_path / "t" / f"{name}.csv", "ts,x", lambda at: f"{T_S + at},{at % 7}")
    found = draft(tmp_path / "t")
    assert f"host = {{ path = {quoted(paths.FILE)} }}" in found.mapping
    assert any("machines by their names" in remark for remark in found.remarks)


def test_a_file_of_other_columns_and_times_is_left_out_and_told(tmp_path: Path) -> None:
    for name, start, head in (("a", 0, "ts,x"), ("b", 5000, "ts,x"), ("c", 9000, "ts,y")):
        rows = [f"{T_S + start + at},{at % 7}" for at in range(60)]
        write(tmp_path / "t" / f"{name}.csv", head, rows)
    found = draft(tmp_path / "t")
    assert "other columns, not in the draft: c.csv (ts, y)" in found.remarks
    assert channels(found) == {"x": "gauge"}


def test_long_recordings_are_cut(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts,x", lambda at: f"{T_S + at * 36_000},{at % 7}")
    assert "every_s = 604800" in draft(path).mapping
    often = table(tmp_path / "b.csv", "ts,x", lambda at: f"{T_S + at * 600},{at % 7}", rows=1500)
    assert "every_s = 86400" in draft(often).mapping


def test_numbers_are_written_as_the_files_write_them(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        "ts;x;y",
        lambda at: f"{T_S + at};{at % 7},25;{'n.v.' if at == 9 else at}",
    )
    found = draft(path)
    assert 'decimal = ","' in found.mapping
    assert 'missing = ["n.v."]' in found.mapping
    assert any('taken for "not measured": n.v.' in remark for remark in found.remarks)


def test_a_comma_that_may_be_either_sign_is_a_question(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts;x", lambda at: f"{T_S + at};1,{at + 100}")
    assert 'decimal = "?"' in draft(path).mapping


def test_a_draft_with_intervals_of_labels_imports_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "t"
    table(source / "node.csv", "ts,cpu", lambda at: f"{T_S + at * 5},{cpu(at)}")
    write(source / "labels.csv", "start,end,label", [f"{T_S + 100},{T_S + 200},mining"])
    found = draft(source)
    (tmp_path / "schema.toml").write_text(found.schema)
    (tmp_path / "mapping.toml").write_text(found.mapping)
    layout = schema.read(tmp_path / "schema.toml")
    store = Store.create(tmp_path / "store", layout)
    mapped = mapping.read(tmp_path / "mapping.toml", layout)
    (report,) = importer.import_files(source, mapped, store)
    labels = store.read(report.episodes[0].id).labels
    assert [one.phase for one in labels] == ["benign", "mining", "benign"]


def test_files_of_one_machine_and_other_columns_are_joined(tmp_path: Path) -> None:
    source = tmp_path / "t"
    table(source / "cpu.csv", "time,cpu", lambda at: f"{T_S + at * 5},{cpu(at)}")
    table(source / "net.csv", "time,rx_bytes", lambda at: f"{T_S + at * 5},{at * 9}")
    found = draft(source)
    assert channels(found) == {"cpu": "gauge", "rx_bytes": "counter"}
    assert "join = true" in found.mapping
    assert 'host = "host-1"' in found.mapping


def test_files_of_several_days_of_a_machine_are_of_one(tmp_path: Path) -> None:
    for host in ("web1", "db1"):
        for day in (0, 1):
            rows = [f"{T_S + day * 86_400 + at},{at % 7}" for at in range(60)]
            write(tmp_path / "t" / f"{host}-2026-09-2{day}.csv", "ts,x", rows)
    found = draft(tmp_path / "t")
    (line,) = (line for line in found.mapping.splitlines() if line.startswith("host = "))
    pattern = tomllib.loads(line)["host"]["path"]
    assert re.search(pattern, "web1-2026-09-20.csv")[1] == "web1"  # type: ignore[index]


def test_numbers_of_which_none_says_benign_are_a_question(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv", "ts,x,class", lambda at: f"{T_S + at},{at % 7},{at % 2 * 2 - 1}"
    )
    found = draft(path)
    assert 'classes = ["?", "-1", "1"]' in found.schema
    (tmp_path / "schema.toml").write_text(found.schema)
    with pytest.raises(Refused, match="classes: leaves open which class is benign"):
        schema.read(tmp_path / "schema.toml")


def test_machines_that_take_turns_in_an_unknown_column_are_asked_about(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts,hôte,x", lambda at: f"{T_S + at * 5},srv{at % 2},{at % 7}")
    with pytest.raises(Refused, match=r"hôte \(2: srv0, srv1\) tells series"):
        draft(path)
    assert channels(draft(path, rows="samples")) == {"x": "gauge"}


def test_logs_of_the_same_time_are_no_machines_and_not_joined(tmp_path: Path) -> None:
    head = "#separator \\x09\n#fields\tts\tid.orig_h\tid.resp_h\t"
    for name, field in (("conn", "orig_bytes"), ("dns", "rtt")):
        rows = [f"{T_S + at * 3 + at % 5}\ta\tb\t{at % 9}" for at in range(60)]
        write(tmp_path / "z" / f"{name}.log", head + field, rows)
    found = draft(tmp_path / "z")
    assert 'host = "host-1"' in found.mapping
    assert "join" not in found.mapping


def test_quantities_written_some_time_apart_are_rounded_to_one(tmp_path: Path) -> None:
    for number, name in enumerate(("cpu", "net", "mem")):
        rows = [f"{T_S + at * 10 + number * 0.007:.3f},{at % 7}" for at in range(60)]
        write(tmp_path / "c" / "web1" / f"{name}.csv", "epoch,value", rows)
        write(tmp_path / "c" / "web2" / f"{name}.csv", "epoch,value", rows)
    assert "round_s = 10  # CHECK" in draft(tmp_path / "c").mapping


def test_file_names_that_only_look_benign_state_no_phase(tmp_path: Path) -> None:
    for start, name in enumerate(("ok", "t")):
        rows = [f"{T_S + start * 999 + at},{at % 7}" for at in range(60)]
        write(tmp_path / "t" / f"{name}.csv", "ts,x", rows)
    assert 'value = "?"' in draft(tmp_path / "t").mapping


def test_a_machine_that_comes_below_the_rows_looked_at_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "ROWS", 20)
    row = lambda at: f"{T_S + at % 30},{'ab'[at // 30]},{at % 7}"  # noqa: E731
    path = table(tmp_path / "a.csv", "ts,probe,x", row)
    with pytest.raises(Refused, match="probe is a in the rows looked at, and one of 2 texts"):
        draft(path)
    assert 'column = "probe"' in draft(path, host="probe").mapping
    assert "state" not in draft(table(tmp_path / "b.csv", "ts,state,x", row)).schema


def test_folders_of_days_are_no_machines(tmp_path: Path) -> None:
    for day in range(2):
        for host in ("web1", "db1"):
            row = lambda at, day=day: f"{T_S + day * 86_400 + at},{at % 7},{at * 9}"  # noqa: E731
            table(tmp_path / "t" / f"2026-11-0{day + 1}" / f"{host}.csv", "ts,cpu,rx_bytes", row)
    found = draft(tmp_path / "t")
    assert f"host = {{ path = {quoted(paths.FILE)} }}" in found.mapping


def test_a_long_silence_ends_a_recording(tmp_path: Path) -> None:
    row = lambda at: f"{T_S + at * 5 + (86_400 if at > 30 else 0)},{at % 7}"  # noqa: E731
    assert "gap_s = 50 " in draft(table(tmp_path / "a.csv", "ts,x", row)).mapping
    alerts = lambda at: f"{T_S + at * at * 60},{at % 3},w"  # noqa: E731
    found = draft(table(tmp_path / "c.csv", "ts,src,signature", alerts), rows="events")
    assert "gap_s" not in found.mapping
    short = lambda at: f"{T_S + at * 5 + (90 if at > 30 else 0)},{at % 7}"  # noqa: E731
    assert "gap_s" not in draft(table(tmp_path / "b.csv", "ts,x", short)).mapping


def test_two_columns_that_may_name_machines_are_asked_about(tmp_path: Path) -> None:
    def row(at: int) -> str:
        return f"{T_S + at // 4 * 5},{'ab'[at % 2]},{'xy'[at // 2 % 2]},{at % 7}"

    path = table(tmp_path / "a.csv", "ts,device,sensor,x", row)
    with pytest.raises(Refused, match="may both name machines"):
        draft(path)
    path = table(
        tmp_path / "b.csv", "ts,sensor,reading", lambda at: f"{T_S + at // 2},{'pq'[at % 2]},{at}.5"
    )
    with pytest.raises(Refused, match="stands beside one value"):
        draft(path)
    assert list(channels(draft(path, quantity="sensor"))) == ["p", "q"]


def test_machines_in_the_names_of_quantities_are_refused(tmp_path: Path) -> None:
    head = "ts,web1_cpu,web1_rx,web2_cpu,web2_rx"
    path = table(
        tmp_path / "a.csv", head, lambda at: f"{T_S + at},{at % 7},{at % 5},{at % 3},{at % 2}"
    )
    with pytest.raises(Refused, match="have the names of machines in them"):
        draft(path)
    assert len(channels(draft(path, rows="samples"))) == 4


def test_machines_with_numbers_that_follow_each_other_are_asked_about(tmp_path: Path) -> None:
    row = lambda at: f"{T_S + at},r{at // 30},{at % 7}"  # noqa: E731
    with pytest.raises(Refused, match="--host robot"):
        draft(table(tmp_path / "a.csv", "ts,robot,x", row))
    assert channels(draft(table(tmp_path / "b.csv", "ts,stage,x", row))) == {"x": "gauge"}


@pytest.mark.parametrize(
    ("head", "words"), [("turbine", ("Anna", "Berta")), ("meter", (701, 7002))]
)
def test_machines_that_follow_each_other_are_asked_about(
    head: str, words: tuple[object, object], tmp_path: Path
) -> None:
    row = lambda at: f"{T_S + at},{words[at // 30]},{at % 7}"  # noqa: E731
    path = table(tmp_path / "a.csv", f"ts,{head},x", row)
    with pytest.raises(Refused, match=f"--host {head}"):
        draft(path)
    assert f'column = "{head}"' in draft(path, host=head).mapping
    for name in ("weekday", "mode"):
        assert "x" in channels(draft(table(tmp_path / f"{name}.csv", f"ts,{name},x", row)))


def test_words_that_cross_the_quantities_may_be_machines(tmp_path: Path) -> None:
    head = "ts,Anna_rpm,Anna_mw,Berta_rpm,Berta_mw"
    row = lambda at: f"{T_S + at},{at % 7},{at % 5},{at % 3},{at % 2}"  # noqa: E731
    found = draft(table(tmp_path / "a.csv", head, row))
    assert 'host = "?"' in found.mapping
    assert any("are Anna, Berta in the names" in one for one in found.questions)
