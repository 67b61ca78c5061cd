import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewatch.io import atomic


def test_write_replaces_the_complete_file(tmp_path: Path) -> None:
    atomic.write(tmp_path / "a" / "b", b"one")
    atomic.write(tmp_path / "a" / "b", b"two")
    assert (tmp_path / "a" / "b").read_bytes() == b"two"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o644


def test_drafts_end_with_their_folder_and_what_was_published_stays(tmp_path: Path) -> None:
    with atomic.folder_of_drafts(tmp_path / "a") as drafts:
        (drafts / ".tmp-of-a-killed-worker").mkdir()
        with atomic.new_folder(tmp_path / "a" / "e", drafts) as draft:
            assert draft.parent == drafts
            (draft / "x").write_bytes(b"x")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["e"]
    assert (tmp_path / "a" / "e" / "x").read_bytes() == b"x"


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic.write(tmp_path / "b", b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic.write(tmp_path / "b", b"new")
    assert (tmp_path / "b").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_failed_folder_never_appears(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic.new_folder(tmp_path / "x" / "e") as draft:
        (draft / "half").write_bytes(b"1")
        raise KeyboardInterrupt
    assert list((tmp_path / "x").iterdir()) == []


def test_a_published_folder_is_never_replaced(tmp_path: Path) -> None:
    with atomic.new_folder(tmp_path / "e") as draft:
        (draft / "file").write_bytes(b"first")
    with pytest.raises(FileExistsError), atomic.new_folder(tmp_path / "e") as draft:
        (draft / "file").write_bytes(b"second")
    assert (tmp_path / "e" / "file").read_bytes() == b"first"


@given(st.dictionaries(st.text(), st.integers()))
def test_canonical_depends_on_the_value_alone(value: dict[str, int]) -> None:
    assert atomic.canonical_json(value) == atomic.canonical_json(dict(reversed(value.items())))


def test_canonical_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        atomic.canonical_json(float("nan"))


def test_an_error_names_the_file_and_not_its_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(old: str, new: Path) -> None:
        raise OSError(28, "No space left on device", old)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space") as failed:
        atomic.write(tmp_path / "b", b"new")
    assert failed.value.filename == str(tmp_path / "b")


@pytest.mark.parametrize("named", [True, False])
def test_an_error_in_a_folder_names_it_and_not_its_temporary_folder(
    tmp_path: Path, named: bool
) -> None:
    with (
        pytest.raises(OSError, match="No space") as failed,
        atomic.new_folder(tmp_path / "e") as draft,
    ):
        raise OSError(28, "No space left on device", str(draft / "file") if named else None)
    assert failed.value.filename == str(tmp_path / "e")
    with pytest.raises(OSError, match="elsewhere"), atomic.new_folder(tmp_path / "e"):
        raise OSError(5, "Input/output error", "elsewhere")


def test_a_folder_that_cannot_be_made_is_named_as_given(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(NotADirectoryError) as failed,
        atomic.new_folder(tmp_path / "file" / "x" / "e"),
    ):
        pass
    assert failed.value.filename == str(tmp_path / "file" / "x" / "e")
