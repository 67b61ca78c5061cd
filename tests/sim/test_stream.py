"""Simulated stores: the same bytes every time, the truth on file, verdicts scored."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch import schema
from phasewatch.cli.commands import simulate as command
from phasewatch.errors import Refused
from phasewatch.sim import stream
from phasewatch.sim.fit import PACKAGED_FIT, Fit
from phasewatch.sim.stream import TRUTH, Recipe, read_truth, score_validation, simulate
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_store

VM46 = schema.vm46()
RECIPE = Recipe(PACKAGED_FIT, VM46, seed=3, faults=0.5)


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def none(count: int) -> None:
    """A tick that does nothing."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulated")
    simulate(RECIPE, root, 120, 1, none)
    return root


def test_bytes_depend_on_seed_alone(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BLOCK_EPISODES", 25)
    simulate(RECIPE, tmp_path / "two", 120, 2, none)
    two = files(tmp_path / "two")
    assert {k: v for k, v in two.items() if k != TRUTH} == {
        k: v for k, v in files(store).items() if k != TRUTH
    }
    assert read_truth(tmp_path / "two") == read_truth(store)
    simulate(replace(RECIPE, seed=4), tmp_path / "other", 5, 1, none)
    assert files(tmp_path / "other") != files(store)


def test_every_planted_fault_is_found_and_nothing_else(store: Path) -> None:
    hits = score_validation(validate_store(Store.open(store)), read_truth(store))
    assert hits.planted + hits.clean == 120
    assert 35 < hits.planted < 85
    assert hits.planted == hits.reported == hits.correct_verdicts
    assert hits.false_alarms == 0
    assert not hits.missed


def test_an_unfinished_run_goes_on(store: Path, tmp_path: Path) -> None:
    simulate(RECIPE, tmp_path, 40, 1, none)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "episodes").iterdir()}
    (tmp_path / TRUTH).unlink()
    simulate(RECIPE, tmp_path, 120, 1, none)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert files(tmp_path) == files(store)


def test_a_store_is_of_one_recipe(store: Path) -> None:
    with pytest.raises(Refused, match="seed is 3 there and 9 here"):
        simulate(replace(RECIPE, seed=9), store, 5, 1, none)
    with pytest.raises(Refused, match="a store of recorded episodes"):
        Store.create(store, schema.vm46())


def test_a_store_of_long_episodes_is_of_another_recipe(store: Path, tmp_path: Path) -> None:
    simulate(replace(RECIPE, long=True), tmp_path, 3, 1, none)
    opened = Store.open(tmp_path)
    assert opened.simulated is not None
    assert opened.simulated["long"] is True
    assert all(opened.read(id).seconds >= 120 for id in opened.ids())
    with pytest.raises(Refused, match="long"):
        simulate(replace(RECIPE, long=True), store, 3, 1, none)


def thin() -> Fit:
    """Return a fit without a step of `impact`."""
    fitted = Fit.load(PACKAGED_FIT, VM46)
    label = VM46.classes.index("impact")
    mask = np.arange(len(VM46.classes)) != label
    return replace(fitted, quantiles=fitted.quantiles * mask[None, :, None, None])


def test_a_fit_too_thin_to_draw_from_makes_no_store(tmp_path: Path) -> None:
    nowhere = replace(Fit.load(PACKAGED_FIT, VM46), hosts=np.array(["alpha"]))
    for fitted, problem in (
        (thin(), "no step of impact"),
        (nowhere, "no host of the lab, but alpha"),
    ):
        fitted.save(tmp_path / "fit.npz")
        with pytest.raises(Refused, match=problem):
            simulate(replace(RECIPE, fit=tmp_path / "fit.npz"), tmp_path / "store", 5, 1, none)
        assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("given", ["thin", "foreign"])
def test_a_store_that_cannot_be_fitted_to_is_named(tmp_path: Path, given: str) -> None:
    given_schema = VM46 if given == "thin" else replace(VM46, classes=VM46.classes[::-1])
    recorded = Store.create(tmp_path / "recorded", given_schema)
    recorded.publish(toy.episode())
    problem = "no host of the lab, but alpha" if given == "thin" else "classes"
    with pytest.raises(Refused, match=rf"^--fit {recorded.root}: .*{problem}"):
        command.simulate(tmp_path / "store", 5, fit=[recorded.root])
    assert not (tmp_path / "store").exists()


def test_a_place_far_away_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match="is a URL"):
        command.simulate(Path("s3://bucket/x"), 5)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_is_quiet_from_the_beginning(tmp_path: Path) -> None:
    words = ("simulate", "--episodes", "5000", "--jobs", "2", "--out", str(tmp_path / "store"))
    with subprocess.Popen(
        [sys.executable, "-c", "from phasewatch.cli.main import main; main()", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        begun = Path(f"/proc/{child.pid}/task/{child.pid}/children")
        while child.poll() is None and len(begun.read_text().split()) < 3:
            time.sleep(0.01)
        time.sleep(0.3)
        os.killpg(child.pid, signal.SIGINT)
        _, output = child.communicate(timeout=60)
    assert child.returncode == 130
    assert output.decode().splitlines() == [
        "phasewatch: cancelled; no partly written file was left"
    ]
    assert not list(tmp_path.rglob(".tmp-*"))


def test_an_interrupt_leaves_no_draft_of_a_stopped_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BLOCK_EPISODES", 2)
    found: list[Path] = []

    def interrupted(count: int) -> None:
        """Stop the workers where one of them is writing an episode."""
        workers = [one.pid for one in multiprocessing.active_children() if one.pid]
        while not found:
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            found.extend(tmp_path.rglob(".tmp-*/manifest.json"))
            for pid in workers:
                os.kill(pid, signal.SIGKILL if found else signal.SIGCONT)
            time.sleep(0.002)
        raise KeyboardInterrupt

    recipe = Recipe(PACKAGED_FIT, schema.vm46(), seed=3, faults=0.0)
    with pytest.raises(KeyboardInterrupt):
        simulate(recipe, tmp_path / "store", 2000, 2, interrupted)
    assert found and not list(tmp_path.rglob(".tmp-*"))


def test_a_store_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=TRUTH):
        read_truth(tmp_path)
