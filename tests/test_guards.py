"""Every guard of the load path, taken away in turn: an attack that it alone stops comes through.

A guard is a `raise` in one of the files below. They are found in the source, and so is the guard
that stopped an attack; one that stops none, or none alone, fails here until it has an attack.
"""

import ast
import copy
import gc
import json
import os
import shutil
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import onnx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError
from tests import mutated
from tests.artifacts import test_checkpoint
from tests.frozen import make
from tests.io import test_trust
from tests.models import test_xgboost_file
from tests.mutated import Model

import phasewatch
from phasewatch.artifacts import bundle, checkpoint
from phasewatch.errors import Refused
from phasewatch.features.views import NEWEST
from phasewatch.io import trust
from phasewatch.io.trust import Trust, sign
from phasewatch.models import _xgboost_file
from phasewatch.models.base import Unfit, find

SOURCE = Path(phasewatch.__file__).parent
NAMES = """io/trust artifacts/contract artifacts/checkpoint artifacts/bundle models/_network
models/_xgboost_file models/base models/majority models/logistic"""
ELSEWHERE = {
    "artifacts/contract.path_of": "names what is written",
    "io/trust.sign": "signs",
    "io/trust._key": "is about the user's own file: the same code, by another line",
    "models/base.Classifier.onnx": "exports",
    "artifacts/checkpoint.Checkpoint.bind": "looks at data: tests/artifacts/test_checkpoint.py",
    "artifacts/contract.predict": "looks at windows: tests/artifacts/test_contract.py",
}
Attack = Callable[[Path], object]
Guard = tuple[str, str, int]
"""File, function, and which of the function's raises, from the first."""


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((SOURCE / f"{file}.py").read_text(encoding="utf-8"))


def raises(file: str) -> Iterator[tuple[str, list[ast.Raise]]]:
    """Functions of a file that stand by themselves or in a class, and what they raise in order."""
    for node in tree(file).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        before = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for function in inside:
            if isinstance(function, ast.FunctionDef):
                found = [one for one in ast.walk(function) if isinstance(one, ast.Raise)]
                yield f"{before}{function.name}", sorted(found, key=lambda one: one.lineno)


GUARDS: dict[Guard, ast.Raise] = {
    (file, name, place): node
    for file in NAMES.split()
    for name, found in raises(file)
    for place, node in enumerate(found)
    if f"{file}.{name}" not in ELSEWHERE
}


def guard_id(guard: Guard) -> str:
    file, name, place = guard
    return f"{file}.{name}[{place}]"


@contextmanager
def without(guard: Guard) -> Iterator[None]:
    """The function as it would be if that `raise` were not there."""
    file, name, _ = guard
    path, changed = str(SOURCE / f"{file}.py"), copy.deepcopy(tree(file))
    lineno = GUARDS[guard].lineno

    class Gone(ast.NodeTransformer):
        def visit_Raise(self, node: ast.Raise) -> ast.stmt:
            return ast.copy_location(ast.Pass(), node) if node.lineno == lineno else node

    code = next(one for one in codes(compile(Gone().visit(changed), path, "exec"), name))
    functions = [
        one
        for one in gc.get_objects()
        if type(one) is types.FunctionType
        and one.__code__.co_filename == path
        and one.__code__.co_qualname == name
    ]
    assert functions
    before = functions[0].__code__
    for function in functions:
        function.__code__ = code
    try:
        yield
    finally:
        for function in functions:
            function.__code__ = before


def codes(code: types.CodeType, name: str) -> Iterator[types.CodeType]:
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            if one.co_qualname == name:
                yield one
            yield from codes(one, name)


# ---------------------------------------------------------------- attacks


def load(head: Path, demanding: Trust = trust.ANY) -> object:
    if head.name == bundle.TERMS:
        return bundle.load(head.parent, demanding)
    return checkpoint.load(head, demanding)


@cache
def new_models() -> Path:
    """Models of the newest views, which no release may have left yet."""
    folder = Path(tempfile.mkdtemp())
    make.write(folder, ("gbt", "mlp"), NEWEST)
    return folder


@cache
def model(kind: str) -> Model:
    return Model(new_models(), "mlp" if kind in ("checkpoint", "safetensors") else "gbt", kind)


def written(kind: str, folder: Path) -> Path:
    function = model(kind)
    return function.put(folder, function.header, function.weights, mutated.digest(function.weights))


def bytes_of_header(kind: str, change: Callable[[bytes], bytes], folder: Path) -> object:
    head = written(kind, folder)
    head.write_bytes(change(head.read_bytes()))
    return load(head)


def meaning(kind: str, change: Callable[[dict[str, Any]], object], folder: Path) -> object:
    """By somebody who makes the digest fit, and no fingerprint."""

    def seal(data: bytes) -> bytes:
        change(value := json.loads(data))
        contract = bundle.Terms if kind == "bundle" else checkpoint.Header
        return contract.model_validate({**contract.fields_after(value["format"]), **value}).sealed()

    return bytes_of_header(kind, seal, folder)


