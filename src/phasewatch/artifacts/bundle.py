"""A trained model as a folder that runs without torch: ONNX, its contract, and a card for people.

`<name>.bundle/` holds `bundle.json`, the contract and source of truth; `model.onnx`, found by that
name and by the contract's digest; `README.md`, the card; and `bundle.json.sig` where it is signed.
Reading one needs numpy and onnxruntime, and is refused exactly as a checkpoint is.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from phasewatch.alarm import AlarmRule
from phasewatch.artifacts import contract
from phasewatch.artifacts.contract import Contract
from phasewatch.errors import Refused
from phasewatch.features.normalizer import Normalizer
from phasewatch.features.views import OLDEST, Array
from phasewatch.io import atomic
from phasewatch.io.trust import (
    ANY,
    MAX_JSON_BYTES,
    Trust,
    read_plain_file,
    refusal,
    verify_signature,
)
from phasewatch.schema import Schema
from phasewatch.windowing import Windows

FORMAT, ENDING = 3, ".bundle"
TERMS, GRAPH, CARD = "bundle.json", "model.onnx", "README.md"
GRAPH_MOST = 1 << 28
"""Largest size of an ONNX graph, in bytes."""

OUTSIDE = b"location"
"""The key under which ONNX names another file for a tensor; nothing that is exported holds it."""

ELSEWHERE = 1e-4
"""Largest difference of logits on another processor, which sums in another order."""


MOST_LOSS = 2.0
"""Most that int8 may move a logit. Golden windows may differ by the loss that a bundle states."""


class Parity(BaseModel):
    """How far the logits of the graph are from those of the model, on `windows` and `edges`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    windows: int
    edges: int
    largest: float
    macro_f1: float


