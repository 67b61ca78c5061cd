"""A store in a bucket, or anywhere else that fsspec reads: `s3://…`, `gs://…`, `sftp://…`.

It is read, never written. An episode is fetched into a temporary folder and validated there, so
that all rules apply; files over the size limit of an episode are not fetched.
"""

import contextlib
import errno
import hashlib
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from phasewatch.errors import Refused
from phasewatch.schema import Schema
from phasewatch.store.format import HEADER, MAX_FILE_BYTES, parse_header
from phasewatch.store.local import Store

VERSIONS = ("ETag", "etag", "e_tag", "md5Hash", "mtime", "LastModified", "last_modified", "created")
"""The names by which services report something that changes with an object's bytes."""

Object = Mapping[str, Any]


class RemoteStore:
    """A folder of episodes behind a URL, as `Store` is one on this machine."""

    def __init__(self, url: str, schema: Schema, simulated: Mapping[str, Any] | None) -> None:
        self.url = url.rstrip("/")
        self.schema = schema
        self.simulated = simulated
        self._files, self._root = _filesystem(self.url)
        self._episodes = f"{self._root}/episodes"
        self.listed: dict[str, list[Object]] | None = None

    def __reduce__(self) -> tuple[type["RemoteStore"], tuple[Any, ...]]:
        """Pickle the address only: connections stay in their process."""
        return RemoteStore, (self.url, self.schema, self.simulated)

    @classmethod
    def open(cls, url: str) -> "RemoteStore":
        """Return the store at `url`. Raises Refused for none, or one of another format."""
        place = f"{url.rstrip('/')}/{HEADER}"
        files, root = _filesystem(url.rstrip("/"))
        try:
            with _errors_named(place):
                data = files.cat_file(f"{root}/{HEADER}")
        except OSError as error:
            raise Refused(
                place,
                error.strerror or str(error),
                "an episode store",
                "Give the URL of the folder that holds store.json.",
                code="store_missing",
            ) from error
        return cls(url, *parse_header(data, place))

    def ids(self) -> list[str]:
        """Return the ids of all published episodes, sorted, from one listing. Raises OSError."""
        with _errors_named(self.url):
            self._files.invalidate_cache()
            found = self._files.find(self._episodes, detail=True)
        self.listed = defaultdict(list)
        for name, one in found.items():
            self.listed[_inside(name, self._episodes).partition("/")[0]].append(one)
        return sorted(id for id in self.listed if not id.startswith("."))

    def version(self, id: str) -> str:
        """Return a digest of the objects' reported versions; "" where none is reported."""
        versioned = []
        for one in self._objects(id):
            versions = [str(one[key]) for key in VERSIONS if one.get(key)]
            if not versions:
                return ""
            versioned.append((_inside(one["name"], self._episodes), one["size"], versions))
        return hashlib.sha256(repr((self.url, sorted(versioned))).encode()).hexdigest()[:32]

    def location(self, id: str) -> str:
        """Return where an episode is, for messages."""
        return f"{self.url}/episodes/{id}"

    @contextlib.contextmanager
    def local_copy(self, id: str) -> Iterator[Store]:
        """Yield a store on this machine that contains the episode. Raises OSError."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Store(Path(folder), self.schema, self.simulated)
            try:
                for one in self._objects(id):
                    parts = _inside(one["name"], self._episodes).split("/")
                    safe = [part for part in parts if part not in ("", ".", "..")]
                    self._fetch(one, Path(folder, "episodes", *safe))
                yield copy
            except Refused as refused:
                raise refused.at(refused.where.replace(folder, self.url)) from refused

    def _objects(self, id: str) -> list[Object]:
        """Return the objects of an episode, from the last listing if there is one."""
        if self.listed is not None:
            return self.listed.get(id, [])
        with _errors_named(f"{self.url}/episodes/{id}"):
            return list(self._files.find(f"{self._episodes}/{id}", detail=True).values())

    def _fetch(self, one: Object, path: Path) -> None:
        """Copy an object to `path`; one that is too large becomes an empty file of its size."""
        path.parent.mkdir(parents=True, exist_ok=True)
        size = one["size"]
        if size is not None and size > MAX_FILE_BYTES:
            path.touch()
            os.truncate(path, size)
            return
        # Some services, plain HTTP among them, do not report sizes beforehand.
        most = MAX_FILE_BYTES + 1 if size is None else None
        with _errors_named(self._files.unstrip_protocol(one["name"])):
            path.write_bytes(self._files.cat_file(one["name"], end=most))


def _inside(name: str, folder: str) -> str:
    """Return an object's name relative to `folder`."""
    return name.strip("/").removeprefix(folder.strip("/")).strip("/")


def _filesystem(url: str) -> tuple[Any, str]:
    """Return the filesystem of a URL and the path in it. Raises Refused without the library."""
    try:
        import fsspec

        files, root = fsspec.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise Refused(
            url,
            f"cannot be reached: {error}",
            "a folder, or a URL that fsspec knows",
            "pip install fsspec and the package that it names, such as s3fs.",
            code="bucket",
        ) from error
    return files, root.rstrip("/")


@contextlib.contextmanager
def _errors_named(url: str) -> Iterator[None]:
    """Turn any error of a service in the block into an OSError that names `url`."""
    try:
        yield
    except Exception as error:
        code = getattr(error, "errno", None) or errno.EIO
        raise OSError(code, f"{type(error).__name__}: {error}", url) from error
