"""A model on disk that gives the answers it gave when it was trained, or refuses and says why.

`<name>.ckpt.json` is the header and the source of truth; `<name>.<digest>.<suffix>` holds the
weights, found by the header's digest and never by a name read from it. Loading replays the probe:
some seconds of raw samples, the window they made and the logits that followed. No pickle anywhere.
"""

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phasewatch import __version__, durable, schema
from phasewatch.episode import Episode, Samples
from phasewatch.model import Classifier, find
from phasewatch.refusal import Refused
from phasewatch.schema import Mode, Schema
from phasewatch.views import VIEWS, Array, Lens, fingerprint
from phasewatch.windows import at, opening

FORMAT: Literal[1] = 1
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
TOLERANCE = 1e-5
"""Largest difference of a probe's logits that another machine's rounding may make."""


class Drift(Refused):
    """The data's meaning is no longer the one a checkpoint was trained on; `lines` says where."""

    def __init__(self, where: object, lines: list[str]) -> None:
        self.lines = lines
        super().__init__(
            where,
            "; ".join(lines),
            "the definitions it was trained on",
            "Retrain it, or give it data recorded as then.",
            code="drift",
        )


class Probe(BaseModel):
    """Raw samples in, window and logits out, as they were on the day of training."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    origin_ns: int
    end: int
    opening: list[float | None]
    sources: dict[str, dict[str, Any]]
    window: list[list[float | None]]
    logits: list[float]


class Header(BaseModel):
    """`<name>.ckpt.json`. `digest` covers all other fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1]
    name: str
    model: str
    mode: Mode
    view: Literal["summary", "tensor"]
    data: dict[str, Any]
    fingerprints: dict[str, str]
    opening_s: float = Field(ge=0)
    lens: dict[str, list[float]]
    config: dict[str, Any]
    recipe: dict[str, Any]
    split: dict[str, Any]
    scores: dict[str, float]
    versions: dict[str, str]
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    weights_bytes: int
    probe: Probe
    digest: str

    def computed(self) -> str:
        """The digest this header should carry."""
        rest = self.model_dump(exclude={"digest"})
        return hashlib.sha256(durable.canonical(rest)).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with the schema, opening and lens that give its input a meaning.

    `opening_s` is for how long a machine is watched, known to be benign, before it is judged.
    """

    name: str
    model_name: str
    mode: Mode
    schema: Schema
    opening_s: float
    lens: Lens
    model: Classifier
    recipe: Mapping[str, Any]
    split: Mapping[str, Any]
    scores: Mapping[str, float]

    def logits(self, x: NDArray[np.float32], opening: NDArray[np.float32] | None = None) -> Array:
        """`[N,K]` of windows `x[N,C,T]` and their `opening[N,C]`, under this checkpoint's schema.

        Without an opening, the machine is taken to start where machines in training did.
        """
        if opening is None:
            opening = np.full(x.shape[:2], np.nan, dtype=np.float32)
        return self.model.logits(self.lens.apply(x, opening))

    def bind(self, data: Schema, where: object) -> None:
        """Raise Drift unless `data` defines all this checkpoint asks for as it was in training."""
        lines = self.schema.gaps(data)
        if lines:
            raise Drift(f"checkpoint {self.name} on {where}", lines)


def path_of(folder: Path, name: str) -> Path:
    """The header's path; raises Refused for a name that could leave the folder."""
    if not NAME.fullmatch(name):
        raise Refused(
            f"checkpoint name {name!r}",
            "is not usable",
            "lower-case letters, digits, '.', '_' and '-', at most 64",
            "Choose another name.",
            code="path_name",
        )
    return folder / f"{name}.ckpt.json"


