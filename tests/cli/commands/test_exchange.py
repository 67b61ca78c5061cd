"""`windows` and `schema suggest`: what is left out, and where nothing is written."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from tests import toy

from phasewatch.cli import console
from phasewatch.cli.commands import exchange
from phasewatch.errors import Refused
from phasewatch.store.format import MANIFEST, SAMPLES
from phasewatch.store.local import Store


def test_omitted_episodes_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = toy.store(tmp_path / "store", seeds=1)
    first, second, *_ = store.ids()
    damaged = store.folder(first) / SAMPLES
    damaged.write_bytes(damaged.read_bytes() + b"x")
    exchange.windows(store.root, tmp_path / "one")
    assert "left out: 1 rejected, 0 that could not be read" in capsys.readouterr().out
    newer = store.folder(second) / MANIFEST
    newer.write_text(json.dumps({**json.loads(newer.read_text()), "format": 2}))
    with pytest.raises(typer.Exit) as ended:
        exchange.windows(store.root, tmp_path / "two", as_json=True)
    assert ended.value.exit_code == console.SOME_ERRORED
    assert json.loads(capsys.readouterr().out)["left_out"] == {"rejected": 1, "errored": 1}
    assert pq.read_table(tmp_path / "two" / "windows.parquet").num_rows


def test_a_remote_target_is_refused(
    toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (exchange.windows, exchange.suggest):
        with pytest.raises(Refused, match="is a URL"):
            command(toy_store.root, Path("s3://bucket/x"))
    assert list(tmp_path.iterdir()) == []


ZEEK = (
    "#separator \\x09\n#fields\tts\tid.orig_h\tid.resp_h\tduration\torig_bytes\tresp_bytes\n"
    + "".join(f"{1_790_000_000 + at * 7}\ta\tb\t1.5\t100\t9000\n" for at in range(60))
)


def test_a_preset_imports_without_toml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "conn.log"
    log.write_text(ZEEK)
    exchange.import_(log, tmp_path / "store", preset="zeek-conn", phase="benign")
    shown = capsys.readouterr()
    assert "60 rows read, 0 dropped; 1 episode" in shown.out
    assert "no file has zeek.orig_pkts, zeek.resp_pkts: left out" in shown.err
    (id,) = Store.open(tmp_path / "store").ids()
    assert id.startswith("network-recorded-conn")


def test_import_needs_both_files_or_a_preset(tmp_path: Path) -> None:
    log = tmp_path / "conn.log"
    log.write_text(ZEEK)
    both = {"mapping": log, "schema": log}
    for options in ({}, {"mapping": log}, {"phase": "benign"}, {"preset": "sadf", **both}):
        with pytest.raises(Refused, match="--schema and --mapping together, or --preset alone"):
            exchange.import_(log, tmp_path / "store", **options)
    assert not (tmp_path / "store").exists()


def test_questions_and_the_fitting_preset_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "conn.log"
    log.write_text(ZEEK)
    exchange.suggest(log, tmp_path / "mine")
    shown = capsys.readouterr().out
    assert f"phasewatch import {log} --preset zeek-conn" in shown
    assert "QUESTION [phase]: no column" in shown
    assert 'Answer the questions (each is a "?" in the drafts)' in shown


def test_the_files_of_a_preset_are_written(tmp_path: Path) -> None:
    exchange.suggest(tmp_path, tmp_path / "mine", preset="falco")
    assert 'name = "falco"' in (tmp_path / "mine" / "schema.toml").read_text()


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    exchange.presets_()
    assert "zeek-conn           connections as Zeek" in capsys.readouterr().out
