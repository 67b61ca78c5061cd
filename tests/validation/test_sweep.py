"""Every episode gets one of four verdicts, whenever a sweep is killed and by any workers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.io.executors import dask_workers, process_pool
from phasewatch.store import format, local
from phasewatch.store.format import MANIFEST, SAMPLES, Manifest, file_entry
from phasewatch.store.local import Store
from phasewatch.validation import index, sweep
from phasewatch.validation.cache import VerdictCache
from phasewatch.validation.sweep import validate_episode, with_store_findings
from phasewatch.validation.verdict import VERDICTS, ValidationResult


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files just written may be stamped: nobody writes them a second time here."""
    monkeypatch.setattr(local, "SETTLED_NS", 0)


@pytest.fixture
def small(tmp_path: Path) -> Store:
    return toy.store(tmp_path / "small", seeds=1)


def codes(result: ValidationResult) -> set[str]:
    return {finding.code for finding in result.findings}


def swept(store: Store, out: Path, **options: object) -> bytes:
    """The index after one sweep into `out`."""
    cache = VerdictCache(out / "cache", store.schema)
    found = sweep.validate_store(store, cache=cache, **options)  # type: ignore[arg-type]
    index.write(found, out / "index.parquet")
    return (out / "index.parquet").read_bytes()


def test_damaged_bytes_are_rejected_and_unreadable_ones_errored(
    small: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged, unread, *rest = small.ids()
    path = small.folder(damaged) / SAMPLES
    path.write_bytes(path.read_bytes()[:-1])
    read = format.read_file

    def failing(path: Path, most: int) -> bytes:
        if path.parent.name == unread:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, most)

    monkeypatch.setattr(format, "read_file", failing)
    verdicts = {result.id: result for result in sweep.validate_store(small)}
    assert (verdicts[damaged].verdict, codes(verdicts[damaged])) == ("rejected", {"sha_mismatch"})
    assert verdicts[damaged].digest
    assert verdicts[unread].verdict == "errored"
    assert "Permission denied" in verdicts[unread].findings[0].reason
    assert all(verdicts[id].verdict == "accepted" for id in rest)


