"""A pack holds the grids of episodes to the bit, and a damaged one is found out."""

import copy
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch import schema
from phasewatch.grids.pack import Pack, Stored, open_pack, write_pack
from phasewatch.windowing import grid_of

VM46 = schema.vm46()
EPISODES = [toy.episode("alpha", "dig"), toy.episode("beta", "leak", seconds=33)]
GRIDS = [grid_of(one, VM46, 6.0) for one in EPISODES]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    stored = [
        Stored.of(one, f"digest of {one.id}", grid, one.host == "beta")
        for one, grid in zip(EPISODES, GRIDS, strict=True)
    ]
    path = write_pack(tmp_path, "key", list(zip(stored, GRIDS, strict=True)))
    return open_pack(path, verify=True)


def test_a_pack_holds_every_grid_to_the_bit(pack: Pack) -> None:
    assert pack.key == "key"
    steps = np.concatenate([grid.columns.T for grid in GRIDS])
    np.testing.assert_array_equal(pack.steps, steps)
    np.testing.assert_array_equal(pack.levels, [grid.level for grid in GRIDS])
    for name, of_grid in (("start", "starts"), ("y", "y"), ("purity", "purity")):
        expected = np.concatenate([getattr(grid, of_grid) for grid in GRIDS])
        np.testing.assert_array_equal(getattr(pack, name), expected)
    first, second = pack.episodes
    assert (first.digest, first.baseline, second.baseline) == (
        "digest of alpha.dig.s1",
        False,
        True,
    )
    assert first.identity.phases == {label.phase for label in EPISODES[0].labels}
    assert [one.steps for one in pack.episodes] == [80, 66]
    assert [one.windows for one in pack.episodes] == [len(grid.starts) for grid in GRIDS]


def test_another_process_maps_the_same_file(pack: Pack) -> None:
    again = copy.copy(pack)
    assert again.path == pack.path and again.episodes == pack.episodes
    np.testing.assert_array_equal(again.steps, pack.steps)


def test_pages_that_are_released_can_be_read_again(pack: Pack) -> None:
    before = pack.steps.copy()
    pack.release()
    np.testing.assert_array_equal(pack.steps, before)


@pytest.mark.parametrize("place", [4, 200, -1])
def test_a_changed_byte_is_found_out(pack: Pack, place: int) -> None:
    data = bytearray(pack.path.read_bytes())
    data[place] ^= 1
    other = pack.path.with_name(f"other-{pack.path.name}")
    other.write_bytes(data)
    other.rename(pack.path)
    with pytest.raises(ValueError, match="is damaged"):
        open_pack(pack.path, verify=True)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.grids"
    path.write_bytes(b"\2\0\0\0\0\0\0\0{}")
    with pytest.raises(ValueError, match="has another form"):
        open_pack(path)
