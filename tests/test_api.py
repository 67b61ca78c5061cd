"""What `import phasewatch` offers: typed, documented, light, and never what validation refused."""

import json
import pkgutil
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy
from tests.paths import ROOT
from tests.test_frozen import BUNDLES, told

import phasewatch as pw
from phasewatch.artifacts import bundle
from phasewatch.evaluation.evaluate import ModelReport, Report
from phasewatch.experiment.pipeline import RunResult
from phasewatch.metrics import Score
from phasewatch.schema import NS
from phasewatch.store.format import SAMPLES
from phasewatch.store.local import Store

PAGE = ROOT / "docs" / "reference" / "api.md"


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_public_name_exists_and_none_is_a_module() -> None:
    assert set(pw.__all__) == {*pw._HOMES, "__version__"} == set(dir(pw))
    for name in pw.__all__:
        assert getattr(pw, name)
    assert not {one.name for one in pkgutil.iter_modules(pw.__path__)} & set(pw.__all__)
    with pytest.raises(AttributeError, match="no attribute 'openstore'"):
        getattr(pw, "openstore")  # noqa: B009


@pytest.mark.parametrize(
    "first", ["import phasewatch as pw, phasewatch.windowing", "import phasewatch.api as api"]
)
def test_public_functions_do_not_depend_on_import_order(first: str) -> None:
    code = f"{first}\nimport phasewatch as pw, phasewatch.validation, phasewatch.training\n"
    found = python(code + "print([pw.windows.__module__, pw.validate.__name__, pw.train.__name__])")
    assert found == "['phasewatch.api', 'validate', 'train']"


HEAVY = {"sklearn", "scipy", "torch", "xgboost", "matplotlib", "onnxruntime", "lightning_fabric"}


@pytest.mark.parametrize(
    ("code", "packages"),
    [
        ("import phasewatch", set()),
        (
            "import phasewatch as pw; pw.open_store('corpus')",
            {"api", "errors", "io", "modes", "schema", "schemas", "episode", "store"},
        ),
    ],
)
def test_importing_and_opening_a_store_loads_no_heavy_library(
    code: str, packages: set[str]
) -> None:
    listed = python(f"{code}; import sys, json; print(json.dumps(sorted(sys.modules)))")
    modules = json.loads(listed)
    assert not HEAVY & {name.partition(".")[0] for name in modules}
    packages_loaded = {name.split(".")[1] for name in modules if name.startswith("phasewatch.")}
    assert packages_loaded <= packages


def test_mypy_refuses_a_misspelt_name(tmp_path: Path) -> None:
    path = tmp_path / "notebook.py"
    path.write_text(
        "import phasewatch as pw\n"
        "store = pw.open_store('corpus')\n"
        "reveal_type(pw.train(store, out='runs/q').checkpoint('gbt', 'realistic'))\n"
        "pw.open_stor('corpus')\n"
        "pw.windows(store, mode='realstic')\n"
    )
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        f"--cache-dir={tmp_path}",
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "src")
    errors = re.findall(r"notebook\.py:(\d+): error: .*\[(.*)\]", done.stdout)
    assert errors == [("4", "attr-defined"), ("5", "arg-type")], done.stdout
    assert 'Revealed type is "phasewatch.artifacts.checkpoint.Checkpoint"' in done.stdout


