"""`phasewatch export`, `sign` and `watch`: bundles are written, signed, and run on samples."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from phasewatch.cli import tables
from phasewatch.cli.console import PublicKey, Rate, StorePath, Strict, app, err, out


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="Path of a checkpoint (.ckpt.json).")],
    store: StorePath,
    folder: Annotated[Path, typer.Option("--out", help="Folder to write the bundle into.")] = Path(
        "bundles"
    ),
    key: Annotated[
        Path | None, typer.Option(help="Private ed25519 key (PEM) to sign with.")
    ] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Quantise to int8: smaller, and not equal; the loss is reported."
        ),
    ] = False,
    rate: Rate = 0.5,
    trust: PublicKey = None,
    strict: Strict = False,
) -> None:
    """Export a checkpoint as a bundle: a folder with an ONNX model that runs without torch.

    Where the run of the checkpoint has a report, the bundle carries the rule that raises incidents.

    Before any quantisation, the ONNX model must repeat the checkpoint's predictions on every test
    window of the store that the checkpoint was trained on; else nothing is written.
    """
    from phasewatch.artifacts import bundle
    from phasewatch.artifacts import export as exporting
    from phasewatch.experiment.run import Run
    from phasewatch.io.trust import Trust
    from phasewatch.store.local import Store, refuse_inside

    refuse_inside(folder)
    folder_written = exporting.export(
        checkpoint,
        Store.open(store),
        folder,
        key,
        Trust.of_options(trust, strict),
        exporting.ExportOptions(int8, Run.alarm_rule_of(checkpoint, rate)),
    )
    terms = bundle.load_terms(folder_written)
    parity = terms.parity
    if terms.simulated:
        out.print(tables.TRAINED_ON_SIMULATED)
    out.print(
        f"{folder_written}: {terms.onnx_bytes:,} bytes of ONNX; {parity.windows} test windows and "
        f"{parity.edges} edge cases give the same labels, with logits at most {parity.largest:.2g} "
        "apart",
        soft_wrap=True,
    )
    if terms.int8:
        lost = terms.int8
        out.print(
            f"int8: {lost.float32_bytes:,} bytes before; {lost.other_labels} of {parity.windows} "
            f"labels changed, logits moved by up to {lost.largest:.2g}, macro F1 "
            f"{parity.macro_f1:.3f} before and {lost.macro_f1:.3f} after",
            soft_wrap=True,
        )


@app.command()
def sign(
    models: Annotated[
        list[Path], typer.Argument(help="Checkpoints (.ckpt.json) and bundle folders.")
    ],
    key: Annotated[Path, typer.Option(help="Private ed25519 key (PEM) to sign with.")],
) -> None:
    """Sign checkpoints and bundles, after loading each of them.

    The signature is written beside the model, as .sig. Commands with `--trust` and the public key
    load signed models only.
    """
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
        out.print(f"{place}", soft_wrap=True)


@app.command()
def watch(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    baseline: Annotated[
        Path | None,
        typer.Option(help="File of samples of this machine in benign use, for its level."),
    ] = None,
    trust: PublicKey = None,
    strict: Strict = False,
    serial: Annotated[int, typer.Option(help="Refuse a bundle older than this serial.")] = 0,
) -> None:
    """Read samples from standard input, and print the predicted phase of every window.

    A prediction names the incident that is open, where the bundle has a rule that raises incidents.
    Both are JSON Lines, a sample or a prediction a line. A sample is
    {"source": "proc", "t_wall_ns": 1790000000000000000, "values": {"proc.rss": 9000}}.
    A --baseline file has the same lines, recorded before.
    """
    from phasewatch.artifacts import bundle as bundles
    from phasewatch.io.trust import Trust
    from phasewatch.live.jsonl import read_stretches, watch

    loaded = bundles.load(bundle, Trust.of_options(trust, strict, serial))
    err.print(
        f"{loaded.name} reads samples; the first {loaded.opening_s:g} s must be "
        f"{loaded.schema.classes[0]}",
        soft_wrap=True,
    )
    if loaded.simulated:
        err.print(tables.TRAINED_ON_SIMULATED)
    stretches = None if baseline is None else read_stretches(loaded, baseline)
    for prediction in watch(loaded, sys.stdin, loaded.alarm, stretches):
        sys.stdout.write(prediction.line())
        sys.stdout.flush()
