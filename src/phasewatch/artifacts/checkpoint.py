"""A model on disk that repeats the predictions it gave in training, or is refused with a reason.

`<name>.ckpt.json` is the contract and the source of truth; `<name>.<digest>.<suffix>` holds the
weights, found by the header's digest and never by a name read from it. No pickle anywhere.
"""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from phasewatch import __version__
from phasewatch.artifacts import contract
from phasewatch.artifacts.contract import Contract, Drift
from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.features.normalizer import Normalizer
from phasewatch.features.projection import Projection
from phasewatch.features.views import OLDEST, Array
from phasewatch.io import atomic
from phasewatch.io.trust import ANY, MAX_JSON_BYTES, Trust, read_plain_file, verify_signature
from phasewatch.models.base import THREADS, Classifier, Unfit, find
from phasewatch.schema import Mode, Schema
from phasewatch.windowing import Windows

FORMAT, ENDING = 3, ".ckpt.json"
WEIGHTS_MOST = 1 << 30
"""Largest size of the weights, in bytes."""


class Header(Contract):
    """`<name>.ckpt.json`. Format 1 had no golden windows, projection or threads.

    Format 2 had one version of the views.
    """

    kind: ClassVar[str] = "checkpoint"
    formats: ClassVar[tuple[int, ...]] = (1, 2, FORMAT)
    later: ClassVar[dict[int, dict[str, object]]] = {
        2: {"golden": [], "plane": {}, "threads": 0},
        3: {"view_version": OLDEST},
    }
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    weights_bytes: int


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with the schema, opening and normalizer that give its input a meaning.

    `opening_s` seconds, known to be benign, are observed before the first prediction.
    """

    name: str
    model_name: str
    mode: Mode
    schema: Schema
    opening_s: float
    normalizer: Normalizer
    projection: Projection | None
    model: Classifier
    recipe: Mapping[str, Any]
    split: Mapping[str, Any]
    scores: Mapping[str, float]

    def logits(
        self,
        x: NDArray[np.float32],
        opening: NDArray[np.float32] | None = None,
        past: NDArray[np.float32] | None = None,
    ) -> Array:
        """Return logits `[N,K]` of windows `x[N,C,T]`, their `opening[N,C]` and `past[N,C,B]`.

        Without an opening, the median opening of training stands for it. Without a past, nothing is
        known of what came before: give `Windows.past` where it is known.
        """
        if opening is None:
            opening = np.full(x.shape[:2], np.nan, dtype=np.float32)
        return self.model.logits(self.normalizer.apply(x, opening, past))

    def predict(self, windows: Windows) -> NDArray[np.int64]:
        """Return the most likely class of each window, `[N]`, as a place in `schema.classes`.

        Raises Refused for windows of another mode or schema.
        """
        return contract.predict(self, windows)

    def bind(self, data: Schema, where: object) -> None:
        """Raise Drift unless `data` defines the channels of this checkpoint as in training."""
        lines = self.schema.incompatibilities(data)
        if lines:
            raise Drift(f"checkpoint {self.name} on {where}", lines)


def path_of(folder: Path, name: str) -> Path:
    """Return the path of a header. Raises Refused for a name that could leave the folder."""
    return contract.path_of(folder, name, ENDING)


def save(checkpoint: Checkpoint, episode: Episode, folder: Path) -> Path:
    """Write a checkpoint with a probe from `episode`, load it again, and return its path.

    The weights are written first, under a name with their digest, so a header never points to
    incomplete weights, and an older header still finds the weights that it was written with.
    """
    path = path_of(folder, checkpoint.name)
    weights = checkpoint.model.save()
    header = Header(
        format=FORMAT,
        name=checkpoint.name,
        model=checkpoint.model_name,
        mode=checkpoint.mode,
        view=checkpoint.model.view,
        view_version=checkpoint.normalizer.version,
        data=checkpoint.schema.dump(),
        fingerprints=contract.fingerprints(checkpoint.schema, checkpoint.normalizer.version),
        opening_s=checkpoint.opening_s,
        normalizer=contract.normalizer_parts(checkpoint.normalizer),
        projection=contract.flattened(checkpoint.projection),
        config=checkpoint.model.config,
        recipe=dict(checkpoint.recipe),
        split=dict(checkpoint.split),
        scores=dict(checkpoint.scores),
        versions=_versions(),
        threads=THREADS,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        weights_bytes=len(weights),
        probe=contract.probe(checkpoint, episode),
        golden=contract.golden(checkpoint, episode),
        digest="",
    )
    atomic.write(_weights(path, header, checkpoint.model.suffix), weights)
    atomic.write(path, header.sealed())
    load(path)
    return path


def load_header(path: Path, trust: Trust = ANY) -> Header:
    """Read the header alone, and check its digest and signature. Raises Refused."""
    expected = "a checkpoint's .ckpt.json; `phasewatch train` writes checkpoints"
    data = read_plain_file(path, MAX_JSON_BYTES, expected, trust)
    header = contract.parse(Header, data, path)
    verify_signature(data, path, trust)
    return header


def load(path: Path, trust: Trust = ANY) -> Checkpoint:
    """Load a checkpoint, checked to the last byte and logit. Raises Refused, or Drift."""
    header = load_header(path, trust)
    kind = find(header.model)
    weights = _read_weights(path, header, kind.suffix, trust)
    trained_on, normalizer = contract.meaning(header, path)
    checkpoint = Checkpoint(
        name=header.name,
        model_name=header.model,
        mode=header.mode,
        schema=trained_on,
        opening_s=header.opening_s,
        normalizer=normalizer,
        projection=contract.projection(header),
        model=_model(kind, weights, contract.input_shape(header, trained_on), header, path),
        recipe=header.recipe,
        split=header.split,
        scores=header.scores,
    )
    contract.replay(checkpoint, header, path)
    return checkpoint


def _model(
    kind: type[Classifier], weights: bytes, shape: tuple[int, ...], header: Header, path: Path
) -> Classifier:
    """Load the model from weights that match their digest but are not trusted. Raises Refused."""
    try:
        if header.view != kind.view:
            raise Unfit(
                "semantics_config", f"view {header.view}, where {header.model} takes {kind.view}"
            )
        model = kind.load(weights, shape, len(header.data["classes"]))
        if atomic.canonical_json(model.config) != atomic.canonical_json(header.config):
            raise Unfit("semantics_config", "another configuration than the header's")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(
            path.parent,
            f"weights of {header.name}: {error}",
            f"weights as {header.model} saves them",
            "Train again.",
            code=error.code if isinstance(error, Unfit) else "weights_format",
        ) from error
    return model


def _versions() -> dict[str, str]:
    libraries = ("numpy", "scikit-learn", "torch", "xgboost-cpu")
    python = ".".join(map(str, sys.version_info[:3]))
    return {
        "phasewatch": __version__,
        "python": python,
        **{name: metadata.version(name) for name in libraries},
    }


def _weights(path: Path, header: Header, suffix: str) -> Path:
    return path.with_name(f"{header.name}.{header.weights_sha256[:16]}.{suffix}")


def _read_weights(path: Path, header: Header, suffix: str, trust: Trust) -> bytes:
    """Return the bytes of the weights, read once, so that what is checked here is parsed later."""
    place = _weights(path, header, suffix)
    expected = f"the weights of {path.name}: copy both files of a checkpoint together"
    weights = read_plain_file(place, WEIGHTS_MOST, expected, trust)
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
