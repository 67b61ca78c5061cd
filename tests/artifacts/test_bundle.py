"""A bundle that differs from its contract is refused, and loading needs no heavy library."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from phasewatch.artifacts import bundle, contract
from phasewatch.artifacts.bundle import CARD, GRAPH, TERMS, Terms, load
from phasewatch.errors import Refused
from phasewatch.io.trust import Trust

HEAVY = "torch", "xgboost", "sklearn", "scipy", "polars", "pyarrow", "pandas", "onnx", "fastapi"


def code(folder: Path, trust: Trust | None = None) -> str:
    with pytest.raises(Refused) as refused:
        load(folder, trust or Trust())
    assert "\n" not in str(refused.value)
    return refused.value.code


def rewrite(folder: Path, **changes: Any) -> None:
    """Change a contract and make its digest fit."""
    value = json.loads((folder / TERMS).read_bytes()) | changes
    (folder / TERMS).write_bytes(Terms.model_validate(value).sealed())


def test_a_bundle_holds_graph_and_contract(bundle_files: dict[str, bytes]) -> None:
    assert set(bundle_files) == {TERMS, GRAPH, CARD}


def test_the_bundle_runtime_loads_no_heavy_library(bundle_folder: Path) -> None:
    words = f"""
import sys
from pathlib import Path
from phasewatch.artifacts import bundle
from phasewatch.live import jsonl
bundle.load(Path({str(bundle_folder)!r}))
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", [TERMS, GRAPH])
def test_a_missing_file_is_named(bundle_folder: Path, name: str) -> None:
    (bundle_folder / name).unlink()
    with pytest.raises(Refused, match=name) as refused:
        load(bundle_folder)
    assert refused.value.code == "missing"


def test_a_flipped_byte_of_the_graph_is_refused(bundle_folder: Path) -> None:
    intact = bytearray((bundle_folder / GRAPH).read_bytes())
    intact[len(intact) // 2] ^= 1
    (bundle_folder / GRAPH).write_bytes(intact)
    assert code(bundle_folder) == "digest"


def test_a_graph_with_another_schema_inside_is_refused(bundle_folder: Path) -> None:
    data = json.loads((bundle_folder / TERMS).read_bytes())["data"]
    data["channels"][0][4] = "another meaning"
    rewrite(bundle_folder, data=data)
    assert code(bundle_folder) == "contract_mismatch"


def test_another_graph_is_detected_by_its_logits(bundle_folder: Path) -> None:
    """With fitting digests, changed weights still change logits of the golden windows."""
    golden = json.loads((bundle_folder / TERMS).read_bytes())["golden"]
    golden[3]["logits"][0] += 0.01
    rewrite(bundle_folder, golden=golden)
    assert code(bundle_folder) == "golden_mismatch"


def test_an_older_serial_is_refused(bundle_folder: Path) -> None:
    serial = bundle.load_terms(bundle_folder).serial
    load(bundle_folder, Trust(serial=serial))
    assert code(bundle_folder, Trust(serial=serial + 1)) == "rollback"


def test_a_scaled_input_is_refused_with_its_channel(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from phasewatch import windowing

    align = windowing.align

    def scaled(samples: Any, columns: Any, *rest: Any) -> Any:
        factors = [1 + (name == "proc.vcpu_run") for name in columns.names]
        return align(samples, columns, *rest) * factors

    monkeypatch.setattr(windowing, "align", scaled)
    with pytest.raises(contract.Drift, match=r"channel proc\.vcpu_run is not computed"):
        load(bundle_folder)


def test_a_graph_of_other_classes_is_refused(bundle_folder: Path) -> None:
    model = onnx.load_from_string((bundle_folder / GRAPH).read_bytes())
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 99
    regraph(bundle_folder, model)
    assert code(bundle_folder) == "weights_shape"


def regraph(folder: Path, model: onnx.ModelProto) -> None:
    """Replace the graph, and make all digests fit."""
    data = model.SerializeToString()
    (folder / GRAPH).write_bytes(data)
    rewrite(folder, onnx_bytes=len(data), onnx_sha256=hashlib.sha256(data).hexdigest())


def test_a_graph_with_external_weights_is_refused(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No digest is over those, and onnxruntime looks for them where the process stands."""
    monkeypatch.chdir(tmp_path)
    Path("more.bin").write_bytes(bytes(4))
    model = onnx.load_from_string((bundle_folder / GRAPH).read_bytes())
    more = onnx.helper.make_tensor("more", onnx.TensorProto.FLOAT, [1], [0.0])
    more.ClearField("float_data")
    more.data_location = onnx.TensorProto.EXTERNAL
    more.external_data.add(key="location", value="more.bin")
    model.graph.initializer.append(more)
    regraph(bundle_folder, model)
    assert code(bundle_folder) == "weights_format"
    monkeypatch.setattr(bundle, "OUTSIDE", b"no such key")
    load(bundle_folder)


def test_a_graph_that_fails_when_run_is_refused_in_one_line(bundle_folder: Path) -> None:
    model = onnx.load_from_string((bundle_folder / GRAPH).read_bytes())
    for node in model.graph.node:
        node.output[:] = ["whole" if one == "logits" else one for one in node.output]
    cut = onnx.helper.make_tensor("cut", onnx.TensorProto.INT64, [2], [5, 6])
    model.graph.initializer.append(cut)
    model.graph.node.append(onnx.helper.make_node("Reshape", ["whole", "cut"], ["logits"]))
    regraph(bundle_folder, model)
    assert code(bundle_folder) == "weights_format"


def test_a_graph_that_predicts_differently_in_a_batch_is_refused(bundle_folder: Path) -> None:
    """Less the mean over the batch, which of one window is all there is of it."""
    model = onnx.load_from_string((bundle_folder / GRAPH).read_bytes())
    for node in model.graph.node:
        node.output[:] = ["whole" if one == "logits" else one for one in node.output]
    model.graph.initializer.append(
        onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [0])
    )
    mean = onnx.helper.make_node("ReduceMean", ["whole", "axes"], ["mean"])
    off = onnx.helper.make_node("Sub", ["mean", "whole"], ["off"])
    intact = onnx.helper.make_node("Add", ["off", "whole"], ["logits"])
    model.graph.node.extend([mean, off, intact])
    regraph(bundle_folder, model)
    assert code(bundle_folder) == "golden_mismatch"


def test_a_bundle_without_a_rule_for_incidents_has_no_field_for_it(bundle_folder: Path) -> None:
    assert "alarm" not in json.loads((bundle_folder / TERMS).read_bytes())
    assert load(bundle_folder).alarm is None


def test_what_is_no_rule_for_incidents_is_refused(bundle_folder: Path) -> None:
    rewrite(bundle_folder, alarm={"threshold": 3.0})
    assert code(bundle_folder) == "alarm_rule"
