"""Lines are read back at their offsets, old files go, and a torn end is cut."""

import errno
from pathlib import Path
from typing import Any

import pytest

from phasewatch.io import journal
from phasewatch.io.journal import Journal

LINES = [b"line %d\n" % number for number in range(100)]
ALL = b"".join(LINES)


def filled(folder: Path, most_bytes: int = 1 << 20, file_bytes: int = 50) -> Journal:
    found = Journal(folder, most_bytes, file_bytes)
    for line in LINES:
        found.append(line)
    return found


def everything(folder: Path, offset: int, most: int = 64) -> bytes:
    parts = []
    while data := journal.read(folder, offset, most):
        parts.append(data)
        offset += len(data)
    return b"".join(parts)


def test_lines_are_read_at_their_offsets(tmp_path: Path) -> None:
    found = filled(tmp_path)
    assert (found.start, found.end) == (0, len(ALL))
    assert len(list(tmp_path.iterdir())) > 5
    assert everything(tmp_path, 0) == ALL
    assert everything(tmp_path, len(ALL) - 8) == LINES[-1]
    assert found.read(len(ALL), 99) == b"" and found.read(0, 3) == b""
    assert (Journal(tmp_path, 1 << 20).end, Journal(tmp_path / "new", 9).end) == (len(ALL), 0)


def test_the_oldest_files_go_when_there_is_too_much(tmp_path: Path) -> None:
    found = filled(tmp_path, most_bytes=300)
    assert 0 < found.end - found.start <= 300 + 50
    assert everything(tmp_path, found.start) == ALL[found.start :]
    assert journal.read(tmp_path, 0, 99) == b""
    before = found.start
    dropped = sum(found.append(LINES[0]) for _ in range(20))
    assert found.start - before == dropped > 0


def test_what_is_no_longer_needed_is_forgotten_by_the_file(tmp_path: Path) -> None:
    found = filled(tmp_path)
    found.forget(200)
    assert 100 < found.start <= 200 and everything(tmp_path, 200) == ALL[200:]
    found.forget(found.end)
    assert found.start < found.end == len(ALL), "the last file stays"
    found.remove()
    assert not tmp_path.exists()


def test_a_torn_line_is_cut_when_it_is_opened(tmp_path: Path) -> None:
    filled(tmp_path)
    last = max(tmp_path.iterdir())
    with last.open("ab") as file:
        file.write(b"half a li" * 20_000)
    found = Journal(tmp_path, 1 << 20)
    assert found.end == len(ALL) and everything(tmp_path, 0) == ALL


def test_a_journal_is_cut_at_an_offset(tmp_path: Path) -> None:
    found = filled(tmp_path)
    at = len(b"".join(LINES[:40]))
    found.cut(at)
    assert found.end == at and everything(tmp_path, 0) == ALL[:at]
    assert Journal(tmp_path, 1 << 20).end == at
    found.cut(0)
    assert found.end == 0 and found.append(b"x\n") == 0 and everything(tmp_path, 0) == b"x\n"


def test_nothing_of_a_line_stays_that_a_full_disk_tore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = filled(tmp_path)
    really = Path.open

    def tearing(self: Path, mode: str = "r", *more: Any) -> Any:
        file = really(self, mode, *more)
        if mode == "ab":
            with file:
                file.write(b"ha")
            raise OSError(errno.ENOSPC, "No space left on device")
        return file

    monkeypatch.setattr(Path, "open", tearing)
    with pytest.raises(OSError, match="No space left"):
        found.append(b"half\n")
    monkeypatch.undo()
    assert found.end == len(ALL) and everything(tmp_path, 0) == ALL
