import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toy
from phasewatch import checkpoint, contract, durable, pipeline, schema, training, windows
from phasewatch.checkpoint import Checkpoint, load, save
from phasewatch.contract import Drift
from phasewatch.model import UNWATCHED, names
from phasewatch.refusal import Refused
from phasewatch.schema import MODES, Mode, Schema
from phasewatch.splits import Split
from phasewatch.store import Store
from phasewatch.training import Task

SPLIT = Split("held_out_host", "delta", ("alpha.dig.s1",), ("gamma.dig.s1",), (), ())


def trained(store: Store, name: str = "gbt", mode: Mode = "oracle") -> Checkpoint:
    own = store.schema.mode(mode)
    ids = tuple(id for id in store.ids() if id.startswith(("alpha", "beta")))
    both = pipeline.extract(store, ids, own, toy.RECIPE.opening_s)
    probe = (toy.episode(), Path("nowhere"))
    task = Task(toy.RECIPE, name, mode, own, SPLIT, both, both, *probe)
    return training.fit(task, UNWATCHED)


@pytest.fixture(scope="module")
def made(toy_store: Store) -> Checkpoint:
    return trained(toy_store)


@pytest.fixture
def path(made: Checkpoint, tmp_path: Path) -> Path:
    return save(made, toy.episode(), tmp_path)


def weights_of(path: Path) -> Path:
    (weights,) = (file for file in path.parent.iterdir() if file != path)
    return weights


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", names())
def test_every_model_comes_back_with_the_same_answers(
    toy_store: Store, tmp_path: Path, name: str, mode: Mode
) -> None:
    own = trained(toy_store, name, mode)
    again = load(save(own, toy.episode(), tmp_path))
    asked = windows.cut(toy.episode("beta", "leak"), own.schema, own.opening_s)
    for level in (asked.opening, None):
        np.testing.assert_array_equal(again.logits(asked.x, level), own.logits(asked.x, level))
    assert again.schema == own.schema
    assert (again.name, again.mode, again.model_name) == (own.name, mode, name)


def test_it_binds_to_the_schema_it_was_trained_on(path: Path) -> None:
    own = schema.vm46()
    extra = schema.Channel("proc.new", "s", "gauge", True, "a 47th channel")
    for data in (own, replace(own, channels=(extra, *own.channels[::-1]))):
        load(path).bind(data, "store")


def _changed(own: Schema, place: int, **changes: Any) -> Schema:
    channels = list(own.channels)
    channels[place] = replace(channels[place], **changes)
    return replace(own, channels=tuple(channels))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda own: _changed(own, 17, unit="s"), "guest.forks: unit"),
        (lambda own: _changed(own, 0, kind="gauge"), "proc.vcpu_run: kind"),
        (lambda own: _changed(own, 0, deployed=False), "proc.vcpu_run: deployed"),
        (lambda own: replace(own, channels=own.channels[1:]), "proc.vcpu_run is missing"),
        (lambda own: replace(own, grid=replace(own.grid, window_s=20.0)), "window_s=20.0"),
        (lambda own: replace(own, grid=replace(own.grid, step_s=0.25)), "step_s=0.25"),
        (lambda own: replace(own, classes=own.classes[::-1]), "classes"),
    ],
)
def test_a_changed_schema_is_refused_by_name(
    path: Path, change: Callable[[Schema], Schema], told: str
) -> None:
    with pytest.raises(Drift, match="trained on") as drift:
        load(path).bind(change(schema.vm46()), "store")
    assert told in str(drift.value)
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
    """Change a header as somebody who also makes its digests fit."""
    value = json.loads(path.read_bytes())
    change(value)
    own = schema.parse(value["data"], path)
    value["fingerprints"] = contract.fingerprints(own)
    header = checkpoint.Header(**value)
    path.write_text(json.dumps({**value, "digest": header.computed()}))


def test_a_reader_that_changed_its_meaning_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same names, same units, same hashes, other numbers: only the probe can know."""
    measure = windows._measure

    def scaled(channels: tuple[schema.Channel, ...], *rest: Any) -> Any:
        return measure(channels, *rest) * [1000 if own.kind == "counter" else 1 for own in channels]

    monkeypatch.setattr(windows, "_measure", scaled)
    with pytest.raises(Drift, match=r"channel proc\.vcpu_run is not computed as in training"):
        load(path)


def test_another_extraction_version_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phasewatch.views.VERSION", 99)
    with pytest.raises(Drift, match="fingerprints"):
        load(path)


def test_every_flipped_byte_of_the_weights_is_noticed(path: Path) -> None:
    place = weights_of(path)
    whole = place.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(whole), 40):
        damaged = bytearray(whole)
        damaged[at] ^= 4
        place.write_bytes(damaged)
        with pytest.raises(Refused, match="damaged") as refused:
            load(path)
        assert refused.value.code == "digest"


@pytest.mark.parametrize("field", ["lens", "scores", "classes", "weights_bytes", "seed"])
def test_a_changed_header_is_noticed(path: Path, field: str) -> None:
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


@pytest.mark.parametrize("kept", [0, 10, 500, -2])
def test_a_truncated_header_is_one_line(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
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


def test_names_with_dots_do_not_collide(made: Checkpoint, tmp_path: Path) -> None:
    paths = {
        save(replace(made, name=name), toy.episode(), tmp_path) for name in ("g.v1.2", "g.v1.3")
    }
    assert len(paths) == 2
    assert {load(path).name for path in paths} == {"g.v1.2", "g.v1.3"}


@pytest.mark.parametrize("name", ["../x", "", "a/b", "A", ".x", "x" * 65])
def test_a_name_cannot_leave_the_folder(made: Checkpoint, tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="not usable"):
        save(replace(made, name=name), toy.episode(), tmp_path)


def test_saving_again_leaves_a_whole_checkpoint_when_it_fails(
    path: Path, made: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = durable.write

    def full(target: Path, data: bytes) -> None:
        if target == path:
            raise OSError(28, "No space left on device")
        written(target, data)

    before = path.read_bytes()
    monkeypatch.setattr(durable, "write", full)
    with pytest.raises(OSError, match="No space"):
        save(replace(made, scores={}), toy.episode(), path.parent)
    assert path.read_bytes() == before
    load(path)


def test_realistic_mode_never_sees_the_guest(toy_store: Store) -> None:
    """Whatever an adversary makes the agent say, the realistic answer is the same to the bit."""
    own = trained(toy_store, mode="realistic")
    episode = toy.episode("delta", "dig")
    guest = episode.sources["guest"]
    lied = replace(guest, values=guest.values[::-1] * 7)
    told = replace(episode, sources={**episode.sources, "guest": lied})
    lies, truth = (windows.cut(one, own.schema, own.opening_s) for one in (told, episode))
    np.testing.assert_array_equal(
        own.logits(lies.x, lies.opening), own.logits(truth.x, truth.opening)
    )
