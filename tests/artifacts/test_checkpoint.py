import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load as unpack
from safetensors.torch import save as pack
from tests import toy
from tests.trained import trained

from phasewatch import schema, windowing
from phasewatch.artifacts import checkpoint, contract
from phasewatch.artifacts.checkpoint import Checkpoint, load, save
from phasewatch.artifacts.contract import Drift
from phasewatch.errors import Refused
from phasewatch.features.views import OLDEST
from phasewatch.io import atomic
from phasewatch.models import _trainer
from phasewatch.models.base import names
from phasewatch.schema import MODES, Mode, Schema
from phasewatch.store.local import Store


@pytest.fixture(scope="module")
def gbt(toy_store: Store) -> Checkpoint:
    return trained(toy_store)


@pytest.fixture
def path(gbt: Checkpoint, tmp_path: Path) -> Path:
    return save(gbt, toy.episode(), tmp_path)


def weights_of(path: Path) -> Path:
    (weights,) = (file for file in path.parent.iterdir() if file != path)
    return weights


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", names())
def test_every_loaded_model_gives_the_same_logits(
    toy_store: Store, tmp_path: Path, name: str, mode: Mode
) -> None:
    layout = trained(toy_store, name, mode)
    again = load(save(layout, toy.episode(), tmp_path))
    windows = windowing.cut_windows(toy.episode("beta", "leak"), layout.schema, layout.opening_s)
    for level, past in ((windows.opening, windows.past), (windows.opening, None), (None, None)):
        one, two = (each.logits(windows.x, level, past) for each in (again, layout))
        np.testing.assert_array_equal(one, two)
    assert again.schema == layout.schema
    assert (again.name, again.mode, again.model_name) == (layout.name, mode, name)


def test_a_checkpoint_binds_to_its_training_schema(path: Path) -> None:
    layout = schema.vm46()
    extra = schema.Channel("proc.new", "s", "gauge", True, "a 47th channel")
    for data in (layout, replace(layout, channels=(extra, *layout.channels[::-1]))):
        load(path).bind(data, "store")


def _changed(layout: Schema, place: int, **changes: Any) -> Schema:
    channels = list(layout.channels)
    channels[place] = replace(channels[place], **changes)
    return replace(layout, channels=tuple(channels))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda one: _changed(one, 17, unit="s"), "guest.forks: unit"),
        (lambda one: _changed(one, 0, kind="gauge"), "proc.vcpu_run: kind"),
        (lambda one: _changed(one, 0, deployed=False), "proc.vcpu_run: deployed"),
        (lambda one: replace(one, channels=one.channels[1:]), "proc.vcpu_run is missing"),
        (lambda one: replace(one, grid=replace(one.grid, window_s=20.0)), "window_s=20.0"),
        (lambda one: replace(one, grid=replace(one.grid, step_s=0.25)), "step_s=0.25"),
        (lambda one: replace(one, classes=one.classes[::-1]), "classes"),
    ],
)
def test_a_changed_schema_is_refused_by_name(
    path: Path, change: Callable[[Schema], Schema], expected: str
) -> None:
    with pytest.raises(Drift, match="trained on") as drift:
        load(path).bind(change(schema.vm46()), "store")
    assert expected in str(drift.value)
    assert "\n" not in str(drift.value)


def test_swapped_channels_in_the_header_are_refused(path: Path) -> None:
    """Also when the digest is made to fit: the probe's window no longer comes out."""

    def swap(header: dict[str, Any]) -> None:
        rows = header["data"]["channels"]
        rows[3], rows[17] = rows[17], rows[3]

    _rewrite(path, swap)
    with pytest.raises(Drift):
        load(path)


def _rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a header and make its digests fit."""
    value = json.loads(path.read_bytes())
    change(value)
    layout = schema.parse(value["data"], path)
    value["fingerprints"] = contract.fingerprints(layout, value["view_version"])
    header = checkpoint.Header(**value)
    path.write_text(json.dumps({**value, "digest": header.computed()}))


def test_a_changed_feature_extraction_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same names, same units, same hashes, other numbers: only the probe can know."""
    align = windowing.align

    def scaled(samples: Any, columns: schema.SourceColumns, *rest: Any) -> Any:
        factors = np.where(columns.sorts == schema.COUNTER, 1000, 1)
        return align(samples, columns, *rest) * factors

    monkeypatch.setattr(windowing, "align", scaled)
    with pytest.raises(Drift, match=r"channel proc\.vcpu_run is not computed as in training"):
        load(path)


def test_another_extraction_version_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phasewatch.features.context.STATISTICS", ("mean", "range"))
    with pytest.raises(Drift, match="fingerprints"):
        load(path)


