"""`phasewatch export`, `sign` and `watch`: a model on its way to its machine, and at work there."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from phasewatch.cli.console import PublicKey, StorePath, Strict, app, err, out


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's .ckpt.json.")],
    store: StorePath,
    folder: Annotated[Path, typer.Option("--out", help="Where the bundle goes.")] = Path("bundles"),
    key: Annotated[
        Path | None, typer.Option(help="Private ed25519 key (PEM) to sign with.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantize to 8 bits, and measure what that changes.")
    ] = False,
    trust: PublicKey = None,
    strict: Strict = False,
) -> None:
    """A checkpoint as a folder that runs without torch, proven equal before it is written."""
    from phasewatch.artifacts import bundle
    from phasewatch.artifacts import export as exporting
    from phasewatch.io.trust import Trust
    from phasewatch.store.local import Store, refuse_inside

    refuse_inside(folder)
    made = exporting.export(
        checkpoint, Store.open(store), folder, key, Trust.of_options(trust, strict), int8
    )
    terms = bundle.load_terms(made)
    told = terms.parity
    out.print(
        f"{made}: {terms.onnx_bytes:,} bytes of ONNX; {told.windows} test windows and "
        f"{told.edges} rare ones give logits at most {told.largest:.2g} apart and the same labels",
        soft_wrap=True,
        markup=False,
    )
    if terms.int8:
        lost = terms.int8
        out.print(
            f"int8: {lost.float32_bytes:,} bytes before; {lost.other_labels} of {told.windows} "
            f"labels changed, logits moved by up to {lost.largest:.2g}, macro F1 "
            f"{told.macro_f1:.3f} before and {lost.macro_f1:.3f} after",
            soft_wrap=True,
            markup=False,
        )


@app.command()
def sign(
    models: Annotated[
        list[Path], typer.Argument(help="Checkpoints (.ckpt.json) and folders of bundles.")
    ],
    key: Annotated[Path, typer.Option(help="Private ed25519 key (PEM) to sign with.")],
) -> None:
    """Sign models that load: `--trust` with the public half then takes no others."""
    from phasewatch.artifacts import bundle, checkpoint
    from phasewatch.io import atomic, trust

    for path in models:
        contract = path / bundle.TERMS if path.is_dir() else path
        data = trust.read_plain_file(
            contract, trust.MAX_JSON_BYTES, "a checkpoint's .ckpt.json, or a bundle"
        )
        if path.is_dir():
            bundle.load(path)
        else:
            checkpoint.load(path)
        place = contract.with_name(f"{contract.name}.sig")
        atomic.write(place, trust.sign(data, key))
        out.print(f"{place}", soft_wrap=True, markup=False)


@app.command()
def watch(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    trust: PublicKey = None,
    strict: Strict = False,
    serial: Annotated[int, typer.Option(help="Refuse a bundle older than this serial.")] = 0,
) -> None:
    """Read samples as JSON Lines from standard input, and print a prediction for every window.

    A line of input is
    {"source": "proc", "t_wall_ns": 1790000000000000000, "values": {"proc.rss": 9000}}.
    """
    from phasewatch.artifacts import bundle as bundles
    from phasewatch.io.trust import Trust
    from phasewatch.live.jsonl import watch

    loaded = bundles.load(bundle, Trust.of_options(trust, strict, serial))
    err.print(
        f"{loaded.name} listens; its first {loaded.opening_s:g} s must be "
        f"{loaded.schema.classes[0]}",
        soft_wrap=True,
        markup=False,
    )
    for prediction in watch(loaded, sys.stdin):
        sys.stdout.write(json.dumps(asdict(prediction)) + "\n")
        sys.stdout.flush()
