"""`phasewatch export` and `watch`: a model on its way to where it is needed, and at work there."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from phasewatch.console import StorePath, app, err, out

PublicKey = Annotated[
    Path | None, typer.Option("--trust", help="Public ed25519 key (PEM) that must have signed.")
]
Strict = Annotated[
    bool, typer.Option("--strict-perms", help="Refuse files that everybody may write.")
]


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's .ckpt.json.")],
    store: StorePath,
    folder: Annotated[Path, typer.Option("--out", help="Where the bundle goes.")] = Path("bundles"),
    key: Annotated[
        Path | None, typer.Option(help="Private ed25519 key (PEM) to sign with.")
    ] = None,
) -> None:
    """A checkpoint as a folder that runs without torch, proven equal before it is written."""
    from phasewatch import bundle
    from phasewatch import export as exporting
    from phasewatch.store import Store

    made = exporting.export(checkpoint, Store.open(store), folder, key)
    terms = bundle.load_terms(made)
    told = terms.parity
    out.print(
        f"{made}: {terms.onnx_bytes:,} bytes of ONNX; {told.windows} test windows and "
        f"{told.edges} rare ones give logits at most {told.largest:.2g} apart and the same labels",
        soft_wrap=True,
        markup=False,
    )


@app.command()
def watch(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    trust: PublicKey = None,
    strict: Strict = False,
    serial: Annotated[int, typer.Option(help="Refuse a bundle older than this serial.")] = 0,
) -> None:
    """Call phases of samples that come as JSON Lines on standard input; calls go out the same way.

    A line is {"source": "proc", "t_wall_ns": 1, "values": {"proc.vcpu_run": 0.5}}.
    """
    from phasewatch import bundle as bundles
    from phasewatch.lookout import lookout
    from phasewatch.trust import Trust

    loaded = bundles.load(bundle, Trust(trust, strict, serial))
    err.print(
        f"{loaded.name} listens; its first {loaded.opening_s:g} s must be "
        f"{loaded.schema.classes[0]}",
        soft_wrap=True,
        markup=False,
    )
    for call in lookout(loaded, sys.stdin):
        sys.stdout.write(json.dumps(asdict(call)) + "\n")
        sys.stdout.flush()