def test_the_page_documents_every_public_name() -> None:
    documented = set(re.findall(r"`pw\.(\w+)", PAGE.read_text(encoding="utf-8")))
    assert documented >= {*pw.__all__} and documented <= {*pw.__all__}


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with one episode that is rejected for its bytes, and one for its content."""
    store = toy.store(tmp_path_factory.mktemp("damaged") / "store")
    broken = store.folder("alpha.dig.s1") / SAMPLES
    broken.write_bytes(broken.read_bytes()[:-9])
    copied = toy.episode("beta", "calm", 2)
    store.publish(replace(copied, id="beta.calm.s9"))
    return store


def test_rejected_episodes_are_read_only_on_request(damaged: Store) -> None:
    refused = {one.id for one in pw.validate(damaged) if not one.usable}
    assert refused == {"alpha.dig.s1", "beta.calm.s9"}
    windows = pw.windows(damaged, mode="realistic", opening_s=6.0)
    assert set(windows.episode) == {*damaged.ids()} - refused
    with pytest.raises(pw.Refused, match="is rejected"):
        pw.windows(damaged, opening_s=6.0, ids=["beta.calm.s9"])
    named = pw.windows(damaged, opening_s=6.0, ids=["beta.calm.s9"], include_rejected=True)
    assert set(named.episode) == {"beta.calm.s9"}
    with pytest.raises(pw.Refused, match="samples"):
        pw.windows(damaged, opening_s=6.0, include_rejected=True)
    with pytest.raises(pw.Refused, match=r"has no episode 'alpha.dig.s8'.*nearest are alpha.dig"):
        pw.windows(damaged, ids=["alpha.dig.s8"])


def test_windows_of_named_episodes_are_those_of_the_complete_store(toy_store: Store) -> None:
    complete = pw.windows(toy_store, opening_s=6.0)
    ids = ["delta.dig.s2", "alpha.calm.s1"]
    named = pw.windows(toy_store, opening_s=6.0, ids=ids)
    assert list(dict.fromkeys(named.episode)) == ids
    for id in ids:
        windows_of_id, expected = (
            named.take(named.episode == id),
            complete.take(complete.episode == id),
        )
        np.testing.assert_array_equal(windows_of_id.x, expected.x)
        np.testing.assert_array_equal(windows_of_id.opening, expected.opening)


def test_a_run_predicts_windows_of_its_mode(toy_run: RunResult, toy_store: Store) -> None:
    run = pw.Run.open(toy_run.run.path)
    model = run.checkpoint("gbt", "realistic")
    windows = pw.windows(toy_store, mode="realistic", opening_s=6.0)
    predicted = model.predict(windows)
    assert predicted.shape == windows.y.shape and (predicted == windows.y).mean() > 0.8
    with pytest.raises(pw.Refused, match="windows: have 46 channels"):
        model.predict(pw.windows(toy_store, mode="oracle", opening_s=6.0))


def test_train_returns_a_run(toy_store: Store, tmp_path: Path) -> None:
    lines: list[str] = []
    recipe = pw.Recipe("mine", ("majority",), modes=("realistic",))
    run = pw.train(
        toy_store,
        recipe,
        test="delta",
        validation="gamma",
        opening_s=6.0,
        out=tmp_path / "run",
        log=lines.append,
    )
    assert isinstance(run, pw.Run) and run.missing() == []
    assert run.recipe.test == "delta" and run.recipe.split == "held_out_host"
    assert run.report.rows[0].model == "majority" and "checked 36 episodes" in lines[0]


def test_watch_takes_samples_for_a_checkpoint_or_its_path(
    toy_run: RunResult, toy_store: Store
) -> None:
    episode = toy_store.read("delta.dig.s1")
    model = toy_run.run.checkpoint("gbt", "realistic")
    rows = sorted(
        (int(t), source, dict(zip(samples.names, map(float, row), strict=True)))
        for source, samples in episode.sources.items()
        if source in model.schema.sources
        for t, row in zip(samples.t_wall_ns, samples.values, strict=True)
    )
    samples = [{"source": source, "t_wall_ns": t, "values": values} for t, source, values in rows]
    found = list(pw.watch(model, samples))
    assert len(found) >= 4 and {one.phase for one in found} <= set(model.schema.classes)
    assert found[0].end_ns - samples[0]["t_wall_ns"] >= 6 * NS  # type: ignore[operator]
    path = toy_run.run.checkpoint_path("gbt", "realistic")
    assert list(pw.watch(str(path), map(json.dumps, samples))) == found


@pytest.mark.parametrize("folder", BUNDLES, ids=told)
def test_watch_takes_the_folder_of_a_bundle(folder: Path) -> None:
    assert isinstance(bundle.load(folder), pw.Bundle)
    with pytest.raises(pw.Refused, match="standard input: line 1"):
        next(pw.watch(folder, ["{}"]))


def test_a_path_stands_for_its_store(toy_store: Store, toy_run: RunResult, tmp_path: Path) -> None:
    assert pw.validate(str(toy_store.root)) == pw.validate(toy_store)
    ids = ["delta.dig.s2"]
    windows = pw.windows(toy_store.root, opening_s=6.0, ids=ids)
    np.testing.assert_array_equal(windows.x, pw.windows(toy_store, opening_s=6.0, ids=ids).x)
    for call in (pw.validate, pw.windows):
        with pytest.raises(pw.Refused, match="expected an episode store"):
            call(tmp_path / "nothing")
    with pytest.raises(pw.Refused, match="expected an episode store"):
        pw.train(tmp_path / "nothing", out=tmp_path / "run")


def test_unknown_names_are_refused_with_the_valid_ones(toy_store: Store, tmp_path: Path) -> None:
    with pytest.raises(pw.Refused, match="'realistik': is unknown; expected realistic or oracle"):
        pw.windows(toy_store, mode="realistik")  # type: ignore[arg-type]
    with pytest.raises(pw.Refused, match="split 'hosts': is unknown; expected one of held_out_ho"):
        pw.train(toy_store, out=tmp_path / "run", split="hosts")


@pytest.mark.parametrize("opening_s", [-1.0, float("nan"), float("inf")])
def test_an_opening_without_meaning_is_refused(
    opening_s: float, toy_store: Store, tmp_path: Path
) -> None:
    match = f"opening_s: is {opening_s:g}; expected seconds, 0 or more"
    with pytest.raises(pw.Refused, match=match):
        pw.windows(toy_store, opening_s=opening_s)
    with pytest.raises(pw.Refused, match=match):
        pw.train(toy_store, out=tmp_path / "run", opening_s=opening_s)
    assert not (tmp_path / "run").exists()


def test_a_text_for_a_list_of_names_is_refused(toy_store: Store, tmp_path: Path) -> None:
    with pytest.raises(pw.Refused, match=r"ids: is the text 'abc'.*Write \['abc'\]"):
        pw.windows(toy_store, ids="abc")
    with pytest.raises(pw.Refused, match=r"models: is the text 'gbt'.*Write \['gbt'\]"):
        pw.train(toy_store, out=tmp_path / "run", models="gbt")
    with pytest.raises(pw.Refused, match="waive: is the text 'telling_channel'"):
        pw.train(toy_store, out=tmp_path / "run", waive="telling_channel")


def test_representations_in_a_notebook_are_short(toy_store: Store, toy_run: RunResult) -> None:
    report = toy_run.report
    row = report.rows[0]
    assert repr(report) == f"<Report: delta held out, {len(report.rows)} rows>"
    lines = str(report).splitlines()
    assert len(lines) == 1 + len(report.rows) + len(report.baselines)
    assert f"{row.model} {row.mode}: {row.unseen.value:.3f}" in lines[1]
    assert max(map(len, [*lines, *map(repr, [*report.rows, *report.baselines])])) < 160
    assert repr(toy_store) == f"<Store {toy_store.root}: schema vm46, recorded>"


def test_the_page_defines_every_field_of_a_report() -> None:
    page = PAGE.read_text(encoding="utf-8").partition("## Reports and scores")[2]
    named = set(re.findall(r"`(\w+)`", page.partition("## Watching")[0]))
    for kind in (Report, ModelReport, Score):
        assert {field.name for field in fields(kind)} <= named


def test_a_url_is_refused() -> None:
    with pytest.raises(pw.Refused, match="is a URL"):
        pw.open_store("s3://bucket/store")
