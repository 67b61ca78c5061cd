"""What earlier sweeps judged: so that a sweep skips what has not changed, and resumes when killed.

A folder beside the index, one part a block of episodes, each part written whole or not at all and
checked when read. A judgement stands for as long as the episode's stamp is the same: name, size,
inode and both times of each of its files. A part by other rules or another release is not used, and
neither is a damaged one: what cannot be trusted is judged again. Errored is never kept.
"""

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from phasewatch import __version__, clocks, durable, index, rules, store
from phasewatch.schema import NS, Schema
from phasewatch.verdict import Judgement

Stamped = tuple[str, Judgement]

SETTLED_NS = NS // 20
"""A file that changed this recently may change again within one tick of its clock: no stamp."""


def stamp(folder: Path) -> str:
    """What changes when an episode's files do, "" while they may still. Raises OSError."""
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    found = [entry.stat(follow_symlinks=False) for entry in entries]
    own = os.lstat(folder)
    latest = max(one.st_ctime_ns for one in (own, *found))
    if time.time_ns() - latest < SETTLED_NS:
        return ""
    told = [
        (entry.name, one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino)
        for entry, one in zip(entries, found, strict=True)
    ]
    return hashlib.sha256(repr((own.st_dev, own.st_ino, told)).encode()).hexdigest()[:32]


class Ledger:
    """The judgements of earlier sweeps under one schema, kept in `folder`."""

    def __init__(self, folder: Path, schema: Schema) -> None:
        self.folder = folder
        self._key = hashlib.sha256(
            durable.canonical([__version__, schema.fingerprint, *_code()])
        ).hexdigest()

    def read(self) -> dict[str, Stamped]:
        """By id: the stamp that was judged, and the judgement."""
        known: dict[str, Stamped] = {}
        for path in self._parts():
            try:
                part = index.decode(path.read_bytes())
                if set(part["key"].to_pylist()) - {self._key}:
                    continue
                stamps, judged = part["stamp"].to_pylist(), index.judgements(part)
            except (OSError, pa.ArrowException, KeyError, ValueError):
                continue
            known.update({own.id: (at, own) for at, own in zip(stamps, judged, strict=True)})
        return known

    def add(self, judged: Iterable[Stamped]) -> Path | None:
        """Keep some judgements as a part of their own; None where none may be kept."""
        kept = [(at, own) for at, own in judged if at and own.verdict != "errored"]
        if not kept:
            return None
        stamps, own = zip(*kept, strict=True)
        extra = {"stamp": stamps, "key": [self._key] * len(kept)}
        data = index.encode(index.table(own, extra))
        path = self.folder / f"{hashlib.sha256(data).hexdigest()[:24]}.parquet"
        durable.write(path, data)
        return path

    def replace(self, judged: Iterable[Stamped]) -> None:
        """Keep these and nothing else, in one part."""
        before = self._parts()
        kept = self.add(judged)
        for path in before:
            if path != kept:
                path.unlink(missing_ok=True)

    def _parts(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        names = sorted(os.listdir(self.folder))
        return [self.folder / name for name in names if not name.startswith(durable.PENDING)]


def _code() -> Sequence[str]:
    """Digests of the files that decide on verdicts: a changed rule judges everything again."""
    return [
        hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()
        for module in (store, clocks, rules)
    ]
