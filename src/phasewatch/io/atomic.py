"""Atomic writing: a temporary name in the same folder, fsync, rename, fsync.

A reader never sees a partial file or folder, whenever a writer is killed. Leftovers of a killed
writer start with `.tmp-` and are ignored by every reader.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from phasewatch.errors import Refused

DRAFT_PREFIX = ".tmp-"

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:/")


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path`, replacing what was there in one step. An OSError names `path`."""
    with replaced(path) as file:
        file.write(data)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that replaces what was at `path`, in one step, when the block succeeds.

    An OSError names `path`.
    """
    with errors_at(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=DRAFT_PREFIX, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
        sync(path.parent)


@contextlib.contextmanager
def errors_at(path: Path) -> Iterator[None]:
    """Make an OSError in the block name `path`, which the user knows, and no temporary name."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def refuse_url(path: Path) -> None:
    """Raise Refused for a URL, which would otherwise become a local folder named `s3:`."""
    if found := _SCHEME.match(str(path)):
        raise Refused(
            f"{found[0]}/{str(path)[found.end() :]}",
            "is a URL",
            "a path on this machine",
            "Give one, and copy from there or to there.",
            code="url",
        )


def prepare_folder(folder: Path) -> None:
    """Create `folder` if needed, and check before long work that files can be written there.

    Raises Refused where they cannot.
    """
    try:
        with errors_at(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(prefix=DRAFT_PREFIX, dir=folder):
                pass
    except OSError as error:
        raise Refused(
            folder,
            f"cannot be made or written ({error.strerror})",
            "a folder for the output",
            "Choose another place.",
            code="folder",
        ) from error


def canonical_json(value: object) -> bytes:
    """Return JSON bytes that depend on the value alone: sorted keys, no blanks, no NaN.

    Raises ValueError for NaN and infinity.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return text.encode()


def digest(value: object) -> str:
    """Return the sha256, in hex, of the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


@contextlib.contextmanager
def folder_of_drafts(parent: Path) -> Iterator[Path]:
    """Yield a folder in `parent` for the drafts of worker processes, removed with them at the end.

    The block must end after its workers do. One that is stopped cannot remove its draft itself.
    """
    with errors_at(parent):
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def new_folder(path: Path, drafts: Path | None = None) -> Iterator[Path]:
    """Yield a new folder that appears at `path`, with all its files, when the block succeeds.

    It is created in `drafts`, on the same disk, or beside `path`. Raises FileExistsError when
    `path` already exists: what is published is never replaced. Its other OSErrors name `path`.
    """
    with errors_at(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=drafts or path.parent))
    try:
        yield draft
        for file in draft.iterdir():
            sync(file)
        sync(draft)
        draft.chmod(0o755)
        if path.exists():
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        try:
            draft.rename(path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise FileExistsError(errno.EEXIST, "File exists", str(path)) from error
            raise
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(error, OSError) and str(error.filename or draft).startswith(str(draft)):
            with errors_at(path):
                raise
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
