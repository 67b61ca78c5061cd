"""Grids are made once, again where they are stale, and by two processes at once without harm."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import toy

from phasewatch import schema
from phasewatch.baseline import NOTE
from phasewatch.errors import Refused
from phasewatch.experiment import pipeline
from phasewatch.experiment.pipeline import RunResult
from phasewatch.grids import cache as caches
from phasewatch.grids.cache import GridCache, Swept
from phasewatch.grids.pack import ENDING
from phasewatch.store.format import Manifest
from phasewatch.store.local import Store
from phasewatch.training.jobs import Workers
from phasewatch.validation.sweep import validate_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Six episodes, settled: files that have just changed are not cached."""
    opened = Store.create(tmp_path / "store", schema.vm46())
    for host in ("alpha", "beta", "gamma"):
        for profile in ("dig", "leak"):
            opened.publish(toy.episode(host, profile))
    time.sleep(0.1)
    return opened


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> "Counter[str]":
    """How often the files of each episode are read."""
    count: Counter[str] = Counter()
    files = Store.files

    def counted(store: Store, manifest: Manifest) -> dict[str, bytes]:
        count[manifest.id] += 1
        return files(store, manifest)

    monkeypatch.setattr(Store, "files", counted)
    return count


def cache_of(store: Store, opening_s: float = 6.0) -> GridCache:
    return GridCache(store.root.parent / "grids", store.schema, opening_s)


def packs(store: Store) -> list[Path]:
    return sorted((store.root.parent / "grids").glob(f"*{ENDING}"))


def steps(swept: Swept, store: Store) -> list[bytes]:
    windows = swept.of(store.ids()).windows(store.schema)
    return [one.x.tobytes() for one in windows.blocks()]


def test_one_pass_gives_verdicts_and_grids_and_the_next_reads_nothing(
    store: Store, read: "Counter[str]"
) -> None:
    first = cache_of(store).sweep(store)
    assert read == dict.fromkeys(store.ids(), 1)
    read.clear()
    second = cache_of(store).sweep(store)
    assert not read
    assert first.results == second.results == validate_store(store)
    assert steps(first, store) == steps(second, store)
    assert len(packs(store)) == 1


def test_what_is_new_or_changed_is_made_and_nothing_else(
    store: Store, read: "Counter[str]"
) -> None:
    cache_of(store).sweep(store)
    changed, removed = store.ids()[:2]
    store.remove(changed)
    store.publish(replace(toy.episode("alpha", "dig", seed=2), id=changed))
    store.remove(removed)
    store.publish(toy.episode("delta"))
    time.sleep(0.1)
    read.clear()
    swept = cache_of(store).sweep(store)
    assert read == {changed: 1, "delta.dig.s1": 1}
    alone = replace(cache_of(store), folder=store.root.parent / "alone").sweep(store)
    assert steps(swept, store) == steps(alone, store)
    assert [one.id for one in swept.results] == store.ids()


def test_a_pass_that_is_stopped_goes_on_where_it_was(
    store: Store, read: "Counter[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "PACK_EPISODES", 2)

    def stopped(work: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        yield from map(work, blocks[:2])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_of(store).sweep(store, stopped)
    read.clear()
    swept = cache_of(store).sweep(store)
    assert read == dict.fromkeys(store.ids()[4:], 1)
    whole = replace(cache_of(store), folder=store.root.parent / "whole").sweep(store)
    assert steps(swept, store) == steps(whole, store)
    assert swept.results == whole.results


def test_another_opening_or_schema_has_grids_of_its_own(store: Store, read: "Counter[str]") -> None:
    cache_of(store).sweep(store)
    for other in (
        cache_of(store, 5.0),
        replace(cache_of(store), schema=store.schema.for_mode("realistic")),
    ):
        read.clear()
        other.sweep(store)
        assert read == dict.fromkeys(store.ids(), 1)
    assert len(packs(store)) == 3


def test_a_damaged_pack_is_made_again(store: Store, read: "Counter[str]") -> None:
    before = steps(cache_of(store).sweep(store), store)
    (path,) = packs(store)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.with_suffix(".new").write_bytes(data)
    path.with_suffix(".new").rename(path)
    read.clear()
    assert steps(cache_of(store).sweep(store), store) == before
    assert read == dict.fromkeys(store.ids(), 1)


def test_an_episode_without_a_benign_opening_is_refused_where_it_is_used(store: Store) -> None:
    swept = cache_of(store, 30.0).sweep(store)
    hostile = store.ids()[0]
    assert hostile in swept.refused and hostile in swept.records
    with pytest.raises(Refused, match="begins after"):
        swept.of([hostile])


def test_a_note_that_declares_a_baseline_is_kept(store: Store) -> None:
    store.publish(replace(toy.episode("delta", "calm"), notes={NOTE: True}))
    time.sleep(0.1)
    for _ in range(2):
        records = cache_of(store).sweep(store).records
        assert [id for id, one in records.items() if one.notes.get(NOTE)] == ["delta.calm.s1"]


def test_the_size_is_said_before_and_refused_where_it_does_not_fit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(caches, "TOLD_BYTES", 0)
    cache_of(store).sweep(store, log=lines.append)
    assert lines and "6 episodes to read, about 0 MiB" in lines[0]
    shutil.rmtree(cache_of(store).folder)
    none = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: none)
    with pytest.raises(Refused, match=r"--cache"):
        cache_of(store).sweep(store)
    assert not packs(store)


def test_a_full_cache_forgets_what_was_not_used_for_long(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_of(store).sweep(store)
    cache_of(store, 5.0).sweep(store)
    monkeypatch.setattr(caches, "MOST_BYTES", 1)
    cache_of(store).sweep(store)
    assert len(packs(store)) == 2
    for path in packs(store):
        os.utime(path, (0, 0))
    kept = cache_of(store).sweep(store).grids.packs
    assert packs(store) == [one.path for one in kept]


def _sweep(root: Path, out: Path) -> None:
    store = Store.open(root)
    swept = cache_of(store).sweep(store)
    out.write_bytes(b"".join(steps(swept, store)))


def test_two_processes_may_make_the_same_grids_at_once(store: Store, tmp_path: Path) -> None:
    context = get_context("spawn")
    outs = [tmp_path / name for name in ("one", "two")]
    both = [context.Process(target=_sweep, args=(store.root, out)) for out in outs]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert outs[0].read_bytes() == outs[1].read_bytes() != b""
    assert len(packs(store)) == 1


def test_runs_share_a_cache_and_end_with_the_same_bytes(
    toy_run: RunResult, toy_out: Path, toy_store: Store, tmp_path: Path, read: "Counter[str]"
) -> None:
    recipe = replace(toy.RECIPE, models=("majority",))
    workers = Workers(cache=tmp_path / "shared")
    pipeline.train(recipe, toy_store, tmp_path / "one", lambda line: None, workers)
    read.clear()
    pipeline.train(recipe, toy_store, tmp_path / "two", lambda line: None, workers)
    assert sum(read.values()) == 1
    assert not (tmp_path / "two" / "grids").exists()
    for mode in toy.RECIPE.modes:
        name = f"checkpoints/majority-{mode}.ckpt.json"
        one, two = ((tmp_path / run / name).read_bytes() for run in ("one", "two"))
        assert one == two


def test_grids_of_all_windows_have_levels_that_are_finite(store: Store) -> None:
    windows = cache_of(store).sweep(store).of(store.ids()).windows(store.schema)
    assert np.isfinite(windows.levels).all()
