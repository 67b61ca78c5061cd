"""`predict` and `inspect`: predictions of a checkpoint, and the stores that it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests import toy
from tests.cli.invoke import Run, refused
from tests.test_frozen import CHECKPOINTS

from phasewatch.artifacts import checkpoint
from phasewatch.experiment.pipeline import RunResult
from phasewatch.store.format import MANIFEST
from phasewatch.store.local import Store


def test_predict_and_inspect(run: Run, toy_store: Store, toy_out: Path, toy_run: RunResult) -> None:
    path = toy_out / "checkpoints" / "gbt-realistic.ckpt.json"
    words = ("--store", toy_store.root, "--episode", "delta.dig.s1", "--json")
    code, out, _ = run("predict", path, *words)
    found = json.loads(out)
    rows: list[dict[str, Any]] = found["windows"]
    assert code == 0 and found["simulated"] is False
    assert [row["end_s"] for row in rows] == [10, 15, 20, 25, 30, 35, 40]
    predictions = next(
        one
        for one in toy_run.predictions.predictions
        if (one.subset, one.model) == ("unseen", "gbt")
    )
    rows_of_episode = predictions.windows.episode == "delta.dig.s1"
    assert [row["predicted"] for row in rows] == [
        toy_store.schema.classes[label] for label in predictions.predicted[rows_of_episode]
    ]
    code, out, _ = run("inspect", path, "--json")
    assert json.loads(out)["split"]["held_out"] == "delta"
    assert "xgboost" in run("inspect", path)[1]


@pytest.mark.parametrize("name", ["data", "recipe", "split"])
def test_inspect_refuses_a_header_without_a_part(run: Run, name: str, tmp_path: Path) -> None:
    header = checkpoint.load_header(CHECKPOINTS[0]).model_copy(update={name: {}})
    path = tmp_path / "x.ckpt.json"
    path.write_bytes(header.sealed())
    assert "the contract of a model" in refused(run("inspect", path))


def test_inspect_prints_no_control_character_or_markup(run: Run, tmp_path: Path) -> None:
    model = "[/red]\x1b[2J:bug:"
    header = checkpoint.load_header(CHECKPOINTS[0])
    path = tmp_path / "x.ckpt.json"
    path.write_bytes(header.model_copy(update={"model": model}).sealed())
    code, out, _ = run("inspect", path)
    assert code == 0 and "\x1b" not in out and r"[/red]\x1b[2J:bug:" in out


def test_predict_prints_uncut_ids_and_phases(
    run: Run, toy_store: Store, toy_out: Path, toy_run: RunResult
) -> None:
    path = toy_out / "checkpoints" / "gbt-realistic.ckpt.json"
    _, out, _ = run("predict", path, "--store", toy_store.root)
    assert max(map(len, out.splitlines())) <= 80 and "…" not in out
    assert set(toy_store.ids()) <= set(out.splitlines())


def test_predict_says_that_a_store_is_simulated(
    run: Run, toy_store: Store, toy_out: Path, toy_run: RunResult, tmp_path: Path
) -> None:
    store = Store.create(tmp_path / "s", toy_store.schema, {"seed": 1})
    store.publish(toy.episode())
    words = (toy_out / "checkpoints" / "gbt-realistic.ckpt.json", "--store", store.root)
    assert "simulated" in run("predict", *words)[1].splitlines()[-1]
    assert json.loads(run("predict", *words, "--json")[1])["simulated"] is True


def test_predict_names_the_nearest_episodes(
    run: Run, toy_store: Store, toy_out: Path, toy_run: RunResult
) -> None:
    path = toy_out / "checkpoints" / "gbt-realistic.ckpt.json"
    line = refused(run("predict", path, "--store", toy_store.root, "--episode", "alpha.dig.s9"))
    assert "The nearest are alpha.dig.s" in line


def test_predict_refuses_a_store_with_another_schema(
    run: Run, toy_store: Store, toy_out: Path, toy_run: RunResult, tmp_path: Path
) -> None:
    value = json.loads((toy_store.root / "store.json").read_text())
    value["schema"]["channels"][0][1] = "s"
    (tmp_path / "store.json").write_text(json.dumps(value))
    path = toy_out / "checkpoints" / "gbt-realistic.ckpt.json"
    line = refused(run("predict", path, "--store", tmp_path))
    assert "channel proc.vcpu_run: unit 'ns' is now 's'" in line


def test_predict_refuses_a_damaged_episode(
    run: Run, toy_out: Path, toy_run: RunResult, tmp_path: Path
) -> None:
    store = toy.store(tmp_path / "s", seeds=1)
    path = store.folder("alpha.dig.s0") / MANIFEST
    path.write_text(path.read_text().replace('"alpha"', '"omega"'))
    checkpoint = toy_out / "checkpoints" / "gbt-realistic.ckpt.json"
    words = ("--store", store.root, "--episode", "alpha.dig.s0")
    assert "changed after it was written" in refused(run("predict", checkpoint, *words))


def test_predict_refuses_an_empty_episode_id(
    run: Run, toy_store: Store, toy_out: Path, toy_run: RunResult
) -> None:
    """An unset variable of a shell is one."""
    path = toy_out / "checkpoints" / "gbt-realistic.ckpt.json"
    line = refused(run("predict", path, "--store", toy_store.root, "--episode", ""))
    assert "has no episode ''; expected an episode of it" in line


def test_labelled_episodes_adapt_later_ones_of_their_machine(
    run: Run, toy_store: Store, toy_out: Path, toy_run: RunResult
) -> None:
    path = toy_out / "checkpoints" / "gbt-realistic.ckpt.json"
    words = ("--store", toy_store.root, "--json", "--labelled", "delta.dig.s0")
    code, out, _ = run("predict", path, *words)
    rows = json.loads(out)["windows"]
    assert code == 0
    assert {row["episode"] for row in rows} == {
        f"delta.{profile}.s{seed}" for profile in toy.PROFILES for seed in (1, 2)
    }
    own = [row for row in rows if row["episode"] == "delta.dig.s1"]
    code, out, _ = run("predict", path, *words, "--episode", "delta.dig.s1")
    assert json.loads(out)["windows"] == own
    plain = json.loads(run("predict", path, *words[:3], "--episode", "delta.dig.s1")[1])["windows"]
    assert [row["probability"] for row in own] != [row["probability"] for row in plain]
    assert "of one machine" in refused(run("predict", path, *words, "--labelled", "beta.dig.s0"))


def test_baseline_recordings_are_not_predicted(
    run: Run, toy_store: Store, toy_out: Path, toy_run: RunResult
) -> None:
    path = toy_out / "checkpoints" / "gbt-realistic.ckpt.json"
    words = ("--store", toy_store.root, "--json")
    taught = (*words, "--baseline", "id=*.calm.s0", "--baseline", "earlier")
    code, out, _ = run("predict", path, *taught)
    ids = {row["episode"] for row in json.loads(out)["windows"]}
    assert code == 0 and ids == {id for id in toy_store.ids() if not id.endswith(".calm.s0")}
    rows = [json.loads(run("predict", path, *way)[1])["windows"] for way in (words, taught)]
    plain, own = ([one for one in each if one["episode"] == "delta.dig.s1"] for each in rows)
    assert [one["probability"] for one in own] != [one["probability"] for one in plain]
    refusal = refused(run("predict", path, *taught, "--episode", "delta.calm.s0"))
    assert "is declared baseline" in refusal
    assert "names no recordings" in refused(run("predict", path, *words, "--baseline", "calm"))
