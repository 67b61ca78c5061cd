"""`phasewatch predict` and `inspect`: the predictions of a checkpoint, and what a model states."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from phasewatch.cli import tables
from phasewatch.cli.console import (
    AsJson,
    BaselineOf,
    PublicKey,
    StorePath,
    Strict,
    app,
    out,
    plain,
    print_json,
)
from phasewatch.errors import Refused, counted

if TYPE_CHECKING:
    from phasewatch.artifacts.bundle import Terms
    from phasewatch.artifacts.checkpoint import Checkpoint, Header
    from phasewatch.features.views import Array
    from phasewatch.validation.verdict import ValidationResult
    from phasewatch.windowing import Windows


@app.command()
def predict(
    checkpoint: Annotated[Path, typer.Argument(help="Path of a checkpoint (.ckpt.json).")],
    store: StorePath,
    episode: Annotated[
        str | None, typer.Option(help="Id of one episode; all of the store when not given.")
    ] = None,
    baseline: BaselineOf = None,
    labelled: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of an episode whose labels adapt the model to its machine; later episodes of "
            "the machine are predicted. May be repeated."
        ),
    ] = None,
    trust: PublicKey = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Predict the phase of every window of an episode, and print it beside the true phase.

    The level of a machine is from the same kinds of recordings as in training, unless --baseline
    names others; recordings that are baseline are not predicted. With --labelled, only episodes of
    the same machine that begin two minutes after the labelled ones are predicted.
    """
    from phasewatch.artifacts import checkpoint as checkpoints
    from phasewatch.baseline import NONE, Selection
    from phasewatch.evaluation import few_labels
    from phasewatch.experiment.usable import usable_windows
    from phasewatch.io.trust import Trust
    from phasewatch.store.local import Store

    loaded = checkpoints.load(checkpoint, Trust.of_options(trust, strict))
    opened = Store.open(store)
    loaded.bind(opened.schema, store)
    ids = [] if episode is None else [episode]
    trained = str(loaded.recipe.get("baseline", NONE))
    selection = Selection.parse(trained if baseline is None else ",".join(baseline))
    wanted = [*ids, *(labelled or [])] if ids else []
    windows, results = usable_windows(
        opened, loaded.schema, loaded.opening_s, wanted, selection=selection
    )
    logits = loaded.logits(windows.x, windows.opening, windows.past)
    if labelled:
        windows, logits = few_labels.adapted(windows, logits, labelled)
    rows = _predictions(loaded, windows, logits, results)
    simulated = bool(opened.simulated)
    trained_on_simulated = bool(loaded.recipe.get("simulated"))
    if as_json:
        facts = {"simulated": simulated, "trained_on_simulated": trained_on_simulated}
        print_json({"checkpoint": loaded.name, **facts, "windows": rows})
        return
    out.print(f"{loaded.name} (truth is the phase at the window's end)")
    for id in dict.fromkeys(row["episode"] for row in rows):
        _show_predictions(id, [row for row in rows if row["episode"] == id])
    right = sum(row["predicted"] == row["truth"] for row in rows)
    out.print(f"{right} of {len(rows)} windows right")
    if simulated:
        out.print(f"note: {store} holds simulated episodes; how many are right means nothing.")
    if trained_on_simulated:
        out.print(tables.TRAINED_ON_SIMULATED)


def _predictions(
    loaded: "Checkpoint",
    windows: "Windows",
    logits: "Array",
    results: "Mapping[str, ValidationResult]",
) -> list[dict[str, Any]]:
    """Return a row for each window: its end, its true and predicted phase, and the probability.

    `end_s` counts from the start of the episode.
    """
    from scipy.special import softmax

    from phasewatch.schema import NS

    probabilities = softmax(logits, axis=1)
    classes = loaded.schema.classes
    ids = [str(id) for id in windows.episode]
    return [
        {
            "episode": id,
            "end_s": (int(windows.t_ns[row]) - results[id].start_ns) / NS,
            "truth": classes[windows.y[row]],
            "predicted": classes[probabilities[row].argmax()],
            "probability": float(probabilities[row].max()),
        }
        for row, id in enumerate(ids)
    ]


