"""Simulated stores: the same bytes whoever made them, the truth on file, verdicts scored."""

from dataclasses import replace
from pathlib import Path

import pytest

from phasewatch import schema
from phasewatch.refusal import Refused
from phasewatch.sim import stream
from phasewatch.sim.fit import FITTED
from phasewatch.sim.stream import TRUTH, Recipe, score, simulate, truths
from phasewatch.store import Store
from phasewatch.sweep import sweep

RECIPE = Recipe(FITTED, schema.vm46(), seed=3, faults=0.5)


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def none(count: int) -> None:
    """A tick that nobody sees."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulated")
    simulate(RECIPE, root, 120, 1, none)
    return root


def test_bytes_depend_on_seed_alone(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BLOCK", 25)
    simulate(RECIPE, tmp_path / "two", 120, 2, none)
    two = files(tmp_path / "two")
    assert {k: v for k, v in two.items() if k != TRUTH} == {
        k: v for k, v in files(store).items() if k != TRUTH
    }
    assert truths(tmp_path / "two") == truths(store)
    simulate(replace(RECIPE, seed=4), tmp_path / "other", 5, 1, none)
    assert files(tmp_path / "other") != files(store)


def test_every_planted_fault_is_found_and_nothing_else(store: Path) -> None:
    hits = score(sweep(Store.open(store)), truths(store))
    assert hits.planted + hits.clean == 120
    assert 35 < hits.planted < 85
    assert hits.planted == hits.reported == hits.judged
    assert hits.alarms == 0
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


def test_a_store_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=TRUTH):
        truths(tmp_path)
