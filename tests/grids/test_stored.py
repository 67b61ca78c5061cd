"""Windows that are read from grids are those that are cut from the samples, to the bit."""

from dataclasses import fields

import numpy as np
import pytest
from tests import toy

from phasewatch.grids.cache import GridCache
from phasewatch.grids.stored import StoredWindows
from phasewatch.store.local import Store
from phasewatch.training import augment
from phasewatch.windowing import (
    Windows,
    WindowSet,
    concatenate,
    extract,
    of_episodes,
    pool_openings,
)

SECONDS = toy.RECIPE.opening_s


@pytest.fixture(scope="module")
def both(
    toy_store: Store, tmp_path_factory: pytest.TempPathFactory
) -> tuple[StoredWindows, Windows]:
    """All windows of the toy store: from grids, and in memory."""
    cache = GridCache(tmp_path_factory.mktemp("grids"), toy_store.schema, SECONDS)
    stored = cache.sweep(toy_store).of(toy_store.ids()).windows(toy_store.schema)
    return stored, extract(toy_store, toy_store.ids(), toy_store.schema, SECONDS)


def same(stored: WindowSet, cut: WindowSet) -> None:
    one, other = stored.read(), cut.read()
    assert len(one)
    for field in fields(Windows):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        assert ours.dtype.kind == theirs.dtype.kind, field.name
        np.testing.assert_array_equal(ours, theirs, err_msg=field.name)
    for name in ("y", "t_ns", "episode", "host", "sample", "profile", "campaign"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(other, name))


def test_all_windows_are_those_cut_from_samples(both: tuple[StoredWindows, Windows]) -> None:
    same(*both)
    stored, cut = both
    ids, place = stored.episodes
    assert ids[place].tolist() == cut.episode.tolist()


def test_blocks_are_the_windows_in_their_order(both: tuple[StoredWindows, Windows]) -> None:
    stored, cut = both
    blocks = list(stored.blocks(size=7))
    assert [len(one) for one in blocks[:-1]] == [7] * (len(blocks) - 1)
    same(concatenate(blocks), cut)
    assert all(one.past.shape[2] == 0 for one in stored.blocks(size=7, past=False))
    (empty,) = stored.take(np.zeros(0, np.int64)).blocks()
    assert empty.x.shape == (0, *cut.x.shape[1:])


def test_what_is_done_to_windows_gives_the_same(
    both: tuple[StoredWindows, Windows], toy_store: Store
) -> None:
    """Every operation, on both kinds of windows: rows, channels, levels, losses, joining."""
    full, realistic = toy_store.schema, toy_store.schema.for_mode("realistic")
    rows = np.random.default_rng(0).permutation(len(both[0]))[:50]
    found: list[list[WindowSet]] = []
    for windows in both:
        pooled: WindowSet = pool_openings(of_episodes(windows, toy_store.ids()[::2]))
        some = pooled.channels(full, realistic)
        dropped = augment.drop(some, realistic, 3)
        twice = augment.without(augment.without(dropped, realistic, "proc"), realistic, "opening")
        joined = concatenate([dropped, windows.channels(full, realistic), twice])
        found.append([windows.take(rows), pooled, some, dropped, twice, joined])
    for ours, theirs in zip(*found, strict=True):
        same(ours, theirs)
        np.testing.assert_array_equal(ours.openings(np.arange(len(ours))), theirs.read().opening)
    assert np.isnan(found[0][4].read().opening).all()


def test_a_window_takes_few_bytes(both: tuple[StoredWindows, Windows]) -> None:
    stored, cut = both
    held = sum(
        getattr(stored, name).nbytes
        for name in ("place", "start", "y", "purity", "since_s", "ambiguous", "level", "lost")
    )
    assert held / len(stored) < 48 < cut.x.nbytes / len(cut) / 50