def _show_predictions(id: str, rows: list[dict[str, Any]]) -> None:
    """Print the windows of one episode, in a table that 80 columns hold."""
    table = Table()
    for name in ("ends at s", "truth", "predicted", "probability"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        style = None if row["predicted"] == row["truth"] else "red"
        end, probability = f"{row['end_s']:.1f}", f"{row['probability']:.2f}"
        truth, predicted = plain(row["truth"]), plain(row["predicted"])
        table.add_row(end, truth, predicted, probability, style=style)
    out.print(id, soft_wrap=True)
    out.print(table)


@app.command()
def inspect(
    checkpoint: Annotated[
        Path, typer.Argument(help="Path of a checkpoint (.ckpt.json), or folder of a bundle.")
    ],
    trust: PublicKey = None,
    strict: Strict = False,
    sandbox: Annotated[
        bool,
        typer.Option(
            "--sandbox",
            "--trial",
            help="Load it first in a process with limits on time and memory.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print what a model was trained on and with; its weights are not read.

    The digest of the header is checked, and its signature with --trust. With --sandbox the weights
    are loaded as well. --json prints the contract itself: normalizer, projection, probe and golden
    windows as well.
    """
    from phasewatch.artifacts.bundle import load_terms
    from phasewatch.artifacts.checkpoint import Header, load_header
    from phasewatch.artifacts.sandbox import load_in_sandbox
    from phasewatch.io.trust import Trust

    required = Trust.of_options(trust, strict)
    if sandbox:
        load_in_sandbox(checkpoint, required)
    header = (load_terms if checkpoint.is_dir() else load_header)(checkpoint, required)
    if as_json:
        print_json(header.model_dump())
        return
    weights = _weights(header) if isinstance(header, Header) else _graph(header)
    table = Table(title=header.name, show_header=False)
    for key, line in {**_facts(header, checkpoint), **weights, "digest": header.digest}.items():
        table.add_row(key, plain(line))
    out.print(table)


def _facts(header: "Header | Terms", path: Path) -> dict[str, str]:
    """Return the rows on a model. Raises Refused where a part of its contract is not one."""
    try:
        return {**_input(header), **_origin(header)}
    # The parts are checked when the weights are loaded, which `inspect` does not do.
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"has a part that cannot be read ({type(error).__name__}: {error})"
        remedy = "Take the model from its owner again."
        raise Refused(path, problem, "the contract of a model", remedy, "header_schema") from error


def _pairs(values: Mapping[str, Any], form: str = "") -> str:
    """Return names and values as text; `form` is the format of each value."""
    return ", ".join(f"{key} {value:{form}}" for key, value in values.items())


def _input(header: "Header | Terms") -> dict[str, str]:
    """Return the rows on the model, its input and its output."""
    channels = [f"{name} ({unit}, {kind})" for name, unit, kind, *_ in header.data["channels"]]
    return {
        "model": f"{header.model}, {header.mode}, view {header.view}",
        "config": ", ".join(f"{key} {value}" for key, value in header.config.items()) or "none",
        "channels": f"{len(channels)}: {', '.join(channels)}",
        "classes": ", ".join(header.data["classes"]),
        "grid": _pairs(header.data["grid"], "g"),
        "opening": f"{header.opening_s:g} s, known to be benign",
        "normalizer": f"{len(header.normalizer['mean'])} columns, from training windows",
        "projection": "the two main axes of training's windows" if header.projection else "none",
        "extraction": f"version {header.data['extraction']}",
        "fingerprint": ", ".join(f"{view} {it[:16]}" for view, it in header.fingerprints.items()),
    }


def _origin(header: "Header | Terms") -> dict[str, str]:
    """Return the rows on how the model was trained, and what it is checked by."""
    split, recipe = header.split, header.recipe
    made = ", simulated episodes" if header.simulated else ""
    return {
        "recipe": f"{recipe['name']}, {split['recipe']}, seed {recipe['seed']}{made}",
        "held out": f"{split['held_out']}; trained on {counted(len(split['train']), 'episode')}",
        "scores": _pairs(header.scores, ".3f"),
        "versions": _pairs(header.versions),
        "threads": f"{header.threads or 'not stated'}",
        "golden": f"{len(header.golden)} windows and the samples of one",
    }


def _weights(header: "Header") -> dict[str, str]:
    """Return the row on the weights of a checkpoint."""
    return {"weights": f"{header.weights_bytes} bytes, sha256 {header.weights_sha256}"}


def _graph(terms: "Terms") -> dict[str, str]:
    """Return the rows on the graph of a bundle, and its distance from the model."""
    rows = {}
    if lost := terms.int8:
        rows["int8"] = f"{lost.other_labels} labels changed, logits {lost.largest:.2g} apart"
        rows["int8 macro F1"] = f"{lost.macro_f1:.3f}"
    same = terms.parity
    return rows | {
        "onnx": f"{terms.onnx_bytes} bytes, sha256 {terms.onnx_sha256}",
        "serial": f"{terms.serial}",
        "parity": f"{same.windows} windows, {same.edges} rare ones, {same.largest:.2g} apart",
        "held-out macro F1": f"{same.macro_f1:.3f}",
    }