def test_bytes_that_read_differently_twice_are_errored(
    small: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, read, reads = small.ids()[0], format.read_file, []

    def once(path: Path, most: int) -> bytes:
        reads.append(path)
        return read(path, most)[: -1 if len(reads) == 2 else None]

    for reader in (format, local):
        monkeypatch.setattr(reader, "read_file", once)
    found = validate_episode(small, id)
    assert (found.verdict, codes(found)) == ("errored", {"unstable_read"})


def test_only_plain_files_are_opened(small: Store) -> None:
    link, pipe, folder, outside, manifest, *_ = small.ids()
    for id in (link, pipe, folder):
        (small.folder(id) / SAMPLES).rename(small.root / f"{id}.parquet")
    (small.folder(link) / SAMPLES).symlink_to(small.root / f"{link}.parquet")
    os.mkfifo(small.folder(pipe) / SAMPLES)
    (small.folder(folder) / SAMPLES).mkdir()
    small.folder(outside).rename(small.root / outside)
    small.folder(outside).symlink_to(small.root / outside)
    (small.folder(manifest) / MANIFEST).unlink()
    (small.folder(manifest) / MANIFEST).symlink_to("/dev/zero")
    for id in (link, pipe, folder, outside, manifest):
        assert (validate_episode(small, id).verdict, codes(validate_episode(small, id))) == (
            "rejected",
            {"unsafe_file"},
        )


def test_stray_files_among_the_episodes_are_named(small: Store) -> None:
    (small.root / "episodes" / "README.txt").write_text("not an episode")
    (small.root / "episodes" / "my run").mkdir()
    (small.root / "episodes" / "empty").mkdir()
    found = {one.id: one for one in sweep.validate_store(small)}
    assert codes(found["README.txt"]) == {"stray_file"}
    assert codes(found["my run"]) == {"id_invalid"}
    assert codes(found["empty"]) == {"file_missing"}
    assert sum(one.verdict == "accepted" for one in found.values()) == 12


def test_a_sparse_file_of_a_terabyte_is_not_read(small: Store) -> None:
    id = small.ids()[0]
    os.truncate(small.folder(id) / SAMPLES, 1 << 40)
    assert codes(validate_episode(small, id)) == {"over_limit"}


def test_an_unlisted_file_degrades(small: Store) -> None:
    id = small.ids()[0]
    (small.folder(id) / "core").write_bytes(b"x")
    found = validate_episode(small, id)
    assert (found.verdict, codes(found)) == ("degraded", {"file_unlisted"})


def test_every_listed_file_is_hashed_and_stays_inside(small: Store) -> None:
    for name, code in (("extra.bin", "sha_mismatch"), ("../store.json", "unsafe_path")):
        id = small.ids().pop()
        folder = small.folder(id)
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        files = {SAMPLES: manifest.files[SAMPLES], name: file_entry(b"right")}
        (folder / "extra.bin").write_bytes(b"wrong")
        (folder / MANIFEST).write_bytes(manifest.model_copy(update={"files": files}).sealed())
        assert codes(validate_episode(small, id)) == {code}


def test_a_newer_format_is_errored(small: Store) -> None:
    path = small.folder(small.ids()[0]) / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    found = validate_episode(small, small.ids()[0])
    assert (found.verdict, codes(found)) == ("errored", {"format_newer"})


def test_a_duplicate_of_the_samples_is_rejected(small: Store) -> None:
    first = small.ids()[0]
    manifest = small.manifest(first)
    data = (small.folder(first) / SAMPLES).read_bytes()
    small.put("zz", {SAMPLES: data, MANIFEST: manifest.model_copy(update={"id": "zz"}).sealed()})
    found = {one.id: one for one in sweep.validate_store(small)}
    assert found[first].verdict == "accepted"
    assert (found["zz"].verdict, codes(found["zz"])) == ("rejected", {"content_duplicate"})


def test_names_that_differ_in_case_alone_are_both_rejected() -> None:
    results = [
        ValidationResult(id, "h", "s", "p", "c", "accepted", content=id)
        for id in ("Run", "other", "run")
    ]
    assert [one.verdict for one in with_store_findings(results)] == [
        "rejected",
        "accepted",
        "rejected",
    ]


def test_the_verdicts_partition_what_was_enumerated(small: Store) -> None:
    generator = np.random.default_rng(3)
    for id in small.ids()[::2]:
        path = small.folder(id) / (MANIFEST, SAMPLES)[generator.integers(2)]
        os.truncate(path, int(generator.integers(path.stat().st_size)))
    found = sweep.validate_store(small)
    assert [one.id for one in found] == small.ids()
    assert {one.verdict for one in found} <= set(VERDICTS)
    assert all(one.findings for one in found if one.verdict != "accepted")


def test_verdicts_do_not_depend_on_the_block_of_episodes(small: Store) -> None:
    flipped, cut, gone, *_ = small.ids()
    data = bytearray((small.folder(flipped) / SAMPLES).read_bytes())
    data[1000] ^= 1
    (small.folder(flipped) / SAMPLES).write_bytes(data)
    os.truncate(small.folder(cut) / MANIFEST, 100)
    (small.folder(gone) / SAMPLES).unlink()
    together = sweep.validate_store(small)
    assert together == [validate_episode(small, id) for id in small.ids()]
    assert [one.usable for one in together] == [
        one.id not in (flipped, cut, gone) for one in together
    ]


def test_no_flipped_bit_is_accepted_as_changed(tmp_path: Path) -> None:
    """200 here over all files of an episode; `bench/bit_flips.py` does 20,000 over a store."""
    store = Store.create(tmp_path, schema.vm46())
    folder = store.publish(toy.episode())
    sound, generator = validate_episode(store, folder.name), np.random.default_rng(0)
    for place in generator.integers(0, 8 * sum(p.stat().st_size for p in folder.iterdir()), 200):
        path = folder / MANIFEST
        if place >= 8 * path.stat().st_size:
            place, path = place - 8 * path.stat().st_size, folder / SAMPLES
        intact = path.read_bytes()
        damaged = bytearray(intact)
        damaged[place // 8] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        found = validate_episode(store, folder.name)
        # Blank for blank between JSON tokens changes nothing that was said.
        assert found.verdict == "rejected" or (path.name == MANIFEST and found == sound)
        path.write_bytes(intact)


# ---------------------------------------------------------------- the same bytes, and not twice


def test_the_index_has_the_same_bytes_for_any_number_of_workers(
    small: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = swept(small, tmp_path / "alone")
    monkeypatch.setattr(sweep, "BLOCK", 5)
    assert swept(small, tmp_path / "pool", executor=process_pool(2)) == alone
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed(path)[::-1])
    assert swept(small, tmp_path / "reversed") == alone


def test_a_second_sweep_reads_nothing_and_gives_the_same_index(
    small: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched_ids: list[str] = []

    def noted(store: Store, id: str) -> object:
        fetched_ids.append(id)
        return fetched(store, id)

    fetched = sweep._fetched
    monkeypatch.setattr(sweep, "_fetched", noted)
    first = swept(small, tmp_path)
    assert fetched_ids == small.ids()
    fetched_ids.clear()
    assert swept(small, tmp_path) == first
    assert fetched_ids == []
    assert swept(small, tmp_path, full=True) == first
    assert fetched_ids == small.ids()
    fetched_ids.clear()
    changed, gone = small.ids()[:2]
    path = small.folder(changed) / SAMPLES
    was = path.stat()
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    (small.folder(gone) / "left").touch()
    swept(small, tmp_path)
    assert fetched_ids == [changed, gone]
    found = {one.id: one for one in index.read(tmp_path / "index.parquet")}
    assert (found[changed].verdict, found[gone].verdict) == ("rejected", "degraded")


def test_errored_is_always_tried_again(
    small: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path, most: int) -> bytes:
        raise OSError(5, "Input/output error", str(path))

    with monkeypatch.context() as broken:
        broken.setattr(format, "read_file", failing)
        swept(small, tmp_path)
        assert {one.verdict for one in index.read(tmp_path / "index.parquet")} == {"errored"}
    swept(small, tmp_path)
    assert {one.verdict for one in index.read(tmp_path / "index.parquet")} == {"accepted"}


def test_large_episodes_are_in_memory_one_at_a_time(
    small: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "GROUP_EPISODES", 8)
    few = [len(some) for some in sweep._groups(small, small.ids())]
    assert few == [8, 4]
    monkeypatch.setattr(sweep, "GROUP_BYTES", 1000)
    assert [len(some) for some in sweep._groups(small, small.ids())] == [1] * 12


def test_an_episode_changed_a_moment_ago_is_not_skipped(
    small: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "SETTLED_NS", 10**15)
    swept(small, tmp_path)
    assert VerdictCache(tmp_path / "cache", small.schema).read() == {}


# ---------------------------------------------------------------- killed whenever


def test_killed_at_every_write_fsync_and_rename_of_a_sweep() -> None:
    """In blocks of 20; `python tests/killed_sweep.py 2` does six times as many points."""
    words = [sys.executable, "-m", "tests.killed_sweep", "20"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout.split()[0]) > 15


def test_a_damaged_cache_is_validated_again(small: Store, tmp_path: Path) -> None:
    intact = swept(small, tmp_path)
    for part in (tmp_path / "cache").iterdir():
        data = bytearray(part.read_bytes())
        data[len(data) // 3] ^= 4
        part.write_bytes(data)
    assert swept(small, tmp_path) == intact


# ---------------------------------------------------------------- past one machine


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    distributed = pytest.importorskip("distributed", reason="pip install phasewatch[cluster]")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield str(cluster.scheduler_address)


@pytest.mark.filterwarnings("ignore")
def test_two_dask_workers_give_the_same_bytes(
    address: str, small: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = swept(small, tmp_path / "alone")
    monkeypatch.setattr(sweep, "BLOCK", 5)
    assert swept(small, tmp_path / "cluster", executor=dask_workers(address)) == alone


def test_a_cache_removes_only_its_own_files(small: Store, tmp_path: Path) -> None:
    foreign = tmp_path / "cache" / "mine.parquet"
    foreign.parent.mkdir()
    foreign.write_bytes(b"kept")
    swept(small, tmp_path)
    assert foreign.read_bytes() == b"kept"
    with pytest.raises(Refused, match="is a file"):
        VerdictCache(foreign, small.schema)
