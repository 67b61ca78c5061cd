"""Results of earlier sweeps, so that a sweep skips what has not changed, and resumes when killed.

The cache is a folder beside the index with one part per block of episodes. Each part is written
atomically and verified when read. A result is used for as long as the episode's version is the
same: name, size, inode and both times of each of its files. A part by other rules or another
release is not used, and neither is a damaged one: such episodes are validated again. Errored
results are never stored.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from phasewatch import __version__, episode
from phasewatch.errors import Refused
from phasewatch.io import atomic, parquet, parquet_headers, plain_file
from phasewatch.schema import Schema
from phasewatch.store import format as store_format
from phasewatch.store import local
from phasewatch.validation import clocks, index, rules, verdict
from phasewatch.validation.verdict import ValidationResult

PART = re.compile(r"[0-9a-f]{24}\.parquet")
"""Names of parts: nothing else in the folder is read or removed."""

VersionedResult = tuple[str, ValidationResult]


class VerdictCache:
    """The results of earlier sweeps under one schema, stored in `folder`.

    Raises Refused where a file is in its place.
    """

    def __init__(self, folder: Path, schema: Schema) -> None:
        if folder.exists() and not folder.is_dir():
            raise Refused(
                folder,
                "is a file",
                "the folder of an earlier sweep's results, or nothing yet",
                "Give another --index, or move it away.",
                code="index",
            )
        self.folder = folder
        self._key = atomic.digest([__version__, schema.fingerprint, *_code()])

    def read(self) -> dict[str, VersionedResult]:
        """Return by id the version that was validated, and its result."""
        known: dict[str, VersionedResult] = {}
        for path in self._parts():
            try:
                part = parquet.decode(path.read_bytes())
                if set(part["key"].to_pylist()) - {self._key}:
                    continue
                versions, validated = part["version"].to_pylist(), index.from_table(part)
            except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
                continue
            known.update({one.id: (at, one) for at, one in zip(versions, validated, strict=True)})
        return known

    def add(self, validated: Iterable[VersionedResult]) -> Path | None:
        """Store some results as a new part, and return its path; None where none can be stored."""
        stored = [(at, one) for at, one in validated if at and one.verdict != "errored"]
        if not stored:
            return None
        versions, results = zip(*stored, strict=True)
        extra = {"version": versions, "key": [self._key] * len(stored)}
        data = parquet.encode(index.to_table(results, extra))
        path = self.folder / f"{hashlib.sha256(data).hexdigest()[:24]}.parquet"
        atomic.write(path, data)
        return path

    def replace(self, validated: Iterable[VersionedResult]) -> None:
        """Replace all stored results by these, in one part."""
        before = self._parts()
        added = self.add(validated)
        for path in before:
            if path != added:
                path.unlink(missing_ok=True)

    def _parts(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*.parquet") if PART.fullmatch(path.name))


def _code() -> Sequence[str]:
    """Return digests of the source files that verdicts depend on, so that a change invalidates."""
    modules = (parquet_headers, plain_file, episode, store_format, local, clocks, rules, verdict)
    files = [
        *(Path(str(module.__file__)) for module in modules),
        Path(__file__).with_name("sweep.py"),
    ]
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
