"""A store in a bucket, or wherever else fsspec reads: `s3://…`, `gs://…`, `sftp://…`.

It is read, never written. An episode is fetched into a folder of its own and validated there, so
that every rule is the same; what is larger than any episode may be is not fetched.
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
"""What services call that which changes with an object's bytes."""

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
        """Connections stay in the process that made them."""
        return RemoteStore, (self.url, self.schema, self.simulated)

    @classmethod
    def open(cls, url: str) -> "RemoteStore":
        """The store at `url`; raises Refused when there is none or it is of another format."""
        place = f"{url.rstrip('/')}/{HEADER}"
        files, root = _filesystem(url.rstrip("/"))
        try:
            with _named(place):
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
        """Ids of all published episodes, sorted, from one listing of all. Raises OSError."""
        with _named(self.url):
            self._files.invalidate_cache()
            found = self._files.find(self._episodes, detail=True)
        self.listed = defaultdict(list)
        for name, one in found.items():
            self.listed[_inside(name, self._episodes).partition("/")[0]].append(one)
        return sorted(id for id in self.listed if not id.startswith("."))

    def version(self, id: str) -> str:
        """Return a digest of what the service tells of the objects; "" where it tells nothing."""
        told = []
        for one in self._objects(id):
            versions = [str(one[key]) for key in VERSIONS if one.get(key)]
            if not versions:
                return ""
            told.append((_inside(one["name"], self._episodes), one["size"], versions))
        return hashlib.sha256(repr((self.url, sorted(told))).encode()).hexdigest()[:32]

    def location(self, id: str) -> str:
        """Return where an episode is, for messages."""
        return f"{self.url}/episodes/{id}"

    @contextlib.contextmanager
    def local_copy(self, id: str) -> Iterator[Store]:
        """A store on this machine with that episode in it. Raises OSError."""
        with tempfile.TemporaryDirectory() as folder:
            own = Store(Path(folder), self.schema, self.simulated)
            try:
                for one in self._objects(id):
                    parts = _inside(one["name"], self._episodes).split("/")
                    safe = [part for part in parts if part not in ("", ".", "..")]
                    self._fetch(one, Path(folder, "episodes", *safe))
                yield own
            except Refused as refused:
                raise refused.at(refused.where.replace(folder, self.url)) from refused

    def _objects(self, id: str) -> list[Object]:
        if self.listed is not None:
            return self.listed.get(id, [])
        with _named(f"{self.url}/episodes/{id}"):
            return list(self._files.find(f"{self._episodes}/{id}", detail=True).values())

    def _fetch(self, one: Object, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        size = one["size"]
        if size is not None and size > MAX_FILE_BYTES:
            path.touch()
            os.truncate(path, size)
            return
        # Some services, plain HTTP among them, do not tell sizes before.
        most = MAX_FILE_BYTES + 1 if size is None else None
        with _named(self._files.unstrip_protocol(one["name"])):
            path.write_bytes(self._files.cat_file(one["name"], end=most))


def _inside(name: str, folder: str) -> str:
    """An object's name as told from `folder`."""
    return name.strip("/").removeprefix(folder.strip("/")).strip("/")


def _filesystem(url: str) -> tuple[Any, str]:
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
def _named(url: str) -> Iterator[None]:
    """Whatever a service raises is an OSError of `url`: each has errors of its own."""
    try:
        yield
    except Exception as error:
        code = getattr(error, "errno", None) or errno.EIO
        raise OSError(code, f"{type(error).__name__}: {error}", url) from error
