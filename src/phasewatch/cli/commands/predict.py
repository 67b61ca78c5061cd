"""`phasewatch predict` and `inspect`: one checkpoint at work."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from phasewatch.cli.console import AsJson, PublicKey, StorePath, Strict, app, out, print_json
from phasewatch.errors import Refused

if TYPE_CHECKING:
    from phasewatch.store.local import Store
    from phasewatch.validation.verdict import ValidationResult
    from phasewatch.windowing import Windows


@app.command()
def predict(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's .ckpt.json.")],
    store: StorePath,
    episode: Annotated[str, typer.Option(help="Episode id; all of the store when not given.")] = "",
    trust: PublicKey = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Call the phase of every window of an episode, beside the truth."""
    import numpy as np

    from phasewatch.artifacts import checkpoint as checkpoints
    from phasewatch.io.trust import Trust
    from phasewatch.store.local import Store
    from phasewatch.validation.sweep import validate_store
    from phasewatch.windowing import extract, pool

    loaded = checkpoints.load(checkpoint, Trust.asked(trust, strict))
    opened = Store.open(store)
    loaded.bind(opened.schema, store)
    results = {one.id: one for one in validate_store(opened)}
    asked = [episode] if episode else [id for id, one in results.items() if one.usable]
    _refuse_unusable(opened, results, asked)
    # All of a host's openings say what its level is, not only those of the episodes asked about.
    hosts = {results[id].host for id in asked}
    ids = [id for id, one in results.items() if one.usable and one.host in hosts]
    windows = pool(extract(opened, ids, loaded.schema, loaded.opening_s))
    rows = _calls(loaded, opened, windows.take(np.isin(windows.episode, asked)))
    simulated = bool(opened.simulated)
    if as_json:
        print_json({"checkpoint": loaded.name, "simulated": simulated, "windows": rows})
        return
    out.print(f"{loaded.name} (truth is the phase at the window's end)")
    for id in asked:
        _show_calls(id, [row for row in rows if row["episode"] == id])
    right = sum(row["call"] == row["truth"] for row in rows)
    out.print(f"{right} of {len(rows)} windows right")
    if simulated:
        out.print(f"note: {store} holds simulated episodes; how many are right means nothing.")


def _show_calls(id: str, rows: list[dict[str, Any]]) -> None:
    """The windows of one episode, in a table that 80 columns hold."""
    table = Table()
    for name in ("ends at s", "truth", "call", "probability"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        style = None if row["call"] == row["truth"] else "red"
        told = (f"{row['end_s']:.1f}", row["truth"], row["call"], f"{row['probability']:.2f}")
        table.add_row(*told, style=style)
    out.print(id, soft_wrap=True, markup=False)
    out.print(table)


def _refuse_unusable(
    store: "Store", results: "Mapping[str, ValidationResult]", asked: list[str]
) -> None:
    """Raise Refused when an episode is not there or not usable, or when there is none at all."""
    for id in asked:
        if id not in results:
            near = difflib.get_close_matches(id, results, n=3, cutoff=0) or ["none: it is empty"]
            remedy = f"The nearest are {', '.join(near)}."
            raise Refused(store.root, f"has no episode {id!r}", "an episode of it", remedy)
        if not results[id].usable:
            raise Refused(
                store.folder(id),
                f"is {results[id].verdict} ({results[id].findings[0].reason})",
                "an accepted or degraded episode",
                "See `phasewatch validate`.",
            )
    if not asked:
        remedy = "See `phasewatch validate`."
        raise Refused(store.root, "has no usable episode", "accepted or degraded ones", remedy)


def _calls(loaded: Any, store: "Store", windows: "Windows") -> list[dict[str, Any]]:
    from scipy.special import softmax

    from phasewatch.schema import NS

    chance = softmax(loaded.logits(windows.x, windows.opening), axis=1)
    classes = loaded.schema.classes
    start_ns = {str(id): store.read(str(id)).start_ns for id in set(windows.episode)}
    return [
        {
            "episode": str(windows.episode[row]),
            "end_s": (int(windows.t_ns[row]) - start_ns[str(windows.episode[row])]) / NS,
            "truth": classes[windows.y[row]],
            "call": classes[chance[row].argmax()],
            "probability": float(chance[row].max()),
        }
        for row in range(len(windows))
    ]


@app.command()
def inspect(
    checkpoint: Annotated[
        Path, typer.Argument(help="A checkpoint's .ckpt.json, or a bundle's folder.")
    ],
    trust: PublicKey = None,
    strict: Strict = False,
    trial: Annotated[
        bool,
        typer.Option("--trial", help="Of others: load it first, in a process with limits."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What a model says of itself; its digest is checked, its weights are not read.

    --json prints the contract itself, with the lens, the plane, the probe and the golden windows.
    """
    from phasewatch.artifacts.bundle import load_terms
    from phasewatch.artifacts.checkpoint import Header, load_header
    from phasewatch.artifacts.sandbox import load_in_sandbox
    from phasewatch.io.trust import Trust

    asked = Trust.asked(trust, strict)
    if trial:
        load_in_sandbox(checkpoint, asked)
    header = (load_terms if checkpoint.is_dir() else load_header)(checkpoint, asked)
    if as_json:
        print_json(header.model_dump())
        return
    channels = [f"{name} ({unit}, {kind})" for name, unit, kind, *_ in header.data["channels"]]
    split = header.split
    told = {
        "model": f"{header.model}, {header.mode}, view {header.view}",
        "config": ", ".join(f"{key} {kept}" for key, kept in header.config.items()) or "none",
        "channels": f"{len(channels)}: {', '.join(channels)}",
        "classes": ", ".join(header.data["classes"]),
        "grid": ", ".join(f"{key} {kept:g}" for key, kept in header.data["grid"].items()),
        "recipe": f"{header.recipe['name']}, {split['recipe']}, seed {header.recipe['seed']}",
        "opening": f"{header.opening_s:g} s, known to be benign",
        "held out": f"{split['held_out']}; trained on {len(split['train'])} episodes",
        "scores": ", ".join(f"{key} {kept:.3f}" for key, kept in header.scores.items()),
        "versions": ", ".join(f"{key} {kept}" for key, kept in header.versions.items()),
        "threads": f"{header.threads or 'not told'}",
        "extraction": f"version {header.data['extraction']}",
        "fingerprint": ", ".join(
            f"{view} {kept[:16]}" for view, kept in header.fingerprints.items()
        ),
        "normalizer": f"{len(header.normalizer['mean'])} columns, from training windows",
        "projection": "the two main axes of training's windows" if header.projection else "none",
        "golden": f"{len(header.golden)} windows and the samples of one",
    }
    if isinstance(header, Header):
        told["weights"] = f"{header.weights_bytes} bytes, sha256 {header.weights_sha256}"
    else:
        if header.int8:
            lost = header.int8
            told["int8"] = f"{lost.other_labels} labels changed, logits {lost.largest:.2g} apart"
            told["int8 macro F1"] = f"{lost.macro_f1:.3f}"
        told["onnx"] = f"{header.onnx_bytes} bytes, sha256 {header.onnx_sha256}"
        told["serial"] = f"{header.serial}"
        same = header.parity
        told["parity"] = f"{same.windows} windows, {same.edges} rare ones, {same.largest:.2g} apart"
        told["held-out macro F1"] = f"{same.macro_f1:.3f}"
    told["digest"] = header.digest
    table = Table(title=header.name, show_header=False)
    for key, line in told.items():
        table.add_row(key, line)
    out.print(table)
