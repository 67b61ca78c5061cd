"""Which files of a source may be tables, and their bytes: decompressed, whatever their names say.

gzip, bzip2, xz, zstd and zip are told by their first bytes. Each member of a zip archive is an
input of its own.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from phasewatch.errors import Refused

NOT_TABLES = {
    ".md", ".rst", ".html", ".htm", ".css", ".js", ".py", ".ipynb", ".sh", ".toml", ".yaml", ".yml",
    ".ini", ".cfg", ".conf", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".bib", ".tex",
    ".lock", ".pem", ".sha256", ".md5",
}  # fmt: skip
"""Endings of files that are no tables: text for people, code and pictures."""

FOR_PEOPLE = frozenset(
    ["README", "READ_ME", "READ-ME", "LICENSE", "LICENCE", "CHANGELOG", "CHANGES", "NOTICE",
     "CITATION", "AUTHORS", "COPYING", "CHECKSUMS", "SHA256SUMS", "MD5SUMS"]
)  # fmt: skip
"""Names, without an ending or with .txt, of files that are text for people."""

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".gzip")
"""Endings that tell of compression, not of the format."""

ZIP = b"PK\x03\x04"
LAYERS = 3
"""How often the content of a file may be compressed."""


class _Bytes(io.RawIOBase):
    """A stream of another library, as Python's own buffered readers need it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """Return True: Python asks before it reads."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`, and return how many bytes there were."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _zstd(stream: Any) -> IO[bytes]:
    """Return the content of a zstd stream."""
    import pyarrow as pa

    plain = pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")
    return cast(IO[bytes], io.BufferedReader(_Bytes(plain), 1 << 20))


DECOMPRESSORS: tuple[tuple[bytes, Callable[[Any], Any]], ...] = (
    (b"\x1f\x8b", lambda stream: gzip.GzipFile(fileobj=stream)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", _zstd),
)
"""The first bytes of each kind of compressed file, and what reads it."""


@dataclass(frozen=True)
class Input:
    """A file, or a `member` of a zip archive; `name` is its path in the source, with slashes."""

    path: Path
    name: str
    member: str = ""

    def __str__(self) -> str:
        """Return the path, for messages."""
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def plain_name(self) -> str:
        """The name in lower case, without the endings that tell of compression."""
        name = (self.member or self.path.name).lower().rpartition("/")[2]
        while name.endswith(COMPRESSED):
            name = name.rpartition(".")[0]
        return name


def unreadable(place: object, problem: str, expected: str) -> Refused:
    """Return the refusal of a file that cannot be read as a table."""
    return Refused(place, problem, expected, "Repair it, or set it aside under [files] skip.")


def find(source: Path, pattern: str = "**/*") -> list[Input]:
    """Return the files of a folder that may be tables, or the one file, sorted by path.

    A zip archive that cannot be opened is an input, too: reading it tells why.
    """
    if source.is_file():
        return list(_inputs(source, source.name))
    paths = sorted(path for path in source.glob(pattern) if path.is_file())
    return [
        one
        for path in paths
        if not _set_aside(path.relative_to(source))
        for one in _inputs(path, path.relative_to(source).as_posix())
    ]


def _set_aside(path: Path) -> bool:
    """Return whether a file is hidden, or no table by its name."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    told = path.suffix.lower() in (*NOT_TABLES, "", ".txt") and path.stem.upper() in FOR_PEOPLE
    return hidden or told or path.suffix.lower() in NOT_TABLES


def _inputs(path: Path, name: str) -> Iterator[Input]:
    """Yield the file, or each member of a zip archive."""
    members = _members(path)
    for member in members:
        yield Input(path, f"{name}/{member}", member)
    if not members:
        yield Input(path, name)


def _members(path: Path) -> list[str]:
    """Return the files in a zip archive; none for spreadsheets, damaged and other files."""
    try:
        with path.open("rb") as file:
            if file.read(4) != ZIP:
                return []
        with zipfile.ZipFile(path) as archive:
            names = sorted(one.filename for one in archive.infolist() if not one.is_dir())
    except (OSError, zipfile.BadZipFile):
        return []
    if "[Content_Types].xml" in names:
        return []
    return [name for name in names if not _set_aside(Path(name))]


@contextlib.contextmanager
def open_bytes(given: Input) -> Iterator[IO[bytes]]:
    """Yield the content of an input as a stream; damage found in the block is Refused."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_refusals(given))
        stream: IO[bytes] = stack.enter_context(given.path.open("rb"))
        if given.member:
            archive = stack.enter_context(zipfile.ZipFile(stream))
            stream = stack.enter_context(archive.open(given.member))
        yield _plain(stream)


def _plain(stream: Any) -> IO[bytes]:
    """Return the content of a stream, which may be compressed."""
    for _ in range(LAYERS):
        stream = _peekable(stream)
        start = stream.peek(8)[:8]
        found = next((one for magic, one in DECOMPRESSORS if start.startswith(magic)), None)
        if found is None:
            break
        stream = found(stream)
    return cast(IO[bytes], stream)


def _peekable(stream: Any) -> IO[bytes]:
    """Return a stream of which the first bytes can be seen before they are read."""
    if isinstance(stream, io.BufferedReader):
        return cast(IO[bytes], stream)
    return cast(IO[bytes], io.BufferedReader(_Bytes(stream), 1 << 20))


@contextlib.contextmanager
def _refusals(given: Input) -> Iterator[None]:
    """Refuse a damaged archive in the block, naming the file."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        raise unreadable(given, str(error), "a file that is complete") from None
    except (RuntimeError, NotImplementedError) as error:
        # zipfile raises these for a password, and for a compression it does not know.
        raise unreadable(given, str(error), "an archive without a password") from None
    except OSError as error:
        if error.errno is not None:
            raise
        # bz2 and Arrow raise it without a number for damaged data.
        raise unreadable(given, str(error), "a file that is complete") from None
