"""A bundle is held to its contract, and needs nothing heavy."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from tests.artifacts.test_export import saved

from phasewatch.artifacts import bundle, contract
from phasewatch.artifacts.bundle import CARD, GRAPH, TERMS, Terms, load
from phasewatch.artifacts.export import export
from phasewatch.errors import Refused
from phasewatch.io.trust import Trust
from phasewatch.store.local import Store

HEAVY = "torch", "xgboost", "sklearn", "scipy", "polars", "pyarrow", "pandas", "onnx", "fastapi"


@pytest.fixture(scope="session")
def exported(toy_store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a bundle."""
    folder = tmp_path_factory.mktemp("exported")
    made = export(saved(toy_store, folder), toy_store, folder)
    return {path.name: path.read_bytes() for path in made.iterdir()}


@pytest.fixture
def made(exported: dict[str, bytes], tmp_path: Path) -> Path:
    folder = tmp_path / "gbt-oracle.bundle"
    folder.mkdir()
    for name, data in exported.items():
        (folder / name).write_bytes(data)
    return folder


def code(folder: Path, trust: Trust | None = None) -> str:
    with pytest.raises(Refused) as refused:
        load(folder, trust or Trust())
    assert "\n" not in str(refused.value)
    return refused.value.code


def rewrite(folder: Path, **changes: Any) -> None:
    """Change a contract and make its digest fit."""
    value = json.loads((folder / TERMS).read_bytes()) | changes
    (folder / TERMS).write_bytes(Terms.model_validate(value).sealed())


def test_it_holds_what_a_bundle_is(exported: dict[str, bytes]) -> None:
    assert set(exported) == {TERMS, GRAPH, CARD}


def test_its_runtime_loads_nothing_heavy(made: Path) -> None:
    words = f"""
import sys
from pathlib import Path
from phasewatch.artifacts import bundle
from phasewatch.live import jsonl
bundle.load(Path({str(made)!r}))
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", [TERMS, GRAPH])
def test_a_missing_file_is_named(made: Path, name: str) -> None:
    (made / name).unlink()
    assert code(made) == "missing"


def test_a_flipped_byte_of_the_graph_is_noticed(made: Path) -> None:
    whole = bytearray((made / GRAPH).read_bytes())
    whole[len(whole) // 2] ^= 1
    (made / GRAPH).write_bytes(whole)
    assert code(made) == "digest"


def test_a_graph_with_another_schema_inside_is_refused(made: Path) -> None:
    data = json.loads((made / TERMS).read_bytes())["data"]
    data["channels"][0][4] = "another meaning"
    rewrite(made, data=data)
    assert code(made) == "contract_mismatch"


def test_another_graph_is_noticed_by_its_logits(made: Path) -> None:
    """With fitting digests, changed weights still change logits of the golden windows."""
    golden = json.loads((made / TERMS).read_bytes())["golden"]
    golden[3]["logits"][0] += 0.01
    rewrite(made, golden=golden)
    assert code(made) == "golden_mismatch"


def test_an_older_serial_is_refused(made: Path) -> None:
    serial = bundle.load_terms(made).serial
    load(made, Trust(serial=serial))
    assert code(made, Trust(serial=serial + 1)) == "rollback"


def test_a_scaled_input_is_refused_with_its_channel(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from phasewatch import windowing

    measure = windowing._measure

    def scaled(channels: Any, *rest: Any) -> Any:
        return measure(channels, *rest) * [1 + (one.name == "proc.vcpu_run") for one in channels]

    monkeypatch.setattr(windowing, "_measure", scaled)
    with pytest.raises(contract.Drift, match=r"channel proc\.vcpu_run is not computed"):
        load(made)


def test_a_graph_of_other_classes_is_refused(made: Path) -> None:
    model = onnx.load_from_string((made / GRAPH).read_bytes())
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 99
    regraph(made, model)
    assert code(made) == "weights_shape"


def regraph(folder: Path, model: onnx.ModelProto) -> None:
    """Replace the graph, and make all digests fit."""
    data = model.SerializeToString()
    (folder / GRAPH).write_bytes(data)
    rewrite(folder, onnx_bytes=len(data), onnx_sha256=hashlib.sha256(data).hexdigest())


def test_a_graph_whose_weights_lie_in_another_file_is_refused(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No digest is over those, and onnxruntime looks for them where the process stands."""
    monkeypatch.chdir(tmp_path)
    Path("more.bin").write_bytes(bytes(4))
    model = onnx.load_from_string((made / GRAPH).read_bytes())
    more = onnx.helper.make_tensor("more", onnx.TensorProto.FLOAT, [1], [0.0])
    more.ClearField("float_data")
    more.data_location = onnx.TensorProto.EXTERNAL
    more.external_data.add(key="location", value="more.bin")
    model.graph.initializer.append(more)
    regraph(made, model)
    assert code(made) == "weights_format"
    monkeypatch.setattr(bundle, "OUTSIDE", b"no such key")
    load(made)


def test_a_graph_that_fails_at_work_is_one_line(made: Path) -> None:
    model = onnx.load_from_string((made / GRAPH).read_bytes())
    for node in model.graph.node:
        node.output[:] = ["whole" if one == "logits" else one for one in node.output]
    cut = onnx.helper.make_tensor("cut", onnx.TensorProto.INT64, [2], [5, 6])
    model.graph.initializer.append(cut)
    model.graph.node.append(onnx.helper.make_node("Reshape", ["whole", "cut"], ["logits"]))
    regraph(made, model)
    assert code(made) == "weights_format"


def test_a_graph_that_predicts_otherwise_in_a_batch_is_noticed(made: Path) -> None:
    """Less the mean over the batch, which of one window is all there is of it."""
    model = onnx.load_from_string((made / GRAPH).read_bytes())
    for node in model.graph.node:
        node.output[:] = ["whole" if one == "logits" else one for one in node.output]
    model.graph.initializer.append(
        onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [0])
    )
    mean = onnx.helper.make_node("ReduceMean", ["whole", "axes"], ["mean"])
    off = onnx.helper.make_node("Sub", ["mean", "whole"], ["off"])
    whole = onnx.helper.make_node("Add", ["off", "whole"], ["logits"])
    model.graph.node.extend([mean, off, whole])
    regraph(made, model)
    assert code(made) == "golden_mismatch"


def test_a_bundle_without_a_rule_for_incidents_has_no_field_for_it(made: Path) -> None:
    assert "alarm" not in json.loads((made / TERMS).read_bytes())
    assert load(made).alarm is None


def test_what_is_no_rule_for_incidents_is_refused(made: Path) -> None:
    rewrite(made, alarm={"threshold": 3.0})
    assert code(made) == "alarm_rule"