def weights(kind: str, change: Callable[[bytes], bytes], folder: Path) -> object:
    """By somebody who makes all digests fit."""
    function = model(kind)
    data = change(function.weights)
    return load(
        function.put(folder, function.sealed(function.header, data), data, mutated.digest(data))
    )


def graph(change: Callable[[onnx.ModelProto], object], folder: Path) -> object:
    def forge(data: bytes) -> bytes:
        proto = onnx.load_from_string(data)
        change(proto)
        return bytes(proto.SerializeToString())

    return weights("onnx", forge, folder)


def place(kind: str, part: str, change: Callable[[Path], object], folder: Path) -> object:
    head = written(kind, folder)
    body = next(path for path in folder.iterdir() if path != head)
    change({"head": head, "body": body, "folder": folder}[part])
    return load(head)


def trees(change: Callable[[Any], object], folder: Path) -> None:
    """Not by XGBoost's own loader, which would end this process."""
    value = json.loads(model("xgboost").weights)
    change(value)
    _xgboost_file.refuse(value, len(json.loads(model("xgboost").header)["lens"]["mean"]), 6)


def demanding(
    want: Callable[[Path], Trust], change: Callable[[Path], object], folder: Path
) -> object:
    """By somebody of whom more is asked."""
    head = written("bundle", folder)
    change(head)
    return load(head, want(folder))


def counts(name: str, text: bytes, folder: Path) -> object:
    return find(name).load(text, (3,), 2)


def _first_format(data: bytes) -> bytes:
    """Fields that the first format's digest does not cover, in a header that claims to be it."""
    value = {**json.loads(data), "format": 1, "threads": 99}
    return json.dumps({**value, "digest": checkpoint.Header(**value).computed()}).encode()


def _viewed(value: dict[str, Any]) -> None:
    columns = 2 * len(value["data"]["channels"])
    values = {"mean": 0.0, "std": 1.0, "low": -9.0, "high": 9.0}
    normalizer = {name: [one] * columns for name, one in values.items()}
    value.update(view="tensor", lens={**value["lens"], **normalizer}, plane={})


def _shorter(data: bytes) -> bytes:
    value = json.loads(data)
    value["probe"]["sources"]["proc"]["values"].pop()
    return json.dumps(value).encode()


def _unreached(value: Any) -> None:
    tree = test_xgboost_file.trees(value)[0]
    tree["left_children"][0] = tree["right_children"][0] = -1
    tree["parents"] = [_xgboost_file.ROOT] * len(tree["parents"])


