"""Exports a checkpoint to a bundle that is shown to be equal before it is written."""

import hashlib
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasewatch import metrics
from phasewatch.alarm import AlarmRule
from phasewatch.artifacts import bundle, checkpoint, contract, quantize
from phasewatch.artifacts.bundle import CARD, ENDING, GRAPH, TERMS, Bundle, Parity, Terms
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.artifacts.contract import TOLERANCE
from phasewatch.artifacts.dropout import unseen_windows
from phasewatch.errors import Refused
from phasewatch.io import atomic
from phasewatch.io.trust import ANY, Trust, sign
from phasewatch.schema import Schema
from phasewatch.store.local import Store
from phasewatch.windowing import Windows

BATCH = 512
EDGES = (1, 2, 7)
"""Sizes of batches for which exporters have written wrong graphs."""

FASTER = np.float32(1000.0)
"""How many times higher the rates of a machine are that training has not seen."""


@dataclass(frozen=True)
class ExportOptions:
    """What a bundle is beside the checkpoint's graph: quantised, and with a rule for incidents."""

    int8: bool = False
    alarm: AlarmRule | None = None


PLAIN = ExportOptions()


def export(
    path: Path,
    store: Store,
    out: Path,
    key: Path | None = None,
    trust: Trust = ANY,
    options: ExportOptions = PLAIN,
) -> Path:
    """Write the bundle of a checkpoint into `out`, and return its folder.

    The graph must give the checkpoint's logits to 1e-5, and its labels, for every window of the
    test split, which `store` holds, and for windows without some sources. With int8 the graph
    is then quantised under a separate name, and the loss is stored. Raises Refused, or Drift.
    """
    if out.exists() and not out.is_dir():
        remedy = "Give a folder, which is made when it is not there."
        raise Refused(out, "is a file", "a folder for the bundle", remedy, code="folder")
    header, trained = checkpoint.load_header(path, trust), checkpoint.load(path, trust)
    trained.bind(store.schema, store.root)
    windows = unseen_windows(header.split, header.name, trained, store)
    name = f"{trained.name}-int8" if options.int8 else trained.name
    place = out / f"{name}{ENDING}"
    if place.exists():
        remedy = "Choose another folder, or remove it."
        raise Refused(place, "is already there", "a new bundle", remedy, code="taken")
    shape = contract.input_shape(header, trained.schema)
    graph = _with_schema(trained.model.onnx(shape), trained.schema)
    session = bundle.opened(graph, header, trained.schema, place)
    fast = Bundle(name, trained.schema, trained.opening_s, trained.normalizer, session)
    parity, loss = compare(trained, fast, windows), None
    golden = header.golden or contract.golden(trained, store.read(header.split["test"][0]))
    probe = header.probe
    if options.int8:
        size = len(graph)
        graph = _with_schema(quantize.int8(graph, trained.name), trained.schema)
        fast = replace(fast, session=bundle.opened(graph, header, trained.schema, place))
        loss = quantize.loss(trained, fast, windows, size)
        golden = [contract.with_logits_of(fast, one) for one in golden]
        probe = contract.with_logits_of(fast, probe)
    shared = header.model_dump(exclude={"weights_sha256", "weights_bytes"})
    terms = Terms.model_validate(
        {
            **shared,
            "format": bundle.FORMAT,
            "serial": int(time.time()),
            "name": name,
            "parity": parity,
            "int8": loss,
            "alarm": None if options.alarm is None else asdict(options.alarm),
            "probe": probe,
            "golden": golden,
            "onnx_sha256": hashlib.sha256(graph).hexdigest(),
            "onnx_bytes": len(graph),
        }
    )
    data = terms.sealed()
    files = {TERMS: data, GRAPH: graph, CARD: card(terms).encode()}
    if key:
        files[f"{TERMS}.sig"] = sign(data, key)
    with atomic.new_folder(place) as draft:
        for name, content in files.items():
            atomic.write(draft / name, content)
        bundle.load(draft)
    return place


def compare(trained: Checkpoint, fast: Bundle, windows: Windows) -> Parity:
    """Compare both on every window and on rare ones. Raises Refused when they do not agree."""
    apart = np.concatenate(
        [
            _agree(
                trained,
                fast,
                windows.x[first : first + BATCH],
                windows.opening[first : first + BATCH],
                windows.past[first : first + BATCH],
            )
            for first in range(0, len(windows), BATCH)
        ]
    )
    edges = [_agree(trained, fast, *case) for case in _edges(trained.schema, windows)]
    predicted = trained.predict(windows)
    _, cube = metrics.confusions(windows.episode, windows.y, predicted, len(trained.schema.classes))
    return Parity(
        windows=len(windows),
        edges=sum(map(len, edges)),
        largest=float(max(part.max() for part in (apart, *edges))),
        macro_f1=float(metrics.macro_f1(cube.sum(axis=0))),
    )


