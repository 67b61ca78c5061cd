"""Drafts that run as they are, and say what a person must know to correct them."""

from pathlib import Path

import numpy as np
import pytest

from phasewatch import schema
from phasewatch.adapters import importer, mapping
from phasewatch.adapters.suggest import suggest
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
