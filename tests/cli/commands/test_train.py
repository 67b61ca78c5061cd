"""`train` and `run`: names are checked first, outputs stay out of stores, results are printed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests import toy
from tests.cli.invoke import HOSTS, Run, refused

from phasewatch import schema
from phasewatch.experiment.pipeline import RunResult
from phasewatch.grids.cache import GridCache
from phasewatch.io import atomic
from phasewatch.schema import NS
from phasewatch.splits import SPLITTERS
from phasewatch.store.local import Store
from phasewatch.training.recipes import RECIPES


@pytest.mark.parametrize("command", ["train", "run"])
def test_help_lists_every_split_and_recipe(run: Run, command: str) -> None:
    text = run(command, "--help")[1]
    assert all(name in text for name in (*SPLITTERS, *RECIPES))


def test_run_writes_a_page_and_prints_scores(
    run: Run, toy_store: Store, tmp_path: Path, toy_run: RunResult
) -> None:
    words = ("--store", toy_store.root, "--out", tmp_path, *HOSTS, "--jobs", "1", "--json")
    code, out, _ = run("run", *words)
    found = json.loads(out)
    assert code == 0
    assert found["rows"][0]["unseen"]["value"] == toy_run.report.rows[0].unseen.value
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<figure>") >= len(toy.PROFILES)


def test_train_ends_with_a_table_and_claims_its_folder(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    words = ("--store", toy_store.root, "--out", tmp_path, *HOSTS, "--recipe", "baselines")
    code, out, _ = run("train", *words)
    assert code == 0
    assert len(list((tmp_path / "checkpoints").glob("*.ckpt.json"))) == 4
    assert "logistic" in out and "pairs" in out
    line = refused(run("train", *words, "--seed", "1"))
    assert "run.json" in line and "recipe.seed is 0 there and 1 here" in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--test", "nobody", "--validation", "gamma"), "one of alpha, beta"),
        (("--test", "delta", "--validation", "delta"), "two different hosts"),
        (("--validation", "gamma"), "--test: names no host; expected one of alpha, beta"),
        (("--split", "random"), "one of held_out_host, leave_one_host_out, held_out"),
        (("--split", "held_out_sample", "--test", "x"), "'x' is no number"),
        (("--split", "held_out_time", "--test", "x"), "neither --test nor --validation"),
        (("--recipe", "each"), "one of all, quick, baselines"),
        (("--models", "gbt,tree"), "model 'tree': is unknown; expected one of cnn, combination"),
        (("--split", "k_fold_sample", "--test", "1"), "neither --test nor --validation"),
        ((*("--test", "delta", "--validation", "gamma"), "--opening", "15"), "of benign at its"),
    ],
)
def test_run_refuses_what_it_cannot_split_by_name(
    run: Run, toy_store: Store, tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    result = run("run", "--store", toy_store.root, *words, "--out", tmp_path / "o")
    assert expected in refused(result)


def test_inner_folds_and_balance_are_those_of_the_recipe_unless_given(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    words = ("--store", toy_store.root, "--models", "majority", *HOSTS, "--recipe", "results")
    asked = {"plain": (), "told": ("--inner-folds", "0", "--balance", "0.5")}
    stored = {}
    for name, options in asked.items():
        assert run("train", *words, *options, "--out", tmp_path / name)[0] == 0
        stored[name] = json.loads((tmp_path / name / "run.json").read_text())["recipe"]
    assert stored["plain"]["inner_folds"] == RECIPES["results"].inner_folds == 1
    assert stored["plain"]["balance"] is None
    assert (stored["told"]["inner_folds"], stored["told"]["balance"]) == (0, 0.5)
    assert (tmp_path / "plain" / "inner" / "majority-realistic-inner0.ckpt.json").exists()
    assert not (tmp_path / "told" / "inner").exists()


def test_names_are_checked_before_the_store_is_swept(
    run: Run, toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GridCache, "sweep", lambda *given: pytest.fail("was swept"))
    for words in (("--test", "nobody"), ("--split", "random"), (*HOSTS[:4], "--out", "/proc/o")):
        refused(run("train", "--store", toy_store.root, "--out", tmp_path / "o", *words))
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("inside", ["", "runs/first"])
@pytest.mark.parametrize("command", ["train", "run", "survey"])
def test_no_output_is_written_into_a_store(
    run: Run, toy_store: Store, command: str, inside: str
) -> None:
    before = sorted(toy_store.root.rglob("*"))
    store = (toy_store.root,) if command == "survey" else ("--store", toy_store.root, *HOSTS)
    line = refused(run(command, *store, "--out", toy_store.root / inside))
    assert "outside of every episode store" in line
    assert sorted(toy_store.root.rglob("*")) == before


@pytest.mark.parametrize("command", ["train", "run", "survey"])
def test_an_impossible_output_folder_is_refused_before_long_work(
    run: Run, toy_store: Store, tmp_path: Path, command: str
) -> None:
    (tmp_path / "file").touch()
    store = (toy_store.root,) if command == "survey" else ("--store", toy_store.root, *HOSTS)
    for place in (tmp_path / "file", tmp_path / "file" / "below", "/proc/nowhere"):
        line = refused(run(command, *store, "--out", place))
        assert line.startswith(f"phasewatch: {place}: cannot be made or written (")


def test_without_a_terminal_there_is_a_line_per_model_and_no_progress_bar(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    words = ("--store", toy_store.root, "--out", tmp_path, *HOSTS, "--recipe", "baselines")
    _, out, err = run("train", *words)
    assert err == ""
    assert sum(line.startswith("saved ") for line in out.splitlines()) == 4


def test_a_full_disk_is_reported_in_one_line(
    run: Run, toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(atomic, "write", full)
    words = ("--store", toy_store.root, "--out", tmp_path, *HOSTS, "--recipe", "baselines")
    line = refused(run("train", *words))
    assert "No space left on device" in line and ".grids" in line


def test_models_named_on_the_command_line_are_trained_on_grouped_folds(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    words = ("--models", "majority,logistic", "--split", "k_fold_sample", "--opening", "6")
    code, printed, _ = run("train", "--store", toy_store.root, "--out", tmp_path, *words)
    assert code == 0
    assert "3 folds of samples in turn" in printed
    found = json.loads((tmp_path / "report.json").read_text())
    assert {row["model"] for row in found["rows"]} == {"majority", "logistic"}
    assert [fold["held_out"] for fold in found["folds"]] == [f"fold {n} of 3" for n in (1, 2, 3)]
    assert len(list(tmp_path.glob("folds/fold 2 of 3/checkpoints/*.ckpt.json"))) == 4


def test_ambiguous_acts_are_scored_apart_from_store_to_report(run: Run, tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s", schema.vm46())
    for host in toy.HOSTS:
        for profile in toy.PROFILES:
            for seed in range(2):
                one = toy.episode(host, profile, seed)
                act = [one.start_ns + 28 * NS, one.start_ns + 38 * NS]
                store.publish(replace(one, notes={"ambiguous": [act]}))
    words = ("--store", store.root, "--out", tmp_path / "o", *HOSTS, "--recipe", "baselines")
    code, printed, _ = run("run", *words)
    assert code == 0
    assert "ambiguous: 48 windows left out of training, and scored apart" in printed
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert report["windows"]["unseen"] == 6 * 5
    assert [row["windows"] for row in report["ambiguous"]] == [12] * 4
    for text in (printed, run("score", tmp_path / "o" / "posteriors.parquet")[1]):
        apart = text.split("ambiguous windows, in no score")[1].split("held out, pair")[0]
        assert "majority" in apart and max(map(len, apart.splitlines())) <= 80
    for name in ("report.html", "report.md"):
        page = (tmp_path / "o" / name).read_text(encoding="utf-8")
        assert "12 held-out windows in 6 episodes end in acts" in page
        assert "What is scored apart?" in page
    code, _, _ = run("windows", store.root, "--out", tmp_path / "w")
    assert code == 0
    table = pq.read_table(tmp_path / "w" / "windows.parquet")
    arrays = np.load(tmp_path / "w" / "windows.npz")
    assert sum(table["ambiguous"].to_pylist()) == arrays["ambiguous"].sum() == 48


def test_baseline_recordings_are_said_and_scored_without(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    words = ("--store", toy_store.root, "--out", tmp_path, *HOSTS, "--models", "logistic")
    line = refused(run("train", *words, "--baseline", "calm"))
    assert "--baseline: 'calm' names no recordings" in line
    assert not (tmp_path / "run.json").exists()
    code, out, _ = run("train", *words, "--baseline", "id=*.calm.s0", "--baseline", "earlier")
    assert code == 0
    assert "baseline 4 recordings of 4 hosts: in no part of the split" in out
    assert "baseline 8 benign episodes, for later ones" in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["levels"]["selection"] == "id=*.calm.s0,earlier"
    assert "baseline" in report["rows"][0]["ablations"]
    assert "without one input" in (shown := run("score", tmp_path / "posteriors.parquet")[1])
    assert "baseline" in shown


def test_simulated_episodes_are_taken_by_name_and_every_command_says_so(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    root = tmp_path / "store"
    store = Store.create(root, toy_store.schema, {"seed": 1})
    for id in toy_store.ids():
        store.publish(toy_store.read(id))
    out = tmp_path / "run"
    words = (
        "run",
        "--store",
        root,
        "--out",
        out,
        *HOSTS,
        "--models",
        "mlp,majority",
        "--jobs",
        "1",
    )
    assert "--simulated" in refused(run(*words))
    code, printed, _ = run(*words, "--simulated")
    assert code == 0 and "simulated episodes · macro F1" in printed
    assert "simulated episodes · macro F1" in run("score", out / "posteriors.parquet")[1]
    assert "simulated episodes · macro F1" in run("evaluate", out)[1]
    assert "every episode is simulated" in run("few-labels", out, "--labels", "2")[1]
    model = out / "checkpoints" / "mlp-realistic.ckpt.json"
    assert "simulated episodes" in run("inspect", model)[1]
    note = "trained on simulated episodes"
    assert note in run("predict", model, "--store", toy_store.root)[1]
    printed = run("predict", model, "--store", toy_store.root, "--json")[1]
    assert json.loads(printed)["trained_on_simulated"] is True
    assert note in run("export", model, "--store", root, "--out", tmp_path / "b")[1]
    bundle = tmp_path / "b" / "mlp-realistic.bundle"
    assert "Trained on simulated episodes" in (bundle / "README.md").read_text(encoding="utf-8")
    assert "simulated episodes" in run("inspect", bundle)[1]
    assert note in run("watch", bundle)[2]
    assert "holds recorded episodes" in refused(
        run("run", "--store", toy_store.root, *words[3:], "--simulated")
    )