def _agree(
    trained: Checkpoint,
    fast: Bundle,
    x: NDArray[np.float32],
    level: NDArray[np.float32],
    past: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return the largest difference of logits of each window, `[N]`. Raises Refused."""
    expected, other = trained.logits(x, level, past), fast.logits(x, level, past)
    apart = np.abs(expected - other).max(axis=1)
    same = expected.argmax(axis=1) == other.argmax(axis=1)
    if expected.shape != other.shape or not (apart <= TOLERANCE).all() or not same.all():
        raise Refused(
            f"the graph of {trained.name}",
            f"is up to {apart.max():.3g} off, with {np.count_nonzero(~same)} other labels",
            f"logits to {TOLERANCE:g} and the same labels",
            "Nothing was written. Another release of the exporter may do better.",
            code="parity",
        )
    return np.asarray(apart)


def _edges(schema: Schema, windows: Windows) -> list[contract.Inputs]:
    """Return small batches of windows, and of windows that are rare.

    Rare are those without any value, without a source, an opening or a past, and those of a machine
    whose every rate is `FASTER` times higher.
    """
    cases: list[contract.Inputs] = [
        (windows.x[:size], windows.opening[:size], windows.past[:size]) for size in EDGES
    ]
    some, level, past = cases[-1]
    nothing, unknown = np.full_like(level, np.nan), np.full_like(past, np.nan)
    cases += [
        (np.full_like(some, np.nan), nothing, unknown),
        (some, nothing, past),
        (some, level, unknown),
        (some * FASTER, *(one + np.log(FASTER) for one in (level, past))),
    ]
    for source in schema.sources:
        lost = np.array([channel.source == source for channel in schema.channels])
        x, before = (np.where(lost[:, None], np.float32(np.nan), one) for one in (some, past))
        cases.append((x, np.where(lost, np.float32(np.nan), level), before))
    return cases


def _with_schema(graph: bytes, schema: Schema) -> bytes:
    """Return a graph with the schema in it, without the exporter's notes, which name files."""
    import onnx

    model = onnx.load_from_string(graph)
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.helper.set_model_props(
        model, {"phasewatch.schema": atomic.canonical_json(schema.dump()).decode()}
    )
    return bytes(model.SerializeToString())


def _describe_loss(terms: Terms) -> str:
    lost = terms.int8
    if lost is None:
        return ""
    sizes = f"{terms.onnx_bytes:,} bytes where {lost.float32_bytes:,} were"
    return f"""- Then it was made int8, {sizes}: logits moved by
  up to {lost.largest:.2g}, {lost.other_labels} labels changed, and macro F1 is {lost.macro_f1:.3f}.
"""


def _describe_alarm(terms: Terms) -> str:
    if terms.alarm is None:
        return ""
    threshold = terms.alarm["threshold"]
    return f"""- Incidents open at an evidence of {threshold:.2f} nats, cumulated over windows; the
  report of its run says how many were false, and what they noticed.
"""


def _describe_simulated(terms: Terms) -> str:
    if not terms.simulated:
        return ""
    return """**Trained on simulated episodes, for tests of scale: nothing that it says about a real
machine means anything.**

"""


def card(terms: Terms) -> str:
    """Return the model card of a bundle, as Markdown."""
    split, grid = terms.split, terms.data["grid"]
    learned = len(split["train"]) + (
        terms.recipe.get("inner_folds", 0) and len(split["validation"])
    )
    channels = [row[0] for row in terms.data["channels"]]
    return f"""# {terms.name}

{_describe_simulated(terms)}\
A {terms.model} that calls the behavioural phase of a machine every {grid["stride_s"]:g} s, from
{grid["window_s"]:g} s of {len(channels)} channels ({terms.mode} mode), after {terms.opening_s:g} s
that are known to be {terms.data["classes"][0]}.

- Phases: {", ".join(terms.data["classes"])}
- Channels: {", ".join(channels)}
- Learned from {learned} episodes of recipe {terms.recipe["name"]}, seed
  {terms.recipe["seed"]}; {split["recipe"]}: {split["held_out"]} was held out.
- Macro F1 on the {terms.parity.windows} windows held out: {terms.parity.macro_f1:.3f}. It is one
  number of one split: `phasewatch evaluate` gives its interval, and what was never tested.
- The graph was compared with the model on those windows and {terms.parity.edges} rare ones: logits
  at most {terms.parity.largest:.2g} apart, all labels the same.
{_describe_loss(terms)}{_describe_alarm(terms)}
Not for machines, programs or clocks unlike those it learned from, and not for a decision that
nobody looks at: its scores fall on hosts unlike those it saw.

Run it with `pip install phasewatch[live]`, then `phasewatch watch {terms.name}{ENDING}`.
Digest {terms.computed()[:16]}, serial {terms.serial}.
"""
