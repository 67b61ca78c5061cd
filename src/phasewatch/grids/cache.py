"""The cache of grids: one pass over a store gives verdicts, grids and truth, and is kept.

The cache is a folder of packs beside the verdicts of the same episodes. A grid is used for as long
as the digest of its episode, the schema, the opening and the code that made it are the same; what
is missing is made. The folder may be shared by runs and stores, and by processes at once.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from phasewatch import baseline, windowing
from phasewatch import episode as episode_module
from phasewatch.baseline import NOTE, Record
from phasewatch.errors import Refused
from phasewatch.grids import pack as pack_module
from phasewatch.grids.pack import ENDING, Pack, Stored, open_pack, write_pack
from phasewatch.grids.stored import Grids
from phasewatch.io import atomic
from phasewatch.io.executors import Executor, serial
from phasewatch.schema import Schema
from phasewatch.store.local import Store
from phasewatch.validation.cache import VerdictCache, VersionedResult
from phasewatch.validation.sweep import validate_each, version_of, with_store_findings
from phasewatch.validation.verdict import ValidationResult
from phasewatch.windowing import grid_of

VERDICTS = "verdicts"
"""The folder of verdicts in a cache."""

PACK_EPISODES = 1024
"""Episodes of a pack, which are in memory while it is made."""

TOLD_BYTES = 64 << 20
"""Size of grids from which on it is said before they are made."""

MOST_BYTES = 20 << 30
"""Size of a cache beyond which packs go that were not used for `KEPT_S`, the oldest first."""

KEPT_S = 24 * 3600

SAMPLED_MANIFESTS = 64
"""Manifests that the size of the grids is estimated from."""


@dataclass(frozen=True)
class Swept:
    """A store after one pass: the result of every episode, and the grids of the usable ones.

    `refused` has, by id, usable episodes without a grid, and why they have none.
    """

    results: list[ValidationResult]
    grids: Grids
    refused: Mapping[str, tuple[Record, Refused]]

    @property
    def records(self) -> dict[str, Record]:
        """What a selection of baseline recordings needs to know of every usable episode, by id."""
        every = self.grids.records | {id: record for id, (record, _) in self.refused.items()}
        return {one.id: every[one.id] for one in self.results if one.usable}

    def of(self, ids: Sequence[str]) -> Grids:
        """Return the grids of some usable episodes. Raises Refused for one that has none."""
        for id in ids:
            if id in self.refused:
                raise self.refused[id][1]
        return self.grids.take(ids)


@dataclass(frozen=True)
class GridCache:
    """The grids of a store's episodes under a schema, with openings of `opening_s`, in `folder`."""

    folder: Path
    schema: Schema
    opening_s: float

    @cached_property
    def key(self) -> str:
        """A digest of all but the episode that its grid depends on."""
        modules = (windowing, baseline, episode_module, pack_module)
        code = [hashlib.sha256(Path(str(one.__file__)).read_bytes()).hexdigest() for one in modules]
        return atomic.digest([self.schema.definition(), self.opening_s, code])

    def sweep(
        self,
        store: Store,
        executor: Executor = serial,
        log: Callable[[str], None] = lambda line: None,
    ) -> Swept:
        """Validate a store and make the grids that are missing, in one pass over the bytes of both.

        Episodes whose verdict and grid are known are not read. `executor` runs the blocks. Raises
        Refused where the grids do not fit on the disk.
        """
        # Verdicts are by the path of the store, whose ids another store may have as well.
        place = atomic.digest(str(store.root.resolve()))[:16]
        verdicts = VerdictCache(self.folder / VERDICTS / place, store.schema)
        known, stored = verdicts.read(), self._stored()
        done = {
            id: known[id]
            for id in store.ids()
            if id in known and known[id][0] == version_of(store, id) and _whole(known[id], stored)
        }
        left = [id for id in store.ids() if id not in done]
        self._say_size(store, left, log)
        blocks = [left[at : at + PACK_EPISODES] for at in range(0, len(left), PACK_EPISODES)]
        refused: dict[str, tuple[Record, Refused]] = {}
        for ids, block in zip(blocks, executor(partial(_block, self, store), blocks), strict=True):
            verdicts.add(block.validated)
            done |= dict(zip(ids, block.validated, strict=True))
            refused |= block.refused
            stored |= self._stored_in(block.packs)
        order = sorted(done)
        if left:
            verdicts.replace(done[id] for id in order)
        results = with_store_findings([done[id][1] for id in order])
        usable = [one for one in results if one.usable]
        grids = _grids([stored[one.digest] for one in usable if one.id not in refused])
        self._forget(grids)
        return Swept(results, grids, refused)

    def _stored(self) -> dict[str, tuple[Pack, int]]:
        """Return where the grid of each episode is, by the digest of its manifest."""
        return self._stored_in(sorted(self.folder.glob(f"*{ENDING}")))

    def _stored_in(self, paths: Sequence[Path]) -> dict[str, tuple[Pack, int]]:
        found: dict[str, tuple[Pack, int]] = {}
        for path in paths:
            try:
                pack = open_pack(path, verify=True)
            except FileNotFoundError:
                continue
            except (ValueError, OSError):
                # A damaged pack is made again.
                path.unlink(missing_ok=True)
                continue
            pack.release()
            if pack.key == self.key:
                found |= {one.digest: (pack, at) for at, one in enumerate(pack.episodes)}
        return found

    def _say_size(self, store: Store, ids: Sequence[str], log: Callable[[str], None]) -> None:
        """Say how large the grids of these episodes will be. Raises Refused where they do not fit.

        The size is estimated from a few manifests.
        """
        if not ids:
            return
        size = _estimate(store, ids, self.schema)
        atomic.prepare_folder(self.folder)
        free = shutil.disk_usage(self.folder).free
        if size > TOLD_BYTES:
            log(f"grids   {len(ids):,} episodes to read, about {size >> 20:,} MiB in {self.folder}")
        if size > free:
            raise Refused(
                self.folder,
                f"has {free >> 20:,} MiB of space",
                f"about {size >> 20:,} MiB for the grids of {len(ids):,} episodes",
                "Name a larger disk with --cache.",
                code="grids_space",
            )

    def _forget(self, used: Grids) -> None:
        """Remove packs that were not used for long, while the cache is larger than it may be."""
        for pack in used.packs:
            os.utime(pack.path)
        own = {pack.path for pack in used.packs}
        sizes = {path: path.stat() for path in self.folder.glob(f"*{ENDING}")}
        excess = sum(one.st_size for one in sizes.values()) - MOST_BYTES
        for path in sorted(sizes, key=lambda path: sizes[path].st_mtime):
            old = time.time() - sizes[path].st_mtime > KEPT_S
            if excess > 0 and old and path not in own:
                path.unlink(missing_ok=True)
                excess -= sizes[path].st_size