class Loss(BaseModel):
    """The loss by int8 on the windows of the test split, and the size of the graph before."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    other_labels: int
    largest: float = Field(ge=0, le=MOST_LOSS)
    macro_f1: float
    float32_bytes: int


class Terms(Contract):
    """`bundle.json`. `serial` is the second of the export: a later one replaces an earlier one.

    `alarm` is the rule that raises incidents; a bundle without one has no such field. Format 1 had
    no int8, format 2 one version of the views. `parity` is that of the float32 graph, `int8` what
    was lost after that.
    """

    kind: ClassVar[str] = "bundle"
    formats: ClassVar[tuple[int, ...]] = (1, 2, FORMAT)
    later: ClassVar[dict[int, dict[str, object]]] = {
        2: {"int8": None},
        3: {"view_version": OLDEST},
    }
    serial: int
    parity: Parity
    int8: Loss | None
    alarm: dict[str, float] | None = None
    onnx_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    onnx_bytes: int

    def _absent(self) -> dict[str, Any]:
        return {**super()._absent(), **({"alarm": True} if self.alarm is None else {})}


@dataclass(frozen=True)
class Bundle:
    """A model in ONNX with the schema, opening and normalizer that give its input a meaning.

    `alarm` joins its windows into incidents; it is None where no run had chosen one. `simulated` is
    true where the model was trained on simulated episodes.
    """

    name: str
    schema: Schema
    opening_s: float
    normalizer: Normalizer
    session: Any
    alarm: AlarmRule | None = None
    simulated: bool = False

    def logits(
        self,
        x: NDArray[np.float32],
        opening: NDArray[np.float32] | None = None,
        past: NDArray[np.float32] | None = None,
    ) -> Array:
        """Return logits `[N,K]` of windows `x[N,C,T]`, their `opening[N,C]` and `past[N,C,B]`."""
        if opening is None:
            opening = np.full(x.shape[:2], np.nan, dtype=np.float32)
        z = self.normalizer.apply(x, opening, past).astype(np.float32)
        try:
            (found,) = self.session.run(["logits"], {"z": z})
        # The runtime's own errors have no common class but this one.
        except Exception as error:
            raise _unread(f"the graph of {self.name}", error) from error
        return np.asarray(found, dtype=np.float64)

    def predict(self, windows: Windows) -> NDArray[np.int64]:
        """Return the most likely class of each window, `[N]`, as a place in `schema.classes`.

        Raises Refused for windows of another mode or schema.
        """
        return contract.predict(self, windows)


def load_terms(folder: Path, trust: Trust = ANY) -> Terms:
    """Read the contract alone, and check digest, signature and serial. Raises Refused."""
    path = folder / TERMS
    data = read_plain_file(
        path, MAX_JSON_BYTES, "a bundle; `phasewatch export` writes bundles", trust
    )
    terms = contract.parse(Terms, data, path)
    verify_signature(data, path, trust)
    if terms.serial < trust.serial:
        raise Refused(
            f"{path}: serial",
            f"is {terms.serial}",
            f"{trust.serial} or later",
            "An older bundle was put back: take the newest, or lower the serial required.",
            code="rollback",
        )
    return terms


def load(folder: Path, trust: Trust = ANY) -> Bundle:
    """Load a bundle, checked to the last byte and its golden windows. Raises Refused, or Drift."""
    terms, path = load_terms(folder, trust), folder / TERMS
    graph = _read(folder / GRAPH, terms, trust)
    trained_on, normalizer = contract.meaning(terms, path)
    loaded = Bundle(
        terms.name,
        trained_on,
        terms.opening_s,
        normalizer,
        opened(graph, terms, trained_on, folder / GRAPH),
        None if terms.alarm is None else AlarmRule.parse(terms.alarm, f"{path}: alarm"),
        terms.simulated,
    )
    # Another processor rounds to other steps of int8, by up to the loss that int8 caused. The steps
    # depend on all windows of a batch, so each golden window is predicted alone.
    within = max(ELSEWHERE, terms.int8.largest if terms.int8 else 0.0)
    contract.replay(loaded, terms, path, within, alone=terms.int8 is not None)
    return loaded


def _read(place: Path, terms: Terms, trust: Trust) -> bytes:
    graph = read_plain_file(place, GRAPH_MOST, f"the graph of {terms.name}", trust)
    found = hashlib.sha256(graph).hexdigest()
    if (len(graph), found) != (terms.onnx_bytes, terms.onnx_sha256):
        problem = f"holds {len(graph)} bytes with sha256 {found[:12]}…"
        expected = f"{terms.onnx_bytes} bytes with {terms.onnx_sha256[:12]}…"
        raise refusal(place, problem, expected, "digest")
    return graph


def opened(graph: bytes, terms: Contract, definition: Schema, place: Path) -> Any:
    """Open an onnxruntime session in one thread, with the contract's shapes. Raises Refused."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if OUTSIDE in graph:
        raise refusal(place, "has tensors in another file", "all of them in it", "weights_format")
    try:
        # Without the fallback, which prints where calls are written and tries the same again.
        session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
        ends = (*session.get_inputs(), *session.get_outputs())
        stored = session.get_modelmeta().custom_metadata_map.get("phasewatch.schema", "")
    except Exception as error:
        raise _unread(place, error) from error
    sizes = [*contract.input_shape(terms, definition)]
    wanted = [
        ("z", "tensor(float)", sizes),
        ("logits", "tensor(float)", [len(terms.data["classes"])]),
    ]
    found = [(one.name, one.type, one.shape[1:]) for one in ends]
    if found != wanted:
        raise refusal(place, f"has the ends {found}", f"{wanted}", "weights_shape")
    if stored.encode() != atomic.canonical_json(terms.data):
        raise refusal(place, "holds another schema", f"that of {TERMS}", "contract_mismatch")
    return session


def _unread(place: object, error: Exception) -> Refused:
    problem = str(error).partition("\n")[0]
    return refusal(place, problem, "the graph as it was exported", "weights_format")
