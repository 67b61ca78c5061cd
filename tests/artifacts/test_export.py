"""Every model with a graph comes out equal, or nothing comes out."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy
from tests.trained import TEST_SPLIT, saved, trained

from phasewatch import windowing
from phasewatch.alarm import CEILING, AlarmRule
from phasewatch.artifacts import bundle, checkpoint
from phasewatch.artifacts.export import ExportOptions, export
from phasewatch.errors import Refused
from phasewatch.models.base import Classifier, find, names
from phasewatch.schema import MODES, Mode
from phasewatch.store.local import Store
from phasewatch.training.recipes import SIX

GRAPHS = [name for name in names() if find(name).onnx is not Classifier.onnx]
WITHOUT = [name for name in names() if name not in GRAPHS]


def test_every_model_of_the_published_results_exports_to_onnx() -> None:
    assert set(SIX) <= set(GRAPHS)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", GRAPHS)
def test_a_bundle_gives_what_its_checkpoint_gives(
    toy_store: Store, tmp_path: Path, name: str, mode: Mode
) -> None:
    path = saved(toy_store, tmp_path, name, mode)
    exported = export(path, toy_store, tmp_path)
    loaded, other = checkpoint.load(path), bundle.load(exported)
    windows = windowing.cut_windows(toy.episode("beta", "leak"), loaded.schema, loaded.opening_s)
    faster = [windows.x * 1000, windows.opening + np.log(1000), windows.past + np.log(1000)]
    for x, level, past in (
        (windows.x, windows.opening, windows.past),
        (windows.x, windows.opening, None),
        (windows.x, None, None),
        [one.astype(np.float32) for one in faster],
    ):
        one, two = (each.logits(x, level, past) for each in (loaded, other))
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(two.argmax(axis=1), one.argmax(axis=1))
    terms = bundle.load_terms(exported)
    assert (terms.model, terms.mode) == (name, mode)
    assert terms.parity.windows and terms.parity.edges and 0 <= terms.parity.largest <= 1e-5
    assert "held out" in (exported / bundle.CARD).read_text()
    assert b".py" not in (exported / bundle.GRAPH).read_bytes()


@pytest.mark.parametrize("off", [2e-5, np.nan])
def test_a_graph_that_differs_from_its_checkpoint_is_not_written(
    toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    path = saved(toy_store, tmp_path)
    original = bundle.Bundle.logits
    monkeypatch.setattr(bundle.Bundle, "logits", lambda *words: original(*words) + off)
    with pytest.raises(Refused, match="Nothing was written") as refused:
        export(path, toy_store, tmp_path / "out")
    assert refused.value.code == "parity"
    assert not (tmp_path / "out").exists()


def test_an_export_is_compared_on_the_complete_test_split(toy_store: Store, tmp_path: Path) -> None:
    exported = replace(trained(toy_store), split={**asdict(TEST_SPLIT), "test": ("nobody.dig.s1",)})
    path = checkpoint.save(exported, toy.episode(), tmp_path)
    with pytest.raises(Refused, match=r"lacks 1 of 1 test episodes .* nobody\.dig\.s1"):
        export(path, toy_store, tmp_path)


def test_a_bundle_is_not_written_over_a_file(toy_store: Store, tmp_path: Path) -> None:
    taken = tmp_path / "README.md"
    taken.write_text("mine")
    with pytest.raises(Refused, match=r"README.md: is a file; expected a folder for the bundle"):
        export(tmp_path / "any.ckpt.json", toy_store, taken)
    assert taken.read_text() == "mine"


def test_a_bundle_is_never_replaced(toy_store: Store, tmp_path: Path) -> None:
    path = saved(toy_store, tmp_path)
    export(path, toy_store, tmp_path)
    with pytest.raises(Refused, match="already there"):
        export(path, toy_store, tmp_path)


@pytest.mark.parametrize("name", WITHOUT)
def test_a_model_that_cannot_be_exported_is_refused(
    toy_store: Store, tmp_path: Path, name: str
) -> None:
    path = saved(toy_store, tmp_path, name)
    with pytest.raises(Refused, match=f"{name}: has no ONNX graph.*Export another model"):
        export(path, toy_store, tmp_path)


def test_a_rule_for_incidents_travels_with_the_bundle(toy_store: Store, tmp_path: Path) -> None:
    rule = AlarmRule(1.5, 1.0, 0.5, 4.0, 5.25, CEILING, 1.0)
    path = saved(toy_store, tmp_path)
    exported = export(path, toy_store, tmp_path, options=ExportOptions(alarm=rule))
    assert bundle.load(exported).alarm == rule
    assert "evidence of 5.25 nats" in (exported / bundle.CARD).read_text()
