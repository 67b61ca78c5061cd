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
