"""What a contract file must be, and what a model is held to by it."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests import toy
from tests.test_frozen import BUNDLES, told

from phasewatch import windowing
from phasewatch.artifacts import contract
from phasewatch.artifacts.bundle import Terms, load
from phasewatch.artifacts.contract import Drift
from phasewatch.errors import Refused
from phasewatch.store.local import Store

GBT = [path for path in BUNDLES if path.name.startswith("gbt")]


@pytest.fixture(scope="module", params=GBT, ids=told)
def folder(request: pytest.FixtureRequest) -> Path:
    """The bundle of the trees of each release."""
    found: Path = request.param
    return found


@pytest.fixture
def data(folder: Path) -> bytes:
    return (folder / "bundle.json").read_bytes()


@pytest.fixture(scope="module")
def terms(folder: Path) -> Terms:
    path = folder / "bundle.json"
    return contract.parse(Terms, path.read_bytes(), path)


def test_a_contract_keeps_its_bytes_and_digest(terms: Terms) -> None:
    assert terms.digest == terms.computed()
    again = contract.parse(Terms, terms.sealed(), Path("bundle.json"))
    assert again == terms


def test_fields_keep_the_names_of_the_first_release(data: bytes) -> None:
    assert {"lens", "plane"} <= json.loads(data).keys()
    renamed = data.replace(b'"lens"', b'"normalizer"', 1)
    with pytest.raises(Refused, match=r"lens: Field required"):
        contract.parse(Terms, renamed, Path("bundle.json"))


@pytest.mark.parametrize(("format", "code"), [(0, "version_old"), (99, "version_new")])
def test_another_format_is_refused_by_its_number(data: bytes, format: int, code: str) -> None:
    changed = json.dumps({**json.loads(data), "format": format}).encode()
    with pytest.raises(Refused, match=f"format: is {format}") as found:
        contract.parse(Terms, changed, Path("bundle.json"))
    assert found.value.code == code


def test_a_changed_field_breaks_the_digest(data: bytes) -> None:
    changed = json.dumps({**json.loads(data), "opening_s": 7.0}).encode()
    with pytest.raises(Refused) as found:
        contract.parse(Terms, changed, Path("bundle.json"))
    assert found.value.code == "header_digest"


def test_a_name_may_not_leave_its_folder(tmp_path: Path) -> None:
    assert contract.path_of(tmp_path, "gbt-realistic", ".x") == tmp_path / "gbt-realistic.x"
    for name in ("../gbt", "a/b", "", "Gbt", ".hidden", "x" * 65):
        with pytest.raises(Refused, match="is not usable"):
            contract.path_of(tmp_path, name, ".x")


def test_golden_windows_refuse_changed_logits(folder: Path, terms: Terms) -> None:
    model, path = load(folder), folder / "bundle.json"
    contract.replay(model, terms, path, 1e-4)
    stored = terms.golden[0]
    moved = stored.model_copy(update={"logits": [one + 0.1 for one in stored.logits]})
    with pytest.raises(Drift, match=r"logits of golden windows are 0\.1 off"):
        contract.replay(model, terms.model_copy(update={"golden": [moved]}), path, 1e-4)


def test_golden_windows_cover_rare_inputs(folder: Path, toy_store: Store) -> None:
    model = load(folder)
    found = contract.golden(model, toy.episode("delta", "dig"))
    sources = len(model.schema.sources)
    assert len(found) > sources + 2
    nothing = found[-1]
    assert all(value is None for row in nothing.window for value in row)
    assert all(value is None for value in nothing.opening)


def test_predict_returns_the_largest_logit_of_each_window(folder: Path, toy_store: Store) -> None:
    model = load(folder)
    windows = windowing.extract(toy_store, toy_store.ids()[:2], model.schema, model.opening_s)
    expected = model.logits(windows.x, windows.opening, windows.past).argmax(axis=1)
    np.testing.assert_array_equal(model.predict(windows), expected)
    wide = windowing.extract(toy_store, toy_store.ids()[:1], toy_store.schema, model.opening_s)
    with pytest.raises(Refused, match="windows: have"):
        model.predict(wide)
