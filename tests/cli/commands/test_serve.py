"""`serve`, `live`, `alerts` and `events`: refusals, exported incidents, published schemas."""

import json
import socket
from pathlib import Path

import pytest
from tests.cli.invoke import Run, refused

from phasewatch.experiment.pipeline import RunResult
from phasewatch.store.local import Store


def test_incidents_are_exported_as_json_lines_and_as_stix(
    run: Run, toy_run: RunResult, toy_out: Path, toy_store: Store
) -> None:
    episode = next(id for id in toy_run.predictions.folds[0].split.test if "dig" in id)
    alerts = ("alerts", "--run", toy_out, "--store", toy_store.root, "--episode", episode)
    with_point = "gbt.oracle"
    counts = []
    for rate in ("0.02", "6"):
        code, out, _ = run(*alerts, "--model", with_point, "--rate", rate)
        assert code == 0
        assert all(json.loads(line)["machine"] == episode for line in out.splitlines())
        counts.append(len(out.splitlines()))
    assert counts[1] >= 1
    assert "rate 0.3: has no rule" in refused(run(*alerts, "--rate", "0.3"))
    code, out, _ = run(*alerts, "--model", with_point, "--stix")
    bundle = json.loads(out)
    assert code == 0 and "incident" in {one["type"] for one in bundle["objects"]}
    assert "not in the ensemble" in refused(run(*alerts, "--model", "oracle.delphi"))
    line = refused(run(*alerts[:-1], "nobody", "--model", with_point))
    assert "--episode nobody: is not in the store; expected an id such as" in line


def test_serving_a_missing_run_is_refused(run: Run, tmp_path: Path, toy_store: Store) -> None:
    assert "is no folder" in refused(run("serve", "--run", tmp_path / "none"))
    assert "store.json" in refused(run("serve", "--store", tmp_path))
    result = run("serve", "--store", toy_store.root, "--episode", "nobody")
    assert "nobody" in refused(result)
    assert "203.0.113.9" in refused(run("serve", "--bind", "203.0.113.9"))


def test_events_writes_the_contract(run: Run, tmp_path: Path) -> None:
    assert run("events", "--out", tmp_path)[0] == 0
    assert json.loads((tmp_path / "window.v1.json").read_bytes())["title"] == "Window"


@pytest.mark.parametrize("words", [("serve",), ("live", "--profile", "benign")], ids=str)
def test_invalid_serve_options_are_refused_before_anything_is_loaded_or_recorded(
    run: Run, toy_store: Store, tmp_path: Path, words: tuple[str, ...]
) -> None:
    options = (*words, "--store", toy_store.root)
    assert "is no folder" in refused(run(*options, "--run", tmp_path / "nowhere"))
    (tmp_path / "run.json").write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "in use" in refused(run(*options, "--run", tmp_path, "--port", port))


def test_a_fleet_without_episodes_or_too_large_is_refused(run: Run, toy_store: Store) -> None:
    assert "has nothing to play" in refused(run("serve", "--fleet", "5"))
    assert "has nothing to play" in refused(run("serve", "--fleet", "5", "--store", toy_store.root))
    assert "at most 200" in refused(run("serve", "--fleet", "201"))
