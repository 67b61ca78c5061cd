"""The episode store: what recorders publish and every later stage reads.

One folder per episode, published by one atomic rename and never changed: `manifest.json`
(identity, time span, labels, digests) and `samples.parquet` (one row per source).
`docs/reference/store-format.md` is the contract for other recorders;
`docs/decisions/0001-one-parquet-file.md` has the measurements.
"""

import contextlib
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from phasewatch.episode import ID, Episode
from phasewatch.errors import Refused, differences
from phasewatch.io import atomic
from phasewatch.schema import NS, Schema
from phasewatch.store.format import (
    FORMAT,
    HEADER,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Manifest,
    decode_episode,
    encode_episode,
    parse_header,
    parse_manifest,
    read_file,
    read_listed_file,
    unsafe_path,
)

SETTLED_NS = NS // 20
"""A file that changed this recently may change again within one tick of its clock: no version."""


class Store:
    """A folder of episodes of one Schema, all recorded or all simulated.

    `simulated` holds the seed and fit of simulated episodes; None where they were recorded.
    """

    def __init__(
        self, root: Path, schema: Schema, simulated: Mapping[str, Any] | None = None
    ) -> None:
        self.root = root
        self.schema = schema
        self.simulated = simulated
        self._episodes = root / "episodes"

    def __repr__(self) -> str:
        """Return the folder, the schema's name and how the episodes were made."""
        made = "simulated" if self.simulated else "recorded"
        return f"<Store {self.root}: schema {self.schema.name}, {made}>"

    @classmethod
    def open(cls, root: Path) -> "Store":
        """Return the store at `root`. Raises Refused for none, or one of another format."""
        path = root / HEADER
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise unsafe_path(path)
            data = path.read_bytes()
        except OSError as error:
            raise Refused(
                path,
                error.strerror or str(error),
                "an episode store",
                "Give the folder that holds store.json.",
                code="store_missing",
            ) from error
        return cls(root, *parse_header(data, path))

    @classmethod
    def create(
        cls, root: Path, schema: Schema, simulated: Mapping[str, Any] | None = None
    ) -> "Store":
        """Return a store at `root`, new or existing.

        Raises Refused for an existing one of another schema or kind.
        """
        atomic.refuse_url(root)
        if (root / HEADER).exists():
            store = cls.open(root)
            if store.schema.fingerprint != schema.fingerprint:
                raise Refused(
                    root / HEADER,
                    "; ".join(schema.incompatibilities(store.schema)) or "its channels are others",
                    f"the schema {schema.name}",
                    "Record into another folder.",
                    code="store_schema",
                )
            store._refuse_kind(simulated)
            return store
        header = {"format": FORMAT, "schema": schema.dump()} | (
            {"simulated": simulated} if simulated else {}
        )
        atomic.write(root / HEADER, (json.dumps(header, indent=1) + "\n").encode())
        return cls(root, schema, simulated)

    def _refuse_kind(self, simulated: Mapping[str, Any] | None) -> None:
        """Raise Refused unless `simulated` describes the episodes of this store."""
        if self.simulated == simulated:
            return
        if self.simulated and simulated:
            problem = f"simulated otherwise: {differences(self.simulated, simulated)}"
        else:
            problem = f"holds {'simulated' if self.simulated else 'recorded'} episodes"
        raise Refused(
            self.root / HEADER,
            problem,
            "a store of the same simulation" if simulated else "a store of recorded episodes",
            "Write into another folder.",
            code="store_kind",
        )

    def refuse_simulated(self, what: str, asked: bool = False) -> None:
        """Raise Refused when the episodes are simulated, unless that was `asked` for by name.

        Scores on them say nothing about machines. Where it was asked for, recorded episodes are
        refused: what comes of them would be called simulated.
        """
        if bool(self.simulated) == asked:
            return
        if asked:
            problem, expected = "holds recorded episodes", "a store of simulated ones"
            remedy = "Leave --simulated out (simulated=True in Python)."
        else:
            problem = f"holds simulated episodes, and {what} gives scores"
            expected = "a store of recorded episodes"
            remedy = (
                "Use recordings, or for tests of scale --simulated (simulated=True in Python): "
                "all that comes of it says so."
            )
        raise Refused(self.root / HEADER, problem, expected, remedy, code="store_kind")

    def ids(self) -> list[str]:
        """Return the ids of all published episodes, sorted."""
        folder = self._episodes
        if not folder.is_dir():
            return []
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))

    def version(self, id: str) -> str:
        """Return a digest of the status of all files; "" while it may change. Raises OSError."""
        folder = self._episodes / id
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        found = [entry.stat(follow_symlinks=False) for entry in entries]
        status = os.lstat(folder)
        latest = max(one.st_ctime_ns for one in (status, *found))
        if time.time_ns() - latest < SETTLED_NS:
            return ""
        files = [
            (entry.name, one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino)
            for entry, one in zip(entries, found, strict=True)
        ]
        identity = repr((status.st_dev, status.st_ino, files))
        return hashlib.sha256(identity.encode()).hexdigest()[:32]

    def location(self, id: str) -> str:
        """Return where an episode is, for messages."""
        return str(self.folder(id))

    @contextlib.contextmanager
    def local_copy(self, id: str) -> Iterator["Store"]:
        """Yield a store on this machine that contains the episode: this one."""
        yield self

    def folder_of_drafts(self) -> contextlib.AbstractContextManager[Path]:
        """Return a folder for the drafts of workers, which ends with the block and holds no id."""
        return atomic.folder_of_drafts(self._episodes)

    def folder(self, id: str) -> Path:
        """Return the folder of an episode. Raises Refused for an id that could leave the store."""
        if not ID.fullmatch(id):
            raise Refused(
                f"{self.root}: episode id",
                f"{id!r} is not usable",
                "letters, digits, '.', '_' and '-', at most 128, the first a letter or digit",
                "Rename the episode.",
                code="id_invalid",
            )
        return self._episodes / id

    def publish(self, episode: Episode) -> Path:
        """Write an episode atomically. Raises Refused when the id is taken."""
        return self.put(episode.id, encode_episode(episode))

    def put(self, id: str, files: Mapping[str, bytes], drafts: Path | None = None) -> Path:
        """Write the files of an episode atomically. Raises Refused when the id is taken.

        The draft is in `drafts`, on the same disk, or beside the episode.
        """
        target = self.folder(id)
        try:
            with atomic.new_folder(target, drafts) as folder:
                for name, data in files.items():
                    (folder / name).write_bytes(data)
        except FileExistsError as error:
            raise Refused(
                target,
                "is already published",
                "a new id",
                "Episodes are never replaced: delete it, or record under another seed.",
                code="id_taken",
            ) from error
        return target

    def manifest(self, id: str) -> Manifest:
        """Return an episode's manifest, its digest verified. Raises Refused, or OSError."""
        path = self.folder(id) / MANIFEST
        return parse_manifest(read_file(path, MAX_MANIFEST_BYTES), id, path)

    def read(self, id: str) -> Episode:
        """Return an episode, every byte verified by a digest. Raises Refused, or OSError."""
        return self.load(self.manifest(id))

    def load(self, manifest: Manifest) -> Episode:
        """Return the episode that a manifest describes. Raises Refused, or OSError."""
        return decode_episode(manifest, self.files(manifest), self.location(manifest.id))

    def files(self, manifest: Manifest) -> dict[str, bytes]:
        """Return the unverified bytes of the listed files by name. Raises Refused, or OSError."""
        folder = self.folder(manifest.id)
        return {name: read_listed_file(folder, name) for name in manifest.files}

    def remove(self, id: str) -> None:
        """Remove an episode from the store atomically. Raises OSError."""
        doomed = self._episodes / f"{atomic.DRAFT_PREFIX}{id}"
        shutil.rmtree(doomed, ignore_errors=True)
        self.folder(id).rename(doomed)
        shutil.rmtree(doomed)
        atomic.sync(doomed.parent)


def refuse_empty(ids: Sequence[str], place: object) -> None:
    """Raise Refused where the store at `place` has no episode, so that nothing passes unseen."""
    if not ids:
        raise Refused(
            f"{place}/episodes",
            "holds no episode",
            "at least one",
            "Record some, or give another folder.",
            code="store_empty",
        )


def refuse_unknown(id: str, ids: Sequence[str], option: str) -> None:
    """Raise Refused when `id`, the value of an option, is not among the `ids` of the store."""
    if id not in ids:
        raise Refused(
            f"{option} {id}",
            "is not in the store",
            f"an id such as {next(iter(ids), 'those under episodes/')}",
            "`phasewatch validate STORE --json` lists them.",
            code="episode_unknown",
        )


def refuse_inside(out: Path) -> None:
    """Raise Refused when `out` is an episode store or in one, which hold episodes only."""
    atomic.refuse_url(out)
    for place in (out.absolute(), *out.absolute().parents):
        if (place / HEADER).exists():
            raise Refused(
                out,
                f"lies in the episode store {place}" if place != out.absolute() else "is a store",
                "a folder outside of every episode store",
                "Choose another folder.",
                code="in_store",
            )
