"""The command as a user meets it: exit codes, one line for bad input, JSON that parses."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from tests import toy
from tests.io.test_trust import keys
from tests.paths import ROOT
from tests.test_frozen import BUNDLES, CHECKPOINTS

from phasewatch import __version__, schema
from phasewatch.cli import console, main
from phasewatch.experiment import pipeline
from phasewatch.experiment.pipeline import RunResult
from phasewatch.io import atomic
from phasewatch.splits import SPLITTERS
from phasewatch.store.format import MANIFEST, SAMPLES
from phasewatch.store.local import Store
from phasewatch.training.recipes import RECIPES
from phasewatch.validation import sweep

__all__ = ["keys"]

Run = Callable[..., tuple[int, str, str]]
HOSTS = ("--test", "delta", "--validation", "gamma", "--opening", "6")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call `phasewatch` with some words; exit code, standard output, standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["phasewatch", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        printed = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else int(bool(code))), printed.out, printed.err

    return call


def refused(result: tuple[int, str, str]) -> str:
    """The one line of a refusal."""
    code, _, err = result
    lines = [line for line in err.splitlines() if line.startswith("phasewatch: ")]
    assert code == console.REFUSED
    assert "Traceback" not in err
    assert len(lines) == 1
    return lines[0]


def test_version_is_the_changelogs(run: Run) -> None:
    assert run("--version")[1].strip() == f"phasewatch {__version__}"
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog.split("## [")[1].startswith(f"{__version__}]")


def test_help_needs_no_heavy_library() -> None:
    code = (
        "import sys; from phasewatch.cli import main; "
        "heavy = {'numpy', 'pyarrow', 'xgboost', 'sklearn', 'matplotlib'}; "
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("command", ["train", "run"])
def test_help_lists_every_split_and_recipe(run: Run, command: str) -> None:
    text = run(command, "--help")[1]
    assert all(name in text for name in (*SPLITTERS, *RECIPES))


def test_validate_tells_verdicts_by_exit_code(run: Run, tmp_path: Path) -> None:
    store = toy.store(tmp_path / "s", seeds=1)
    index = tmp_path / "index.parquet"
    code, out, _ = run("validate", store.root, "--index", index)
    assert code == 0 and index.exists()
    assert "12 accepted · 0 degraded · 0 rejected · 0 errored" in out
    path = store.folder(store.ids()[0]) / SAMPLES
    path.write_bytes(path.read_bytes() + b"x")
    code, out, _ = run("validate", store.root, "--index", index)
    assert code == console.SOME_REJECTED
    assert "[sha_mismatch]" in out
    code, out, _ = run("validate", store.root, "--index", index, "--json")
    assert json.loads(out)["counts"]["rejected"] == 1
    code, out, _ = run("validate", store.root, "--index", index, "--summary")
    assert "A file is not the one that its manifest lists" in out
    assert max(map(len, out.splitlines()[:-1])) <= 80
    manifest = path.with_name(MANIFEST)
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 2}))
    assert run("validate", store.root, "--index", index)[0] == console.SOME_ERRORED


def test_an_interrupt_has_an_exit_code_of_its_own(
    run: Run, toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "validate_store", interrupted)
    code, _, printed = run("validate", toy_store.root, "--index", tmp_path / "index.parquet")
    assert code == console.CANCELLED
    assert "cancelled" in printed


def test_validate_explains_one_episode(run: Run, toy_store: Store, tmp_path: Path) -> None:
    id = toy_store.ids()[0]
    words = ("validate", toy_store.root, "--explain", id, "--html", tmp_path / "explanation.html")
    code, out, _ = run(*words)
    assert code == 0 and out.startswith(f"{id}: accepted")
    assert "<svg" in (tmp_path / "explanation.html").read_text(encoding="utf-8")
    assert "not in the store" in refused(run("validate", toy_store.root, "--explain", "nobody"))


def test_an_empty_store_is_not_all_accepted(run: Run, tmp_path: Path) -> None:
    empty = Store.create(tmp_path, schema.vm46())
    assert "holds no episode" in refused(run("validate", empty.root))


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
        ((*("--test", "delta", "--validation", "gamma"), "--opening", "15"), "of benign at its"),
    ],
)
def test_run_refuses_what_it_cannot_split_by_name(
    run: Run, toy_store: Store, tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    result = run("run", "--store", toy_store.root, *words, "--out", tmp_path / "o")
    assert expected in refused(result)


def test_names_are_checked_before_the_store_is_swept(
    run: Run, toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "validate_and_read", lambda store: pytest.fail("was swept"))
    for words in (("--test", "nobody"), ("--split", "random"), (*HOSTS[:4], "--out", "/proc/o")):
        refused(run("train", "--store", toy_store.root, "--out", tmp_path / "o", *words))
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("inside", ["", "runs/first"])
@pytest.mark.parametrize("command", ["train", "run", "survey"])
def test_nothing_but_episodes_goes_into_a_store(
    run: Run, toy_store: Store, command: str, inside: str
) -> None:
    before = sorted(toy_store.root.rglob("*"))
    store = (toy_store.root,) if command == "survey" else ("--store", toy_store.root, *HOSTS)
    line = refused(run(command, *store, "--out", toy_store.root / inside))
    assert "outside of every episode store" in line
    assert sorted(toy_store.root.rglob("*")) == before


@pytest.mark.parametrize("inside", ["store.json", "index", "a/b", "episodes/x.png"])
@pytest.mark.parametrize(
    "words", [("--index",), ("--explain", "ID", "--html"), ("compare", "--out")]
)
def test_no_file_that_is_made_goes_into_a_store(
    run: Run, toy_store: Store, words: tuple[str, ...], inside: str
) -> None:
    root, id = toy_store.root, toy_store.ids()[0]
    before = {path: path.is_file() and path.read_bytes() for path in root.rglob("*")}
    more = [id if word == "ID" else word for word in words if word != "compare"]
    stores = ("compare", root, root) if "compare" in words else ("validate", root)
    line = refused(run(*stores, *more, root / inside))
    assert "outside of every episode store" in line
    assert {path: path.is_file() and path.read_bytes() for path in root.rglob("*")} == before


def test_what_is_no_index_is_not_replaced_by_one(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    own = tmp_path / "thesis.tex"
    own.write_text("years of work")
    for place in (own, tmp_path):
        assert "would be lost" in refused(run("validate", toy_store.root, "--index", place))
    assert own.read_text() == "years of work"
    own.write_bytes(b"")
    for _ in range(2):
        assert run("validate", toy_store.root, "--index", own)[0] == 0


@pytest.mark.parametrize("command", ["train", "run", "survey"])
def test_a_folder_that_cannot_be_is_named_before_long_work(
    run: Run, toy_store: Store, tmp_path: Path, command: str
) -> None:
    (tmp_path / "file").touch()
    store = (toy_store.root,) if command == "survey" else ("--store", toy_store.root, *HOSTS)
    for place in (tmp_path / "file", tmp_path / "file" / "below", "/proc/nowhere"):
        line = refused(run(command, *store, "--out", place))
        assert line.startswith(f"phasewatch: {place}: cannot be made or written (")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("train", "--store", "s", "--out", "o", "--seed", "-3"), "--seed: Input should be"),
        (("train", "--store", "s", "--out", "o", "--seed", "x"), "--seed: "),
        (("train", "--out", "o"), "'--store'"),
        (("train", "--colour"), "No such option: --colour"),
        (("paint",), "No such command 'paint'"),
        (("validate",), "Missing argument"),
    ],
)
def test_a_usage_error_is_one_line(run: Run, words: tuple[str, ...], expected: str) -> None:
    result = run(*words)
    assert expected in refused(result) and "--help` lists" in result[2]
    assert len(result[2].splitlines()) == 1


def test_no_arguments_print_help(run: Run) -> None:
    code, out, _ = run()
    assert code == 0 and "validate" in out


def test_without_a_terminal_there_is_a_line_a_model_and_no_bar(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    words = ("--store", toy_store.root, "--out", tmp_path, *HOSTS, "--recipe", "baselines")
    _, out, err = run("train", *words)
    assert err == ""
    assert sum(line.startswith("saved ") for line in out.splitlines()) == 4


def test_a_full_disk_is_one_line(
    run: Run, toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(atomic, "write", full)
    words = ("--store", toy_store.root, "--out", tmp_path, *HOSTS, "--recipe", "baselines")
    line = refused(run("train", *words))
    assert "No space left on device" in line and "run.json" in line


def test_score_gives_the_report_again(run: Run, toy_run: RunResult, toy_out: Path) -> None:
    code, out, _ = run("score", toy_out / "posteriors.parquet", "--json")
    assert code == 0
    assert json.loads(out) == json.loads((toy_out / "report.json").read_text())
    code, out, _ = run("score", toy_out / "posteriors.parquet")
    assert f"{toy_run.report.rows[0].unseen.value:.3f}" in out
    assert "parquet" in refused(run("score", toy_out / "report.json"))


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
    own = predictions.windows.episode == "delta.dig.s1"
    assert [row["predicted"] for row in rows] == [
        toy_store.schema.classes[label] for label in predictions.predicted[own]
    ]
    code, out, _ = run("inspect", path, "--json")
    assert json.loads(out)["split"]["held_out"] == "delta"
    assert "xgboost" in run("inspect", path)[1]


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
    made = Store.create(tmp_path / "s", toy_store.schema, {"seed": 1})
    made.publish(toy.episode())
    words = (toy_out / "checkpoints" / "gbt-realistic.ckpt.json", "--store", made.root)
    assert "simulated" in run("predict", *words)[1].splitlines()[-1]
    assert json.loads(run("predict", *words, "--json")[1])["simulated"] is True


def test_predict_names_the_nearest_episodes(
    run: Run, toy_store: Store, toy_out: Path, toy_run: RunResult
) -> None:
    path = toy_out / "checkpoints" / "gbt-realistic.ckpt.json"
    line = refused(run("predict", path, "--store", toy_store.root, "--episode", "alpha.dig.s9"))
    assert "The nearest are alpha.dig.s" in line


def test_predict_refuses_a_store_of_another_meaning(
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


@pytest.mark.parametrize(
    "words",
    [
        ("validate", "/nowhere"),
        ("predict", "/nowhere.ckpt.json", "--store", "/nowhere"),
        ("inspect", "/nowhere.ckpt.json"),
        ("record", "--out", "/nowhere"),
    ],
)
def test_what_is_not_there_is_one_line(run: Run, words: tuple[str, ...]) -> None:
    assert "; expected " in refused(run(*words))


def test_a_place_that_cannot_be_written_is_one_line(run: Run, toy_store: Store) -> None:
    result = run("validate", toy_store.root, "--index", "/proc/nowhere/index.parquet")
    assert refused(result).startswith("phasewatch: /proc/nowhere: ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--plan", "plans/corpus.toml", "--host", "pc-small", "--seed", "1"), "--host, --seed: "),
        (("--plan", "absent.toml"), "absent.toml: No such file"),
        (("--profile", "benign", "--host", "pc-small", "--jobs", "2"), "--jobs: applies to a plan"),
        (("--profile", "benign", "--host", "pc-small", "--fault", "nope"), "fault nope"),
        (("--profile", "benign", "--host", "nope"), "or add it to "),
        (("--profile", "scan-and-dial", "--host", "pc-small", "--seconds", "40"), "too short"),
    ],
)
def test_what_cannot_be_recorded_leaves_no_store(
    run: Run, tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    assert expected in refused(run("record", "--out", tmp_path / "s", *words))
    assert not (tmp_path / "s").exists()


def test_another_simulation_is_refused_by_field(run: Run, tmp_path: Path) -> None:
    words = ("simulate", "--episodes", 1, "--jobs", 1, "--out", tmp_path / "s")
    assert run(*words, "--seed", 1)[0] == 0
    line = refused(run(*words, "--seed", 2, "--faults", 0.5))
    assert "faults is 0.1 there and 0.5 here; seed is 1 there and 2 here" in line


def test_lab_lists_hosts_and_profiles(run: Run) -> None:
    code, out, _ = run("lab", "--json")
    found = json.loads(out)
    assert code == 0
    assert {"arm-store", "pc-small"} <= {host["name"] for host in found["hosts"]}
    assert "scan-and-dial" in {load["name"] for load in found["profiles"]}
    assert "pc-small" in run("lab")[1]


def test_incidents_leave_as_json_lines_and_as_stix(
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
    assert code == 0 and json.loads(out)["type"] == "bundle"
    assert "not in the ensemble" in refused(run(*alerts, "--model", "oracle.delphi"))
    line = refused(run(*alerts[:-1], "nobody", "--model", with_point))
    assert "--episode nobody: is not in the store; expected an id such as" in line


def test_serving_what_is_not_there_is_refused(run: Run, tmp_path: Path, toy_store: Store) -> None:
    assert "is no folder" in refused(run("serve", "--run", tmp_path / "none"))
    assert "store.json" in refused(run("serve", "--store", tmp_path))
    result = run("serve", "--store", toy_store.root, "--episode", "nobody")
    assert "nobody" in refused(result)
    assert "203.0.113.9" in refused(run("serve", "--bind", "203.0.113.9"))


def test_events_writes_the_contract(run: Run, tmp_path: Path) -> None:
    assert run("events", "--out", tmp_path)[0] == 0
    assert json.loads((tmp_path / "window.v1.json").read_bytes())["title"] == "Window"


def test_a_library_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(*words: object, **options: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(main, "app", absent)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("phasewatch: torch: is not installed;")


@pytest.mark.parametrize("model_path", [CHECKPOINTS[-1], BUNDLES[-1]], ids=["checkpoint", "bundle"])
def test_a_signed_model_is_the_only_one_that_is_trusted(
    run: Run, keys: Path, tmp_path: Path, model_path: Path
) -> None:
    shutil.copytree(model_path.parent, tmp_path / "models")
    model, options = tmp_path / "models" / model_path.name, ("--trust", keys / "own.pub")
    for key in ("own", "other"):
        assert "signature" not in run("inspect", model)[1]
        assert "`phasewatch sign`" in refused(run("inspect", model, *options))
        code, printed, _ = run("sign", model, "--key", keys / f"{key}.pem")
        assert code == 0 and printed.strip().endswith(".sig")
        if key == "own":
            assert run("inspect", model, *options)[0] == 0
            Path(printed.strip()).unlink()
    assert "other.pem" in refused(run("inspect", model, "--trust", keys / "other.pem"))


def test_only_models_that_load_are_signed(run: Run, keys: Path, tmp_path: Path) -> None:
    shutil.copytree(CHECKPOINTS[0].parent, tmp_path / "models")
    model = tmp_path / "models" / CHECKPOINTS[0].name
    model.write_bytes(model.read_bytes()[:-9])
    assert model.name in refused(run("sign", model, "--key", keys / "own.pem"))
    assert not list(model.parent.glob("*.ckpt.json.sig"))


@pytest.mark.parametrize("words", [("serve",), ("live", "--profile", "benign")], ids=str)
def test_a_page_is_refused_before_anything_is_loaded_or_recorded(
    run: Run, toy_store: Store, tmp_path: Path, words: tuple[str, ...]
) -> None:
    options = (*words, "--store", toy_store.root)
    assert "is no folder" in refused(run(*options, "--run", tmp_path / "nowhere"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "in use" in refused(run(*options, "--run", tmp_path, "--port", port))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--html", "page.html"), "--explain EPISODE beside it"),
        (("--explain", ""), "--explain : is not in the store"),
        (("--explain", "a\n\x1b[31m"), r"--explain a\\n\\x1b\[31m: is not in the store"),
        (("--index", "s3://lake/i.parquet"), "is a URL"),
        (("--explain", "e", "--html", "s3://lake/page.html"), "is a URL"),
        (("--explain", "e", "--html", "."), "is a folder"),
        (("--cluster", ""), "it is empty"),
    ],
)
def test_validate_refuses_words_that_mean_nothing(
    run: Run,
    toy_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = refused(run("validate", toy_store.root, *words))
    assert re.search(expected, printed)
    assert not {path.name for path in tmp_path.iterdir()} - {"data"}


def test_names_of_others_are_no_markup_and_no_commands(run: Run, tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s", schema.vm46())
    names = {"a": ("[bold red]x[/]", "[/]"), "b": ("h" * 90, "\x1b[2J"), "c": ("one\ntwo", "p")}
    for id, (host, profile) in names.items():
        store.publish(replace(toy.episode(), id=id, host=host, profile=profile))
    index = tmp_path / "i.parquet"
    _, out, _ = run("validate", store.root, "--index", index, "--summary")
    assert "[bold red]x[/]" in out and r"one\ntwo" in out and r"\x1b[2J" in out
    assert "\x1b" not in out + run("validate", store.root, "--explain", "b")[1]
    (counts,) = [line for line in out.splitlines() if line.startswith("hh") and " " in line.strip()]
    assert sorted(counts.split()[1:]) == [".", ".", "0", "1r"]


def test_one_story_is_json_too(run: Run, toy_store: Store) -> None:
    id = toy_store.ids()[0]
    _, out, _ = run("validate", toy_store.root, "--explain", id, "--json")
    assert (json.loads(out)["id"], json.loads(out)["verdict"]) == (id, "accepted")


def test_a_url_of_this_machine_is_its_folder(run: Run, tmp_path: Path) -> None:
    store = toy.store(tmp_path / "s", seeds=1)
    path = store.folder(store.ids()[0]) / SAMPLES
    path.unlink()
    os.mkfifo(path)
    index = tmp_path / "i.parquet"
    _, out, _ = run("validate", f"file://{store.root}", "--index", index)
    assert "[unsafe_file]" in out


def test_a_story_from_far_away_says_what_it_leaves_out(run: Run, toy_store: Store) -> None:
    files = fsspec.filesystem("memory")
    files.put(str(toy_store.root), "/told/store", recursive=True)
    _, out, _ = run("validate", "memory://told/store", "--explain", toy_store.ids()[0])
    files.rm("/told", recursive=True)
    assert "accepted" in out and "another episode of this store" in out


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", rb"\u2588"), ("utf-8", b"\xe2\x96\x88")])
def test_what_a_terminal_cannot_show_is_escaped(
    toy_store: Store, encoding: str, shown: bytes
) -> None:
    words = ("validate", str(toy_store.root), "--explain", toy_store.ids()[0])
    code = "from phasewatch.cli.main import main; main()"
    made = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert shown in made.stdout


def test_nobody_need_listen(toy_store: Store) -> None:
    words = f"validate {toy_store.root} --explain {toy_store.ids()[0]} --json"
    code = f"{sys.executable} -c 'from phasewatch.cli.main import main; main()' {words} >&-"
    made = subprocess.run(code, shell=True, capture_output=True, check=False)
    assert (made.returncode, made.stderr) == (0, b"")
