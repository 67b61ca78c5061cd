"""int8 makes a graph smaller and not equal; its bundle states the loss. Trees are refused."""

from pathlib import Path

import numpy as np
import pytest
from tests import toy
from tests.artifacts.test_export import GRAPHS
from tests.trained import saved

from phasewatch import windowing
from phasewatch.artifacts import bundle, checkpoint, quantize
from phasewatch.artifacts.export import ExportOptions, export
from phasewatch.errors import Refused
from phasewatch.store.local import Store


@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "gbt"])
def test_the_loss_of_a_network_is_reported(toy_store: Store, tmp_path: Path, name: str) -> None:
    path = saved(toy_store, tmp_path, name, "realistic")
    folder = export(path, toy_store, tmp_path, options=ExportOptions(int8=True))
    trained, small, terms = checkpoint.load(path), bundle.load(folder), bundle.load_terms(folder)
    assert folder.name == f"{name}-realistic-int8.bundle" and small.name == terms.name
    assert terms.int8 is not None
    assert terms.onnx_bytes < terms.int8.float32_bytes
    windows = windowing.cut_windows(toy.episode("beta", "leak"), trained.schema, trained.opening_s)
    one, two = (each.logits(windows.x, windows.opening, windows.past) for each in (trained, small))
    assert 1e-5 < np.abs(one - two).max() < 100 * terms.int8.largest
    assert f"made int8, {terms.onnx_bytes:,} bytes" in (folder / bundle.CARD).read_text()


def test_trees_are_refused(toy_store: Store, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no weights to quantise"):
        export(saved(toy_store, tmp_path), toy_store, tmp_path, options=ExportOptions(int8=True))
    assert not list(tmp_path.glob("*.bundle"))


def test_a_quantized_model_with_too_many_changed_labels_is_not_written(
    toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(toy_store, tmp_path, "mlp", "realistic")
    monkeypatch.setattr(quantize, "MOST_OTHER", -0.1)
    with pytest.raises(Refused, match="labels changed"):
        export(path, toy_store, tmp_path, options=ExportOptions(int8=True))
    assert not list(tmp_path.glob("*.bundle"))
