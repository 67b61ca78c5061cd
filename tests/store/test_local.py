import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.store.format import MANIFEST, SAMPLES
from phasewatch.store.local import Store, refuse_inside


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store", schema.vm46())


def test_a_published_episode_is_read_back(store: Store) -> None:
    written = toy.episode()
    store.publish(written)
    read = Store.open(store.root).read(written.id)
    assert replace(read, sources={}) == replace(written, sources={})
    for source, samples in written.sources.items():
        assert read.sources[source].names == samples.names
        assert read.sources[source].rate_hz == samples.rate_hz
        np.testing.assert_array_equal(read.sources[source].values, samples.values)
        np.testing.assert_array_equal(read.sources[source].t_wall_ns, samples.t_wall_ns)
        np.testing.assert_array_equal(read.sources[source].t_mono_ns, samples.t_mono_ns)


def test_nan_and_an_empty_source_survive(store: Store) -> None:
    episode = toy.episode()
    proc, guest = episode.sources["proc"], episode.sources["guest"]
    proc.values[3, 2] = np.nan
    none = replace(
        guest, t_wall_ns=guest.t_wall_ns[:0], t_mono_ns=guest.t_mono_ns[:0], values=guest.values[:0]
    )
    store.publish(replace(episode, sources={"proc": proc, "guest": none}))
    read = store.read(episode.id)
    np.testing.assert_array_equal(read.sources["proc"].values, proc.values)
    assert len(read.sources["guest"]) == 0


@pytest.mark.parametrize("simulated", [7, [1], "yes"])
def test_a_header_whose_simulation_is_no_table_is_refused(store: Store, simulated: object) -> None:
    header = json.loads((store.root / "store.json").read_text())
    (store.root / "store.json").write_text(json.dumps({**header, "simulated": simulated}))
    with pytest.raises(Refused, match=r"store\.json: simulated: is "):
        Store.open(store.root)


def test_an_id_is_published_once(store: Store) -> None:
    store.publish(toy.episode())
    with pytest.raises(Refused, match="already published"):
        store.publish(toy.episode())
    assert store.ids() == [toy.episode().id]


@pytest.mark.parametrize("id", ["../x", "", ".hidden", "a/b", "x" * 200, "a\nb"])
def test_an_id_cannot_name_a_path_outside_the_store(store: Store, id: str) -> None:
    with pytest.raises(Refused, match="not usable"):
        store.publish(replace(toy.episode(), id=id))
    assert store.ids() == []


def test_every_flipped_bit_is_refused(store: Store) -> None:
    folder = store.publish(toy.episode())
    generator = np.random.default_rng(0)
    for name in (MANIFEST, SAMPLES):
        path = folder / name
        intact = path.read_bytes()
        for place in generator.integers(0, len(intact), 60):
            damaged = bytearray(intact)
            damaged[place] ^= 1 << generator.integers(8)
            path.write_bytes(damaged)
            if name == MANIFEST and _same(damaged, intact):
                continue
            with pytest.raises(Refused):
                store.read(toy.episode().id)
        path.write_bytes(intact)
    store.read(toy.episode().id)


def _same(damaged: bytes | bytearray, intact: bytes) -> bool:
    """Whitespace between JSON tokens may turn into other whitespace: nothing was lost."""
    try:
        return bool(json.loads(damaged) == json.loads(intact))
    except ValueError:
        return False


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_truncated_file_is_refused(store: Store, length: int) -> None:
    path = store.publish(toy.episode()) / SAMPLES
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(Refused, match=r"samples\.parquet.*bytes"):
        store.read(toy.episode().id)


def test_a_missing_file_is_named(store: Store) -> None:
    folder = store.publish(toy.episode())
    (folder / SAMPLES).unlink()
    with pytest.raises(Refused, match=r"samples\.parquet: is missing"):
        store.read(toy.episode().id)


def test_a_renamed_episode_is_refused(store: Store) -> None:
    folder = store.publish(toy.episode())
    folder.rename(folder.with_name("other"))
    with pytest.raises(Refused, match="id"):
        store.read("other")


def test_a_removed_episode_is_gone_and_can_be_published_again(store: Store) -> None:
    for seed in (1, 2):
        store.publish(toy.episode(seed=seed))
    store.remove("alpha.dig.s1")
    assert [path.name for path in (store.root / "episodes").iterdir()] == ["alpha.dig.s2"]
    store.publish(toy.episode(seed=1))


def test_a_store_is_found_from_any_folder_in_it(store: Store, tmp_path: Path) -> None:
    refuse_inside(tmp_path / "beside")
    for place in (store.root, store.root / "episodes" / "x", store.root / "a" / "b"):
        with pytest.raises(Refused, match="outside of every episode store"):
            refuse_inside(place)


def test_opening_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="an episode store"):
        Store.open(tmp_path)
    (tmp_path / "store.json").write_text("{")
    with pytest.raises(Refused, match="not JSON"):
        Store.open(tmp_path)
    (tmp_path / "store.json").write_text('{"format": 99}')
    with pytest.raises(Refused, match="format: is 99"):
        Store.open(tmp_path)


def test_a_store_keeps_its_schema(store: Store) -> None:
    other = replace(store.schema, channels=store.schema.channels[1:])
    with pytest.raises(Refused, match="Record into another folder"):
        Store.create(store.root, other)
    assert Store.create(store.root, schema.vm46()).schema == store.schema


def test_an_arbitrary_store_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text("[" * 100_000)
    with pytest.raises(Refused, match="not JSON"):
        Store.open(tmp_path)
    (tmp_path / "store.json").unlink()
    os.mkfifo(tmp_path / "store.json")
    with pytest.raises(Refused, match="a plain file"):
        Store.open(tmp_path)


def test_no_store_is_made_at_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match="is a URL"):
        Store.create(Path("s3://lake/store"), schema.vm46())
    assert not list(tmp_path.iterdir())