def save(checkpoint: Checkpoint, episode: Episode, folder: Path) -> Path:
    """Write a checkpoint with a probe from `episode`, load it again, and return its path.

    The weights go first and carry their digest in their name, so a header never points at weights
    that are not whole; an older header keeps its own.
    """
    path = path_of(folder, checkpoint.name)
    weights = checkpoint.model.save()
    digest = hashlib.sha256(weights).hexdigest()
    draft = Header(
        format=FORMAT,
        name=checkpoint.name,
        model=checkpoint.model_name,
        mode=checkpoint.mode,
        view=checkpoint.model.view,
        data=checkpoint.schema.dump(),
        fingerprints=_fingerprints(checkpoint.schema),
        opening_s=checkpoint.opening_s,
        lens={
            "opening": checkpoint.lens.opening.tolist(),
            "mean": checkpoint.lens.mean.tolist(),
            "std": checkpoint.lens.std.tolist(),
        },
        config=checkpoint.model.config,
        recipe=dict(checkpoint.recipe),
        split=dict(checkpoint.split),
        scores=dict(checkpoint.scores),
        versions=_versions(),
        weights_sha256=digest,
        weights_bytes=len(weights),
        probe=_probe(checkpoint, episode),
        digest="",
    )
    header = draft.model_copy(update={"digest": draft.computed()})
    durable.write(_weights(path, header, checkpoint.model.suffix), weights)
    durable.write(path, (json.dumps(header.model_dump(), indent=1) + "\n").encode())
    load(path)
    return path