@dataclass(frozen=True)
class _Block:
    """What one block of episodes gives: verdicts, the packs written, and what has no grid."""

    validated: list[VersionedResult]
    packs: list[Path]
    refused: dict[str, tuple[Record, Refused]] = field(default_factory=dict)


def _block(cache: GridCache, store: Store, ids: Sequence[str]) -> _Block:
    """Validate some episodes, and write the grids of the usable ones as a pack."""
    found = _Block([], [])
    grids = []
    for version, result, episode in validate_each(store, ids):
        found.validated.append((version, result))
        if episode is None or not result.usable:
            continue
        try:
            grid = grid_of(episode, cache.schema, cache.opening_s)
        except Refused as refused:
            found.refused[result.id] = (Record(result.identity, episode.notes), refused)
            continue
        declared = episode.notes.get(NOTE) is True
        grids.append((Stored.of(episode, result.digest, grid, declared), grid))
    if grids:
        found.packs.append(write_pack(cache.folder, cache.key, grids))
    return found


def _whole(known: VersionedResult, stored: Mapping[str, object]) -> bool:
    """Whether nothing of an episode is missing: a usable one needs a grid."""
    return not known[1].usable or known[1].digest in stored


def _grids(places: Sequence[tuple[Pack, int]]) -> Grids:
    """Return grids that lie in packs, in this order."""
    packs = {pack.path: pack for pack, _ in places}
    number = {path: at for at, path in enumerate(packs)}
    rows = [(number[pack.path], at) for pack, at in places]
    return Grids(tuple(packs.values()), np.array(rows, dtype=np.int64).reshape(-1, 2))


def _estimate(store: Store, ids: Sequence[str], schema: Schema) -> int:
    """Return about how many bytes the grids of some episodes take."""
    some = ids[:: max(len(ids) // SAMPLED_MANIFESTS, 1)]
    steps = 0
    for id in some:
        try:
            manifest = store.manifest(id)
        except (Refused, OSError):
            continue
        steps += max(manifest.end_ns - manifest.start_ns, 0) // schema.grid.step_ns
    return steps * len(ids) // len(some) * len(schema.channels) * 4
