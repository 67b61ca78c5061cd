"""What lies at a path is opened without following, and without waiting."""

import errno
import os
from pathlib import Path

import pytest

from phasewatch.io.plain_file import open_plain


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with open_plain(tmp_path / "file") as file:
        assert file.plain and file.read() == b"content"
    folder = os.open(tmp_path, os.O_RDONLY)
    with open_plain(Path("elsewhere/file"), folder) as file:
        assert file.read() == b"content"
    os.close(folder)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(OSError) as failed, open_plain(tmp_path / "link"):
        pass
    assert failed.value.errno == errno.ELOOP


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with open_plain(tmp_path / "pipe") as pipe, open_plain(tmp_path) as folder:
        assert not pipe.plain and not folder.plain


def test_a_file_over_its_limit_is_read_one_byte_beyond_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    with open_plain(path) as file:
        path.write_bytes(b"123456789")
        assert file.read() == b"12345"


def test_no_file_descriptor_stays_open(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with open_plain(tmp_path / "file") as file:
        pass
    with pytest.raises(OSError):
        os.fstat(file.handle)