def load_header(path: Path) -> Header:
    """The header alone, its digest checked. Raises Refused."""
    try:
        header = Header.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Refused(
            path,
            error.strerror or str(error),
            "a checkpoint's .ckpt.json",
            "Check the path; `phasewatch train` writes checkpoints.",
            code="missing",
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "file"
        raise Refused(
            f"{path}: {field}",
            first["msg"],
            f"a checkpoint header of format {FORMAT}",
            "Restore the file or train again.",
            code="header_schema",
        ) from error
    if header.digest != header.computed():
        raise Refused(
            f"{path}: digest",
            "the header was changed after it was written",
            f"digest {header.computed()[:12]}…",
            "Restore the file or train again.",
            code="header_digest",
        )
    return header


def load(path: Path) -> Checkpoint:
    """A checkpoint, checked to the last byte and to the last logit. Raises Refused, or Drift."""
    header = load_header(path)
    kind = find(header.model)
    weights = _read_weights(path, header, kind.suffix)
    own = schema.parse(header.data, f"{path}: data")
    if header.fingerprints != _fingerprints(own):
        now = f"this release extracts with version {schema.EXTRACTION}"
        raise Drift(path, [f"its fingerprints are not those of its own schema: {now}"])
    try:
        model = kind.load(weights, len(own.classes))
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(
            path.parent,
            f"weights of {header.name}: {error}",
            f"weights as {header.model} saves them",
            "Train again.",
            code="weights_format",
        ) from error
    checkpoint = Checkpoint(
        name=header.name,
        model_name=header.model,
        mode=header.mode,
        schema=own,
        opening_s=header.opening_s,
        lens=Lens(header.view, *(np.array(header.lens[k]) for k in ("opening", "mean", "std"))),
        model=model,
        recipe=header.recipe,
        split=header.split,
        scores=header.scores,
    )
    _replay(checkpoint, header.probe, path)
    return checkpoint


def _fingerprints(own: Schema) -> dict[str, str]:
    return {view: fingerprint(own, view) for view in VIEWS}


def _versions() -> dict[str, str]:
    libraries = ("numpy", "scikit-learn", "xgboost-cpu")
    python = ".".join(map(str, sys.version_info[:3]))
    return {
        "phasewatch": __version__,
        "python": python,
        **{name: metadata.version(name) for name in libraries},
    }


def _weights(path: Path, header: Header, suffix: str) -> Path:
    return path.with_name(f"{header.name}.{header.weights_sha256[:16]}.{suffix}")


def _read_weights(path: Path, header: Header, suffix: str) -> bytes:
    """The weights' bytes, read once: what is checked here is what is parsed later."""
    place = _weights(path, header, suffix)
    try:
        weights = place.read_bytes()
    except OSError as error:
        raise Refused(
            place,
            error.strerror or str(error),
            f"the weights of {path.name}",
            "Copy both files of a checkpoint together.",
            code="missing",
        ) from error
    found = hashlib.sha256(weights).hexdigest()
    if (len(weights), found) != (header.weights_bytes, header.weights_sha256):
        raise Refused(
            place,
            f"holds {len(weights)} bytes with sha256 {found[:12]}…",
            f"{header.weights_bytes} bytes with {header.weights_sha256[:12]}…",
            "The file was damaged: restore it or train again.",
            code="digest",
        )
    return weights


def _probe(checkpoint: Checkpoint, episode: Episode) -> Probe:
    """The first window of `episode` after its opening, with all samples that it depends on."""
    own = checkpoint.schema
    end = own.grid.steps + round(checkpoint.opening_s / own.grid.step_s)
    until = episode.start_ns + end * own.grid.step_ns
    since = episode.start_ns - 2 * (own.grid.hold_ns + own.grid.step_ns)
    sources = {}
    for source in own.sources:
        if source in episode.sources:
            samples = episode.sources[source]
            near = (samples.t_wall_ns > since) & (samples.t_wall_ns <= until)
            sources[source] = {
                "names": list(samples.names),
                "rate_hz": samples.rate_hz,
                "t_wall_ns": samples.t_wall_ns[near].tolist(),
                "t_mono_ns": samples.t_mono_ns[near].tolist(),
                "values": _nullable(samples.values[near]),
            }
    kept = _sources(sources)
    window = at(kept, own, episode.start_ns, end)
    level = opening(kept, own, episode.start_ns, checkpoint.opening_s)
    return Probe(
        origin_ns=episode.start_ns,
        end=end,
        opening=_nullable(level[None].astype(np.float64))[0],
        sources=sources,
        window=_nullable(window.astype(np.float64)),
        logits=checkpoint.logits(window[None], level[None])[0].tolist(),
    )


def _replay(checkpoint: Checkpoint, probe: Probe, path: Path) -> None:
    """Raise Drift when the probe's samples no longer make its window, or no longer its logits."""
    own, sources = checkpoint.schema, _sources(probe.sources)
    window = at(sources, own, probe.origin_ns, probe.end)
    level = opening(sources, own, probe.origin_ns, checkpoint.opening_s)
    same = _same(window, probe.window).all(axis=1) & _same(level, probe.opening)
    if not same.all():
        moved = [own.names[row] for row in np.flatnonzero(~same)]
        raise Drift(path, [f"channel {name} is not computed as in training" for name in moved])
    logits = checkpoint.logits(window[None], level[None])[0]
    off = float(np.max(np.abs(logits - np.array(probe.logits))))
    if not off <= TOLERANCE:
        raise Drift(path, [f"logits of the stored window are {off:.3g} off"])


def _same(now: NDArray[np.float32], stored: object) -> NDArray[np.bool_]:
    then = np.array(stored, dtype=np.float64).astype(np.float32)
    return np.isclose(now, then, rtol=1e-6, atol=0.0, equal_nan=True)


def _sources(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Samples]:
    return {
        source: Samples(
            tuple(part["names"]),
            np.array(part["t_wall_ns"], dtype=np.int64),
            np.array(part["t_mono_ns"], dtype=np.int64),
            np.array(part["values"], dtype=np.float64).reshape(-1, len(part["names"])),
            float(part["rate_hz"]),
        )
        for source, part in stored.items()
    }


def _nullable(values: NDArray[Any]) -> list[list[float | None]]:
    """Rows with None where a value is no number, since JSON has no NaN."""
    return [[float(v) if np.isfinite(v) else None for v in row] for row in values]
