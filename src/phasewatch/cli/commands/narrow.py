"""`phasewatch narrow` and `dropout`: models of machines on which some channels are not measured."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from phasewatch.cli.console import StorePath, app, out


@app.command()
def narrow(
    store: StorePath,
    layout: Annotated[
        str, typer.Option("--schema", help="Name of a shipped schema, or path of a TOML file.")
    ],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the new store.")],
) -> None:
    """Write a store with some channels of another: vm29 has those that exist outside the lab."""
    from phasewatch import schema
    from phasewatch.store.local import Store
    from phasewatch.store.narrow import narrow

    path = Path(layout)
    chosen = schema.read(path) if path.suffix == ".toml" else schema.shipped(layout)
    count = sum(1 for _ in narrow(Store.open(store), chosen, folder))
    out.print(f"{folder}: {count} episodes with {len(chosen.names)} channels", soft_wrap=True)


@app.command()
def dropout(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    store: StorePath,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Channels that are missing together, joined by commas; repeatable."),
    ] = None,
) -> None:
    """Measure what a bundle scores without channels, on the test episodes that it never saw.

    The result is written into the bundle, where `attach` finds it: every channel alone, every
    source, what each collector lacks, and --without.
    """
    from phasewatch.artifacts import dropout as measuring
    from phasewatch.store.local import Store

    sets = [tuple(one.split(",")) for one in without or []]
    found = measuring.measure(bundle, Store.open(store), sets)
    table = Table(
        title=f"macro F1 on {found.windows} windows of {found.hosts}: {found.macro_f1:.3f}"
    )
    for column in ("without", "macro F1"):
        table.add_column(column, overflow="fold")
    for row in found.rows:
        table.add_row(", ".join(row.without), f"{row.macro_f1:.3f}")
    out.print(table)
    out.print(f"{measuring.write(bundle, found)}", soft_wrap=True)