def _linked(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def _gone(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def _flipped(place: Path) -> None:
    place.write_bytes(place.read_bytes()[:-1] + b"?")


def _failing(proto: onnx.ModelProto) -> None:
    """However many rows are asked about, five come out."""
    for node in proto.graph.node:
        node.output[:] = ["whole" if one == "logits" else one for one in node.output]
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [2], [5, 6])
    proto.graph.initializer.append(shape)
    proto.graph.node.append(onnx.helper.make_node("Reshape", ["whole", "shape"], ["logits"]))


def _outside(proto: onnx.ModelProto) -> None:
    more = onnx.helper.make_tensor("more", onnx.TensorProto.FLOAT, [0], [])
    more.external_data.add(key="location", value="more.bin")
    proto.graph.initializer.append(more)


def _wider(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 99


@cache
def key(name: str) -> Path:
    """A private key's file; the public half lies beside it."""
    function, place = Ed25519PrivateKey.generate(), Path(tempfile.mkdtemp()) / f"{name}.pem"
    pem, raw = serialization.Encoding.PEM, serialization.NoEncryption()
    place.write_bytes(function.private_bytes(pem, serialization.PrivateFormat.PKCS8, raw))
    public = function.public_key().public_bytes(
        pem, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    place.with_suffix(".pub").write_bytes(public)
    return place


def _signed(name: str, head: Path) -> None:
    head.with_name(f"{head.name}.sig").write_bytes(sign(head.read_bytes(), key(name)))


def public(folder: Path) -> Trust:
    return Trust(key("own").with_suffix(".pub"))


def nothing(folder: Path) -> None:
    pass


ATTACKS: dict[str, Attack] = {
    **{
        f"{kind} header {name}": partial(bytes_of_header, kind, change)
        for kind in ("checkpoint", "bundle")
        for name, change, _ in test_trust.HEADERS
    },
    **{
        f"{kind} {part} {change.__name__}": partial(place, kind, part, change)
        for kind in ("checkpoint", "bundle")
        for part in ("head", "body")
        for change, _ in test_trust.PATHS
    },
    **{
        f"meaning {name}": partial(meaning, "checkpoint", change)
        for name, (change, _) in test_checkpoint.HEADERS.items()
    },
    **{
        f"weights {name}": partial(weights, "safetensors", change)
        for name, (change, _) in test_checkpoint.WEIGHTS.items()
        # Minutes without its guard, which stops others too; and the frozen model is of before it.
        if name not in ("deep", "other answers without a source")
    },
    **{
        f"trees {name}": partial(trees, change)
        for name, (change, _) in test_xgboost_file.ATTACKS.items()
        if name != "feature"
    },
    "damaged read": lambda folder: trust.read_plain_file(
        Path(f"/proc/{os.getpid()}/mem"), 9, "a model"
    ),
    "shared": partial(demanding, lambda folder: Trust(strict=True), lambda head: head.chmod(0o666)),
    "linked folder": partial(place, "bundle", "folder", _linked),
    "no folder": partial(place, "bundle", "folder", _gone),
    "another's signature": partial(demanding, public, partial(_signed, "other")),
    "no signature": partial(demanding, public, nothing),
    "private half": partial(demanding, lambda folder: Trust(key("own")), partial(_signed, "own")),
    "rollback": partial(demanding, lambda folder: Trust(serial=1 << 62), nothing),
    "samples without times": partial(bytes_of_header, "checkpoint", _shorter),
    "first format": partial(bytes_of_header, "checkpoint", _first_format),
    "another view": partial(meaning, "checkpoint", _viewed),
    "another window": partial(
        meaning, "checkpoint", lambda v: v["probe"]["window"][0].__setitem__(3, 7.0)
    ),
    "changed weights": partial(place, "checkpoint", "body", _flipped),
    "changed graph": partial(place, "bundle", "body", _flipped),
    "no graph": partial(weights, "onnx", lambda data: b"?"),
    "graph that fails": partial(graph, _failing),
    "graph elsewhere": partial(graph, _outside),
    "wider graph": partial(graph, _wider),
    "another schema": partial(graph, lambda proto: proto.ClearField("metadata_props")),
    "fraction": partial(
        weights,
        "safetensors",
        test_checkpoint._about(lambda value: value["config"].update(hidden=0.5)),
    ),
    "unreached nodes": partial(trees, _unreached),
    "feature beyond": partial(trees, test_xgboost_file._set("split_indices", 0, 10**6)),
    "no list": partial(trees, test_xgboost_file._model("trees", lambda value: {})),
    "names": partial(trees, lambda v: v["learner"].update(feature_names=["a"])),
    "attributes": partial(trees, lambda v: v["learner"].update(attributes={"x": "1"})),
    "categories of all": partial(
        trees, test_xgboost_file._model("cats", lambda value: {"enc": [1]})
    ),
    "counts": partial(counts, "majority", b"[1]"),
    "no counts": partial(counts, "majority", b"[1, -1]"),
    "coefficients": partial(counts, "logistic", b'{"coef": [[1]], "intercept": [0, 0]}'),
    "no coefficients": partial(
        counts, "logistic", b'{"coef": [[1, 1, 1], [1, 1, NaN]], "intercept": [0, 0]}'
    ),
}


# ---------------------------------------------------------------- who stops what


def fate(attack: Attack, folder: Path) -> tuple[str, list[Guard]]:
    """The code of what became of an attack, and the guards that had a part in it."""
    shutil.rmtree(folder.parent)
    folder.mkdir(parents=True)
    try:
        attack(folder)
    except (Refused, Unfit) as refused:
        return refused.code, list(stopped(refused))
    except Exception as error:
        return type(error).__name__, []
    return "", []


def stopped(error: object) -> Iterator[Guard]:
    """The `raise` of an error and of all that led to it."""
    if not isinstance(error, BaseException):
        return
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is not None:
        path, line = frame.tb_frame.f_code.co_filename, frame.tb_lineno
        for guard, node in GUARDS.items():
            inside = node.lineno <= line <= (node.end_lineno or 0)
            if inside and path == str(SOURCE / f"{guard[0]}.py"):
                yield guard
    if isinstance(error, ValidationError):
        for one in error.errors():
            yield from stopped(one.get("ctx", {}).get("error"))
    yield from stopped(error.__cause__)


@pytest.fixture(scope="module")
def owners(tmp_path_factory: pytest.TempPathFactory) -> dict[Guard, list[tuple[str, str]]]:
    """The attacks that each guard stops, and the code that they are refused with."""
    folder = tmp_path_factory.mktemp("attacks") / "x" / "model.bundle"
    folder.mkdir(parents=True)
    found: dict[Guard, list[tuple[str, str]]] = {}
    for name, attack in ATTACKS.items():
        code, guards = fate(attack, folder)
        assert guards, f"{name} is not refused: {code}"
        for guard in guards:
            found.setdefault(guard, []).append((name, code))
    return found


@pytest.mark.parametrize("guard", GUARDS, ids=guard_id)
def test_every_attack_succeeds_without_its_guard(
    guard: Guard, owners: dict[Guard, list[tuple[str, str]]], tmp_path: Path
) -> None:
    """Not refused with that code, for one of the attacks that it stops."""
    stops = owners.get(guard, [])
    assert stops, "no attack is stopped by it: write one"
    folder = tmp_path / "x" / "model.bundle"
    folder.mkdir(parents=True)
    with without(guard):
        fates = [(code, fate(ATTACKS[name], folder)[0]) for name, code in stops]
    assert any(before != after for before, after in fates)
