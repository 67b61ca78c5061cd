"""A pack: the grids of some episodes in one file of safetensors, mapped into memory to be read.

The name of the file is the digest of its bytes, so that a damaged one is found out, and two
processes that write the same pack write the same file.
"""

import hashlib
import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from phasewatch.episode import Episode, Identity
from phasewatch.io import atomic
from phasewatch.windowing import EpisodeGrid

ENDING = ".grids"
TYPES = {"F32": np.float32, "F64": np.float64, "I32": np.int32, "I64": np.int64, "U8": np.uint8}
"""Types of arrays in a pack, under the names of safetensors."""


@dataclass(frozen=True)
class Stored:
    """An episode of a pack: its identity, the digest of its manifest, and its part of the arrays.

    `steps` and `windows` are how many of each it has; `baseline` is whether its note declares it.
    """

    identity: Identity
    digest: str
    baseline: bool
    steps: int
    windows: int

    def about(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        names = {**asdict(self.identity), "phases": sorted(self.identity.phases)}
        return {**asdict(self), "identity": names}

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> "Stored":
        """Return the episode that `about` gave. Raises KeyError, TypeError or ValueError."""
        names = value["identity"]
        identity = Identity(**{**names, "phases": frozenset(names["phases"])})
        return cls(**{**value, "identity": identity})

    @classmethod
    def of(cls, episode: Episode, digest: str, grid: EpisodeGrid, baseline: bool) -> "Stored":
        """Return what a pack holds of an episode beside its arrays."""
        phases = frozenset(label.phase for label in episode.labels)
        identity = Identity(**episode.provenance, start_ns=episode.start_ns, phases=phases)
        return cls(identity, digest, baseline, grid.columns.shape[1], len(grid.starts))


@dataclass(frozen=True)
class Pack:
    """The grids of E episodes with M steps and W windows in all, mapped into memory.

    `steps[M,C]` are the steps of all episodes, one episode after the other, `levels[E,C]` their
    levels. `start[W]` is the first step of each window, counted in its episode; `y`, `purity`,
    `since_s` and `ambiguous` are those of `Windows`.
    """

    path: Path
    key: str
    episodes: tuple[Stored, ...]
    steps: NDArray[np.float32]
    levels: NDArray[np.float32]
    start: NDArray[np.int32]
    y: NDArray[np.int32]
    purity: NDArray[np.float64]
    since_s: NDArray[np.float64]
    ambiguous: NDArray[np.uint8]
    _mapped: mmap.mmap

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the path alone, so that another process maps the same file."""
        return open_pack, (self.path,)

    def release(self) -> None:
        """Take the pages that were read out of this process; the system may keep them cached."""
        self._mapped.madvise(mmap.MADV_DONTNEED)


def write_pack(folder: Path, key: str, grids: Sequence[tuple[Stored, EpisodeGrid]]) -> Path:
    """Write the grids of some episodes, at least one, as a pack of that key; return its path."""
    of = [grid for _, grid in grids]

    def joined(name: str, kind: Any) -> NDArray[Any]:
        return np.concatenate([getattr(grid, name) for grid in of]).astype(kind)

    arrays = {
        "steps": np.concatenate([np.ascontiguousarray(grid.columns.T) for grid in of]),
        "levels": np.stack([grid.level for grid in of]),
        "start": joined("starts", np.int32),
        "y": joined("y", np.int32),
        "purity": joined("purity", np.float64),
        "since_s": joined("since_s", np.float64),
        "ambiguous": joined("ambiguous", np.uint8),
    }
    about = {"key": key, "episodes": [stored.about() for stored, _ in grids]}
    # One entry: safetensors writes several in an order that changes from call to call.
    data = save(arrays, metadata={"about": json.dumps(about)})
    path = folder / f"{hashlib.sha256(data).hexdigest()[:32]}{ENDING}"
    atomic.write(path, data)
    return path


def open_pack(path: Path, verify: bool = False) -> Pack:
    """Map a pack into memory. Raises ValueError for a damaged one, and OSError.

    Its digest is compared only to `verify` it, which reads the whole file.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if verify and hashlib.sha256(mapped).hexdigest()[:32] != path.name.removesuffix(ENDING):
        raise ValueError(f"{path} is damaged")
    try:
        length = int.from_bytes(mapped[:8], "little")
        header = json.loads(mapped[8 : 8 + length])
        about = json.loads(header.pop("__metadata__")["about"])
        arrays = {name: _array(mapped, 8 + length, one) for name, one in header.items()}
        episodes = tuple(map(Stored.parse, about["episodes"]))
        return Pack(path, about["key"], episodes, **arrays, _mapped=mapped)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} has another form: {error}") from error


def _array(mapped: mmap.mmap, base: int, one: Mapping[str, Any]) -> NDArray[Any]:
    """Return one array of a file that is mapped into memory."""
    begin, end = one["data_offsets"]
    kind = np.dtype(TYPES[one["dtype"]])
    flat = np.frombuffer(mapped, kind, (end - begin) // kind.itemsize, base + begin)
    return flat.reshape(one["shape"])
