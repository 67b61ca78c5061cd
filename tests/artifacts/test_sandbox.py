"""A model that would end its reader only ends a child process."""

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from tests import mutated
from tests.mutated import Model

from phasewatch.artifacts.bundle import TERMS
from phasewatch.artifacts.sandbox import load_in_sandbox
from phasewatch.errors import Refused
from phasewatch.io.trust import Trust


def put(folder: Path, name: str, kind: str, weights: bytes | None = None) -> Path:
    """Write a frozen model, with other weights if given, and make all digests fit."""
    frozen = Model(mutated.newest(), name, kind)
    data = frozen.weights if weights is None else weights
    head = frozen.put(folder, frozen.sealed(frozen.header, data), data, mutated.digest(data))
    return folder if head.name == TERMS else head


def graph(counts: onnx.TensorProto, body: onnx.GraphProto) -> bytes:
    """A frozen graph that goes round a loop before it answers."""
    model_proto = onnx.load_from_string(Model(mutated.newest(), "mlp", "onnx").weights)
    for node in model_proto.graph.node:
        node.output[:] = ["whole" if one == "logits" else one for one in node.output]
    model_proto.graph.initializer.append(counts)
    loop = helper.make_node("Loop", [counts.name, "", "whole"], ["logits"], body=body)
    model_proto.graph.node.append(loop)
    return bytes(model_proto.SerializeToString())


def endless() -> bytes:
    value = helper.make_tensor_value_info
    ends = [value(name, TensorProto.FLOAT, None) for name in ("before", "after")]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["still"]),
            helper.make_node("Identity", ["before"], ["after"]),
        ],
        "body",
        [value("turn", TensorProto.INT64, []), value("on", TensorProto.BOOL, []), ends[0]],
        [value("still", TensorProto.BOOL, []), ends[1]],
    )
    return graph(helper.make_tensor("turns", TensorProto.INT64, [], [1 << 62]), body)


@pytest.mark.parametrize(("name", "kind"), [("gbt", "xgboost"), ("gbt", "bundle")])
def test_the_sandbox_accepts_an_intact_model_and_refuses_a_damaged_one(
    tmp_path: Path, name: str, kind: str
) -> None:
    path = put(tmp_path, name, kind)
    load_in_sandbox(path)
    with pytest.raises(Refused) as refused:
        load_in_sandbox(path, Trust(key=tmp_path / "absent.pub"))
    assert refused.value.code == "key"
    body = next(one for one in tmp_path.iterdir() if one != path and one.name != TERMS)
    body.write_bytes(body.read_bytes()[:-1])
    with pytest.raises(Refused) as refused:
        load_in_sandbox(path)
    assert refused.value.code == "digest"
    assert json.dumps(refused.value.__reduce__()[1])


def test_an_endless_graph_stops_only_the_child_process(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"ended the process that tried it \(SIG") as refused:
        load_in_sandbox(put(tmp_path, "mlp", "onnx", endless()), limit_s=2)
    assert refused.value.code == "child"
