"""What lies in a bucket gets the verdicts of the same store on this machine."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from tests import toy

from phasewatch.errors import Refused
from phasewatch.io.executors import process_pool
from phasewatch.store import local, remote
from phasewatch.store.format import MANIFEST, SAMPLES
from phasewatch.store.local import Store
from phasewatch.store.remote import RemoteStore
from phasewatch.validation import sweep
from phasewatch.validation.cache import VerdictCache
from phasewatch.validation.verdict import ValidationResult

URL = "memory://lake/store"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Four sound episodes, and one of each that the bytes may do."""
    monkeypatch.setattr(local, "SETTLED_NS", 0)
    opened = toy.store(tmp_path / "small", seeds=1)
    flipped, cut, gone, extra, *_ = opened.ids()
    data = bytearray((opened.folder(flipped) / SAMPLES).read_bytes())
    data[99] ^= 8
    (opened.folder(flipped) / SAMPLES).write_bytes(data)
    (opened.folder(cut) / MANIFEST).write_bytes(b'{"format": 1')
    (opened.folder(gone) / SAMPLES).unlink()
    (opened.folder(extra) / "notes.txt").write_text("left")
    (opened.root / "episodes" / "stray").write_text("no episode")
    return opened


@pytest.fixture
def lake(small: Store) -> Iterator[str]:
    files = fsspec.filesystem("memory")
    files.put(str(small.root), "/lake/store", recursive=True)
    yield URL
    files.rm("/lake", recursive=True)


def without_root(results: list[ValidationResult], root: object) -> list[ValidationResult]:
    """With reasons that do not say where the store lies."""
    return [
        replace(
            one,
            findings=tuple(
                replace(one, reason=one.reason.replace(str(root), "STORE")) for one in one.findings
            ),
        )
        for one in results
    ]


def test_a_remote_store_gets_the_verdicts_and_reasons_of_a_local_one(
    small: Store, lake: str
) -> None:
    far = sweep.validate_store(RemoteStore.open(lake))
    assert without_root(far, lake) == without_root(sweep.validate_store(small), small.root)
    assert len({one.verdict for one in far}) == 3


def test_workers_open_the_remote_store_themselves(
    small: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "BLOCK", 7)
    url = f"file://{small.root}"
    found = sweep.validate_store(RemoteStore.open(url), executor=process_pool(2))
    assert without_root(found, url) == without_root(sweep.validate_store(small), small.root)


def test_unchanged_episodes_are_not_fetched_again(
    lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def noted(self: RemoteStore, one: Any, path: Path, call: Any = RemoteStore._fetch) -> None:
        fetched.append(path.parent.name)
        call(self, one, path)

    monkeypatch.setattr(RemoteStore, "_fetch", noted)
    opened = RemoteStore.open(lake)
    cache = VerdictCache(tmp_path / "cache", opened.schema)
    first = sweep.validate_store(opened, cache=cache)
    fetched.clear()
    assert sweep.validate_store(RemoteStore.open(lake), cache=cache) == first
    assert fetched == []
    changed = opened.ids()[-2]
    fsspec.filesystem("memory").pipe(f"/lake/store/episodes/{changed}/{SAMPLES}", b"other")
    found = sweep.validate_store(RemoteStore.open(lake), cache=cache)
    assert set(fetched) == {changed}
    assert found[-2].verdict == "rejected"


def test_a_failing_service_is_errored_and_retried(
    lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = RemoteStore.open(lake)
    cache = VerdictCache(tmp_path / "cache", opened.schema)
    with monkeypatch.context() as broken:
        down = RuntimeError("503 Slow Down")

        def failing(*given: object, **named: object) -> bytes:
            raise down

        broken.setattr(type(opened._files), "cat_file", failing)
        found = sweep.validate_store(opened, cache=cache)
        assert {one.verdict for one in found} == {"errored"}
        assert "503 Slow Down" in found[0].findings[0].reason
    assert "errored" not in {one.verdict for one in sweep.validate_store(opened, cache=cache)}


def test_a_file_over_its_limit_is_not_fetched(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = RemoteStore.open(lake)
    id = opened.ids()[-2]
    for one in opened._objects(id):
        if one["name"].endswith(SAMPLES):
            one["size"] = 1 << 40  # type: ignore[index]
    monkeypatch.setattr(remote, "MAX_FILE_BYTES", 1 << 20)
    found = sweep.validate_episode(opened, id)
    assert [one.code for one in found.findings] == ["over_limit"]


def test_names_with_parent_folders_stay_inside_the_store(lake: str) -> None:
    id = RemoteStore.open(lake).ids()[-2]
    fsspec.filesystem("memory").pipe(f"/lake/store/episodes/{id}/x/../../../../../evil", b"x")
    with RemoteStore.open(lake).local_copy(id) as copy:
        (evil,) = copy.root.rglob("evil")
        assert evil.is_relative_to(copy.folder(id)) and evil.read_bytes() == b"x"
        assert not any((folder / "evil").exists() for folder in copy.root.parents)


@pytest.mark.parametrize("url", ["memory://nowhere", "nosuch://lake/store"])
def test_a_url_without_a_store_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(Refused, match=url):
        RemoteStore.open(url)


def test_a_service_need_not_report_sizes(
    small: Store, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = RemoteStore.open(lake)
    find = far._files.find

    def found(*words: Any, detail: bool = False, **options: Any) -> Any:
        listed = find(*words, detail=detail, **options)
        return {name: {**one, "size": None} for name, one in listed.items()} if detail else listed

    monkeypatch.setattr(far._files, "find", found)
    assert without_root(sweep.validate_store(far), lake) == without_root(
        sweep.validate_store(small), small.root
    )
