"""docs/explanation/attacks.md, row by row: what no other test shows, and that the page is true."""

import ast
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import mutated, toy
from tests.model_files import ModelFiles
from tests.mutated import Model
from tests.trained import trained

from phasewatch.artifacts import bundle, checkpoint
from phasewatch.artifacts.bundle import GRAPH, TERMS
from phasewatch.errors import Refused
from phasewatch.features.views import OLDEST
from phasewatch.io.trust import Trust, read_plain_file, sign
from phasewatch.store.local import Store

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "phasewatch"
PAGE = (TESTS.parent / "docs" / "explanation" / "attacks.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in PAGE.splitlines()
    if re.match(r"\| (\d+|[a-z]) \|", line)
]


# ---------------------------------------------------------------- the page


def test_every_attack_is_on_the_page_once() -> None:
    assert [row[0] for row in ROWS] == [*map(str, range(1, 41)), *"abcdef"[: len(ROWS) - 40]]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_row_names_codes_that_are_raised_and_tests_that_exist(row: list[str]) -> None:
    _, _, codes, shown = row
    assert set(re.findall(r"`(\w+)`", codes)) <= raised()
    tests = re.findall(r"((?:[a-z]+/)*test_\w+)\.(\w+)", shown)
    assert tests
    for file, name in tests:
        tree = ast.parse((TESTS / f"{file}.py").read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert f"test_{name}" in defined


def raised() -> set[str]:
    """Every text of the load path's files that looks like a code."""
    files = [
        SOURCE / "io" / "trust.py",
        *SOURCE.glob("artifacts/*.py"),
        *SOURCE.glob("models/*.py"),
    ]
    texts = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
    return {text for text in texts if re.fullmatch(r"[a-z]+(_[a-z]+)*", text)}


# ---------------------------------------------------------------- rows that no other test shows


def _sealed(tmp_path: Path, name: str, kind: str, change: Callable[[bytes], bytes]) -> Path:
    """A frozen model whose weights were changed by somebody who makes all digests fit."""
    model = Model(mutated.newest(), name, kind)
    weights = change(model.weights)
    digest = hashlib.sha256(weights).hexdigest()
    return model.put(tmp_path, model.sealed(model.header, weights), weights, digest)


def code(path: Path, trust: Trust | None = None) -> str:
    with pytest.raises(Refused) as refused:
        (bundle if path.name == TERMS else checkpoint).load(
            path.parent if path.name == TERMS else path, trust or Trust()
        )
    assert "\n" not in str(refused.value)
    return refused.value.code


def _leaf(weights: bytes) -> bytes:
    value = json.loads(weights)
    tree = value["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["split_conditions"][-2:] = [0.5, -0.5]
    return json.dumps(value).encode()


def _tensor(weights: bytes) -> bytes:
    return weights[:-4] + np.float32(0.5).tobytes()


def _graph(weights: bytes) -> bytes:
    import onnx

    model = onnx.load_from_string(weights)
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "class_weights":
            attribute.floats[:] = [one + 0.5 for one in attribute.floats]
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("name", "kind", "change"),
    [("gbt", "xgboost", _leaf), ("mlp", "safetensors", _tensor), ("gbt", "onnx", _graph)],
    ids=["xgboost", "safetensors", "onnx"],
)
def test_changed_weights_with_matching_digests_are_refused(
    tmp_path: Path, keys: Path, name: str, kind: str, change: Callable[[bytes], bytes]
) -> None:
    """Golden windows notice, and the signature of the whole model no longer fits."""
    head = _sealed(tmp_path, name, kind, change)
    assert code(head) == "golden_mismatch"
    signed = Model(mutated.newest(), name, kind).header
    head.with_name(f"{head.name}.sig").write_bytes(sign(signed, keys / "own.pem"))
    assert code(head, Trust(keys / "own.pub")) == "signature"


def _many(weights: bytes) -> bytes:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    head = json.dumps({f"t{number}": entry for number in range(200_000)}).encode()
    return len(head).to_bytes(8, "little") + head


def _header(change: Callable[[dict[str, dict[str, list[int]]]], object]) -> Callable[..., bytes]:
    def forge(weights: bytes) -> bytes:
        size = int.from_bytes(weights[:8], "little")
        value = json.loads(weights[8 : 8 + size])
        change(value)
        head = json.dumps(value).encode()
        return len(head).to_bytes(8, "little") + head + weights[8 + size :]

    return forge


FIRST, BIAS = "inner.0.weight", "inner.0.bias"
OVERLAP = _header(lambda v: v[BIAS].update(data_offsets=[*v[FIRST]["data_offsets"][:1], 32]))
BEYOND = _header(lambda v: v[FIRST].update(data_offsets=[0, 1 << 40]))


@pytest.mark.parametrize("change", [_many, OVERLAP, BEYOND], ids=["many", "overlap", "beyond"])
def test_tensors_that_do_not_fill_their_file_are_refused(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    assert code(_sealed(tmp_path, "mlp", "safetensors", change)) == "weights_format"


@pytest.mark.parametrize("kind", ["ubj", "deprecated"])
def test_other_file_formats_of_xgboost_are_refused(tmp_path: Path, kind: str) -> None:
    def change(weights: bytes) -> bytes:
        import xgboost

        if kind == "deprecated":
            return b"binf" + bytes(200)
        return bytes(xgboost.Booster(model_file=bytearray(weights)).save_raw("ubj"))

    assert code(_sealed(tmp_path, "gbt", "xgboost", change)) == "weights_format"


def test_a_read_error_is_not_reported_as_damage() -> None:
    """A real EIO: nothing is mapped at the start of a process's memory."""
    with pytest.raises(Refused) as refused:
        read_plain_file(Path(f"/proc/{os.getpid()}/mem"), 1 << 20, "a model")
    assert refused.value.code == "io_error"


def test_a_permission_error_is_not_reported_as_damage(
    model_files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def denied(path: str, *words: int, **more: int) -> int:
        if path == model_files.body.name:
            raise PermissionError(13, "Permission denied")
        return opened(path, *words, **more)

    monkeypatch.setattr(os, "open", denied)
    assert model_files.code() == "io_error"


class Swapping(threading.Thread):
    """Two whole models put in the place of one another, over and over: renamed, and in place."""

    def __init__(self, folder: Path, models: list[dict[str, bytes]]) -> None:
        super().__init__(daemon=True)
        self.folder, self.models, self.done = folder, models, threading.Event()

    def run(self) -> None:
        number = 0
        while not self.done.is_set():
            number += 1
            for name, data in self.models[number % 2].items():
                place = self.folder / (name if number % 3 else f".tmp-{name}")
                place.write_bytes(data)
                place.rename(self.folder / name)


def test_files_swapped_during_loading_are_never_mixed(tmp_path: Path) -> None:
    """1,000 loads: one model's answers, the other's, or a refusal that says so."""
    models = [Model(mutated.newest(), name, "onnx") for name in ("gbt", "mlp")]
    for model in models:
        model.put(tmp_path, model.header, model.weights, "")
    inputs = [one[:20] for one in models[0].inputs]
    known = []
    for model in models:
        model.put(tmp_path, model.header, model.weights, "")
        known.append(bundle.load(tmp_path).logits(*inputs))
    files = [{TERMS: model.header, GRAPH: model.weights} for model in models]
    swapping, met = Swapping(tmp_path, files), set()
    swapping.start()
    try:
        for _ in range(1000):
            try:
                found = bundle.load(tmp_path).logits(*inputs)
            except Refused as refused:
                met.add(refused.code)
                continue
            (same,) = (
                place for place, expected in enumerate(known) if np.array_equal(expected, found)
            )
            met.add(str(same))
    finally:
        swapping.done.set()
        swapping.join()
    assert "digest" in met
    assert met & {"0", "1"}
    assert all(one in ("0", "1", "digest", "missing") or one.startswith("header_") for one in met)


def test_the_first_format_loads_and_names_the_fields_it_lacks(
    toy_store: Store, tmp_path: Path
) -> None:
    path = checkpoint.save(trained(toy_store, "mlp", "realistic", OLDEST), toy.episode(), tmp_path)
    value = json.loads(path.read_bytes())
    later = checkpoint.Header.fields_after(1)
    for field in later:
        del value[field]
    first = checkpoint.Header.model_validate({**value, **later, "format": 1})
    path.write_bytes(first.sealed())
    checkpoint.load(path)
    value |= {"format": 1, "threads": 1}
    path.write_text(json.dumps(value))
    assert code(path) == "header_schema"


def test_a_model_of_another_schema_is_refused_when_it_is_bound(
    toy_store: Store, tmp_path: Path
) -> None:
    """Classes in another order fit every digest and every golden window: data know better."""
    model = trained(toy_store)
    first, *others = model.schema.classes
    turned = replace(model, schema=replace(model.schema, classes=(first, *others[::-1])))
    path = checkpoint.save(turned, toy.episode(), tmp_path)
    with pytest.raises(Refused, match="classes") as refused:
        checkpoint.load(path).bind(toy_store.schema, "store")
    assert refused.value.code == "drift"