def test_every_flipped_byte_of_the_weights_is_refused(path: Path) -> None:
    place = weights_of(path)
    intact = place.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(intact), 40):
        damaged = bytearray(intact)
        damaged[at] ^= 4
        place.write_bytes(damaged)
        with pytest.raises(Refused, match="damaged") as refused:
            load(path)
        assert refused.value.code == "digest"


@pytest.mark.parametrize("field", ["lens", "scores", "classes", "weights_bytes", "seed"])
def test_a_changed_header_is_refused(path: Path, field: str) -> None:
    text = path.read_text()
    value = json.loads(text)
    if field == "lens":
        value["lens"]["mean"][0] += 1
    elif field == "scores":
        value["scores"]["validation_macro_f1"] = 1.5
    elif field == "classes":
        value["data"]["classes"].reverse()
    elif field == "seed":
        value["recipe"]["seed"] = 9
    else:
        value["weights_bytes"] += 1
    path.write_text(json.dumps(value))
    with pytest.raises(Refused, match="changed after it was written"):
        load(path)


@pytest.mark.parametrize("length", [0, 10, 500, -2])
def test_a_truncated_header_is_refused_in_one_line(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(Refused) as refused:
        load(path)
    assert refused.value.code == "header_json"
    assert "\n" not in str(refused.value)


def test_missing_files_are_named(path: Path, tmp_path: Path) -> None:
    weights_of(path).unlink()
    with pytest.raises(Refused, match=r"xgb\.json.*copy both files"):
        load(path)
    with pytest.raises(Refused, match="absent"):
        load(tmp_path / "absent.ckpt.json")


def test_names_with_dots_do_not_collide(gbt: Checkpoint, tmp_path: Path) -> None:
    paths = {
        save(replace(gbt, name=name), toy.episode(), tmp_path) for name in ("g.v1.2", "g.v1.3")
    }
    assert len(paths) == 2
    assert {load(path).name for path in paths} == {"g.v1.2", "g.v1.3"}


@pytest.mark.parametrize("name", ["../x", "", "a/b", "A", ".x", "x" * 65])
def test_a_name_cannot_leave_the_folder(gbt: Checkpoint, tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="not usable"):
        save(replace(gbt, name=name), toy.episode(), tmp_path)


def test_a_failed_save_leaves_the_earlier_checkpoint_intact(
    path: Path, gbt: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = atomic.write

    def full(target: Path, data: bytes) -> None:
        if target == path:
            raise OSError(28, "No space left on device")
        written(target, data)

    before = path.read_bytes()
    monkeypatch.setattr(atomic, "write", full)
    with pytest.raises(OSError, match="No space"):
        save(replace(gbt, scores={}), toy.episode(), path.parent)
    assert path.read_bytes() == before
    load(path)


def test_realistic_mode_never_sees_the_guest(toy_store: Store) -> None:
    """A manipulated agent changes no bit of the logits in realistic mode."""
    layout = trained(toy_store, mode="realistic")
    episode = toy.episode("delta", "dig")
    guest = episode.sources["guest"]
    lied = replace(guest, values=guest.values[::-1] * 7)
    altered = replace(episode, sources={**episode.sources, "guest": lied})
    altered_windows, truth = (
        windowing.cut_windows(one, layout.schema, layout.opening_s) for one in (altered, episode)
    )
    np.testing.assert_array_equal(
        layout.logits(altered_windows.x, altered_windows.opening, altered_windows.past),
        layout.logits(truth.x, truth.opening, truth.past),
    )


# ---------------------------------------------------------------- by somebody who fixes all digests


@pytest.fixture(scope="module")
def network(toy_store: Store) -> Checkpoint:
    return trained(toy_store, "mlp", "realistic")


@pytest.fixture
def forged(network: Checkpoint, tmp_path: Path) -> Callable[..., str]:
    """The code with which a checkpoint is refused whose weights or header were changed."""
    path = save(network, toy.episode(), tmp_path)
    place = weights_of(path)

    def code(
        weights: Callable[[bytes], bytes] = bytes,
        header: Callable[[dict[str, Any]], object] = lambda value: None,
    ) -> str:
        changed = weights(place.read_bytes())
        digest = hashlib.sha256(changed).hexdigest()
        place.with_name(f"{network.name}.{digest[:16]}.safetensors").write_bytes(changed)
        value = json.loads(path.read_bytes())
        value |= {"weights_sha256": digest, "weights_bytes": len(changed)}
        header(value)
        path.write_bytes(checkpoint.Header.model_validate(value).sealed())
        with pytest.raises(Refused) as refused:
            load(path)
        assert "\n" not in str(refused.value)
        return refused.value.code

    return code


def _tensors(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def forge(weights: bytes) -> bytes:
        tensors = unpack(weights)
        change(tensors)
        return pack(tensors, metadata=_trainer.metadata(weights))

    return forge


def _about(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def forge(weights: bytes) -> bytes:
        about = json.loads(_trainer.metadata(weights)["about"])
        change(about)
        return pack(unpack(weights), metadata={"about": json.dumps(about)})

    return forge


FIRST = "inner.0.weight"
WEIGHTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "pickle": (lambda data: b"\x80\x04K\x01.", "weights_format"),
    "archive": (lambda data: b"PK\x03\x04" + data, "weights_format"),
    "pickle behind": (lambda data: data + b"\x80\x04K\x01.", "weights_format"),
    "empty": (lambda data: b"", "weights_format"),
    "header length": (lambda data: (1 << 63).to_bytes(8, "little") + data[8:], "weights_format"),
    "hole": (lambda data: data[:-4], "weights_format"),
    "another tensor": (_tensors(lambda one: one.update(more=torch.zeros(1))), "weights_shape"),
    "missing": (_tensors(lambda one: one.pop(FIRST)), "weights_shape"),
    "renamed": (_tensors(lambda one: one.update(x=one.pop(FIRST))), "weights_shape"),
    "turned": (
        _tensors(lambda one: one.update({FIRST: one[FIRST].T.contiguous()})),
        "weights_shape",
    ),
    "double": (_tensors(lambda one: one.update({FIRST: one[FIRST].double()})), "weights_shape"),
    "whole": (_tensors(lambda one: one.update({FIRST: one[FIRST].long()})), "weights_shape"),
    "nan": (_tensors(lambda one: one[FIRST].fill_(float("nan"))), "weights_nonfinite"),
    "infinite": (_tensors(lambda one: one[FIRST].fill_(float("inf"))), "weights_nonfinite"),
    "other answers": (_tensors(lambda one: one[FIRST].mul_(1.01)), "golden_mismatch"),
    "other answers without a source": (
        _tensors(lambda one: one[FIRST][:, one[FIRST].shape[1] // 2 :].mul_(1.01)),
        "golden_mismatch",
    ),
    "wide": (_about(lambda one: one["config"].update(hidden=10**9)), "semantics_config"),
    "wide and legal": (_about(lambda one: one["config"].update(hidden=4096)), "semantics_config"),
    "deep": (_about(lambda one: one["config"].update(depth=10**6)), "semantics_config"),
    "negative": (_about(lambda one: one["config"].update(hidden=-1)), "semantics_config"),
    "half": (_about(lambda one: one["config"].update(hidden=1.5)), "semantics_config"),
    "unknown choice": (_about(lambda one: one["config"].update(path="/x")), "semantics_config"),
    "shape": (_about(lambda one: one.update(shape=[10**9])), "weights_shape"),
}


@pytest.mark.parametrize("attack", WEIGHTS)
def test_forged_weights_are_refused_by_code(forged: Callable[..., str], attack: str) -> None:
    change, code = WEIGHTS[attack]
    assert forged(weights=change) == code


def _hidden(value: dict[str, Any]) -> None:
    one = next(one for one in schema.vm46().channels if not one.deployed)
    value["data"]["channels"].append([*one.definition(), one.meaning])


def _renamed(value: dict[str, Any]) -> None:
    value["probe"]["sources"]["proc"]["names"][0] = "proc.other"


def _disordered(value: dict[str, Any]) -> None:
    lens = value["lens"]
    row = next(row for row, low in enumerate(lens["lowest_level"]) if low < 5)
    lens["lowest_level"][row], lens["highest_level"][row] = 7.0, 6.0


def _remembered(value: dict[str, Any]) -> None:
    for one in (value["probe"], *value["golden"]):
        one["past"] = [row[1:] for row in one["past"]]


def _held(value: dict[str, Any]) -> None:
    value["data"]["grid"].update(step_s=0.01, hold_s=86_400.0)
    value["fingerprints"] = contract.fingerprints(schema.parse(value["data"], ""), 4)


HEADERS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "hidden channel": (_hidden, "semantics_mask"),
    "swapped channels": (lambda v: v["data"]["channels"].reverse(), "contract_mismatch"),
    "renamed class": (lambda v: v["data"]["classes"].reverse(), "contract_mismatch"),
    "double class": (lambda v: v["data"]["classes"].append("benign"), "semantics_classes"),
    "another window": (lambda v: v["data"]["grid"].update(window_s=20.0), "contract_mismatch"),
    "text for a truth": (
        lambda v: v["data"]["channels"][0].__setitem__(3, "yes"),
        "semantics_schema",
    ),
    "no spread": (lambda v: v["lens"]["std"].__setitem__(0, 0.0), "semantics_scaler"),
    "negative spread": (lambda v: v["lens"]["std"].__setitem__(0, -1.0), "semantics_scaler"),
    "tiny spread": (lambda v: v["lens"]["std"].__setitem__(0, 1e-300), "semantics_scaler"),
    "far level": (lambda v: v["lens"]["mean"].__setitem__(0, 1e30), "semantics_scaler"),
    "endless hold": (_held, "semantics_grid"),
    "shorter lens": (lambda v: v["lens"]["mean"].pop(), "semantics_scaler"),
    "a limit above the mean": (lambda v: v["lens"]["low"].__setitem__(3, 0.1), "semantics_scaler"),
    "levels out of order": (_disordered, "semantics_scaler"),
    "endless limit": (lambda v: v["lens"]["high"].__setitem__(3, 1e9), "semantics_scaler"),
    "no limits": (lambda v: v["lens"].pop("low"), "semantics_scaler"),
    "another view": (lambda v: v.update(view_version=OLDEST), "contract_mismatch"),
    "shorter past": (_remembered, "semantics_golden"),
    "no past": (lambda v: v["golden"][1].update(past=[]), "semantics_golden"),
    "shorter plane": (lambda v: v["plane"]["axes"].pop(), "semantics_plane"),
    "shorter golden": (lambda v: v["golden"][0]["logits"].pop(), "semantics_golden"),
    "one class": (lambda v: v["data"].update(classes=["benign"]), "semantics_classes"),
    "no classes": (lambda v: v["data"].pop("classes"), "semantics_classes"),
    "another name in the probe": (_renamed, "semantics_probe"),
    "another model": (lambda v: v.update(model="os.path"), "model_unknown"),
    "another kind": (lambda v: v.update(model="cnn"), "semantics_config"),
    "another choice": (lambda v: v["config"].update(depth=3), "semantics_config"),
    "golden answers": (lambda v: v["golden"][0]["logits"].reverse(), "golden_mismatch"),
}


@pytest.mark.parametrize("attack", HEADERS)
def test_forged_header_fields_are_refused_by_code(forged: Callable[..., str], attack: str) -> None:
    change, code = HEADERS[attack]
    assert forged(header=change) == code


def test_the_weights_of_another_model_are_noticed(
    path: Path, gbt: Checkpoint, toy_store: Store
) -> None:
    other = save(trained(toy_store, "gbt", "realistic"), toy.episode(), path.parent)
    layout, writing = (next(path.parent.glob(f"gbt-{mode}.*.xgb.json")) for mode in reversed(MODES))
    layout.write_bytes(writing.read_bytes())
    load(other)
    with pytest.raises(Refused) as refused:
        load(path)
    assert refused.value.code == "digest"


def test_the_projection_is_that_of_the_training_windows(path: Path, gbt: Checkpoint) -> None:
    windows = windowing.cut_windows(toy.episode(), gbt.schema, gbt.opening_s)
    z = gbt.normalizer.apply(windows.x, windows.opening, windows.past)
    assert gbt.projection is not None
    again = load(path).projection
    assert again is not None
    np.testing.assert_array_equal(again.apply(z), gbt.projection.apply(z))
    np.testing.assert_allclose(gbt.projection.axes @ gbt.projection.axes.T, np.eye(2), atol=1e-4)


def test_a_past_that_is_computed_otherwise_is_refused(path: Path) -> None:
    """The probe has the samples of the past as well, and knows what they gave."""

    def moved(value: dict[str, Any]) -> None:
        value["probe"]["past"][4][-1] += 0.01

    _rewrite(path, moved)
    with pytest.raises(Drift, match="is not computed as in training"):
        load(path)


def test_what_a_model_says_of_a_past_is_golden(gbt: Checkpoint, path: Path) -> None:
    header = checkpoint.load_header(path)
    pasts = [np.array(one.past, dtype=np.float64) for one in header.golden]
    assert any(np.isfinite(past).any() for past in pasts)
    assert any(np.isnan(past).all() for past in pasts)
    assert np.isfinite(np.array(header.probe.past, dtype=np.float64)).any()


@pytest.mark.parametrize("name", ["gbt", "cnn"])
def test_version_3_of_the_views_is_still_trained_and_read(
    toy_store: Store, tmp_path: Path, name: str
) -> None:
    old = trained(toy_store, name, "realistic", OLDEST)
    path = save(old, toy.episode(), tmp_path)
    value = json.loads(path.read_bytes())
    assert value["view_version"] == OLDEST and value["lens"].keys() == {"opening", "mean", "std"}
    assert not any("past" in one for one in (value["probe"], *value["golden"]))
    again = load(path)
    windows = windowing.cut_windows(toy.episode("beta", "leak"), old.schema, old.opening_s)
    found = again.logits(windows.x, windows.opening, windows.past)
    np.testing.assert_array_equal(found, old.logits(windows.x, windows.opening))

    value["golden"][0]["past"] = [[0.0]]
    path.write_bytes(checkpoint.Header.model_validate(value).sealed())
    load(path)
    path.write_text(json.dumps(value))
    with pytest.raises(Refused, match="golden"):
        load(path)
