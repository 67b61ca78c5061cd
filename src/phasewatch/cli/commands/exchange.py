"""`phasewatch import`, `schema` and `windows`: from other tools, and to them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from phasewatch.cli.console import (
    SOME_ERRORED,
    SOME_REJECTED,
    AsJson,
    Opening,
    app,
    out,
    print_json,
    progress,
)

if TYPE_CHECKING:
    from phasewatch.adapters.importer import Outcome

SHOWN = 3
"""Lines named for each reason that rows were dropped for."""


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A table, or a folder of them.")],
    mapping: Annotated[Path, typer.Option(help="TOML: columns, clock, who, phase.")],
    schema: Annotated[Path, typer.Option(help="TOML: channels, classes, grid.")],
    store: Annotated[Path, typer.Option("--out", help="Store to write into; made when absent.")],
    as_json: AsJson = False,
) -> None:
    """Turn tables with timestamps into episodes: CSV, TSV, Zeek, JSON Lines, Parquet.

    Tells of every file what was read, what was dropped and why. Importing a source again changes
    nothing. Exit codes: 0 fine, 4 some episodes would be rejected.
    """
    from dataclasses import asdict

    from phasewatch import schema as schemas
    from phasewatch.adapters import importer
    from phasewatch.adapters import mapping as mappings
    from phasewatch.store.local import Store

    known = schemas.read(schema)
    mapped = mappings.read(mapping, known)
    importer.files(source, mapped, store)
    outcomes = list(importer.run(source, mapped, Store.create(store, known)))
    found = importer.counts(outcomes)
    if as_json:
        print_json({"counts": found, "files": [asdict(outcome) for outcome in outcomes]})
    else:
        _show(outcomes)
        out.print(
            f"{found['rows']} rows read, {found['dropped']} dropped; {found['episodes']} episodes, "
            f"{found['new']} of them new, in {store}"
        )
    if found["rejected"]:
        raise typer.Exit(SOME_REJECTED)


def _show(outcomes: "list[Outcome]") -> None:
    table = Table(title="rows and episodes, by file")
    for name in ("file", "rows", "dropped", "episodes", "new", "verdicts"):
        table.add_column(name, overflow="fold")
    for outcome in outcomes:
        verdicts = ", ".join(sorted({one.verdict for one in outcome.episodes}))
        numbers = (
            outcome.rows,
            len(outcome.dropped),
            len(outcome.episodes),
            sum(one.new for one in outcome.episodes),
        )
        table.add_row(outcome.file, *map(str, numbers), verdicts or "none")
    out.print(table)
    for outcome in outcomes:
        for why, lines in outcome.reasons.items():
            told = ", ".join(map(str, lines[:SHOWN])) + ("…" if len(lines) > SHOWN else "")
            line = f"  dropped {len(lines)} of {outcome.file}: {why} (line {told})"
            out.print(line, markup=False, soft_wrap=True)
        for one in outcome.episodes:
            if one.verdict != "accepted":
                more = f" and {len(one.reasons) - 1} more" if len(one.reasons) > 1 else ""
                line = f"  {one.verdict} {one.id}: {one.reasons[0]}{more}"
                out.print(line, markup=False, soft_wrap=True)


schema_app = typer.Typer(help="What is measured, on which grid, into which classes.")
app.add_typer(schema_app, name="schema")


@schema_app.callback()
def _schema() -> None:
    pass


@schema_app.command()
def suggest(
    source: Annotated[Path, typer.Argument(help="A table, or a folder of them.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the two drafts.")] = Path("."),
) -> None:
    """Draft schema.toml and mapping.toml from the data, for a person to correct."""
    from phasewatch.adapters.suggest import suggest as drafted
    from phasewatch.errors import Refused
    from phasewatch.io import atomic

    atomic.refuse_url(folder)
    draft = drafted(source)
    for name, text in (("schema.toml", draft.schema), ("mapping.toml", draft.mapping)):
        path = folder / name
        if path.exists():
            raise Refused(path, "is there already", "no such file", "Choose another --out.")
        atomic.write(path, text.encode())
        out.print(f"draft: {path}")
    for remark in draft.remarks:
        out.print(f"  {remark}", markup=False, soft_wrap=True)
    out.print("Correct what is marked CHECK, then:", soft_wrap=True)
    told = f"phasewatch import {source} --mapping {folder}/mapping.toml"
    out.print(f"  {told} --schema {folder}/schema.toml --out STORE", soft_wrap=True)


@app.command()
def windows(
    store: Annotated[Path, typer.Argument(help="Folder of an episode store.")],
    folder: Annotated[Path, typer.Option("--out", help="New folder for the files.")],
    features: Annotated[
        bool, typer.Option(help="Statistics of each channel instead of its steps.")
    ] = False,
    opening_s: Opening = 0.0,
    as_json: AsJson = False,
) -> None:
    """Write windows for other tools: windows.parquet, windows.npz, schema.json.

    Episodes that are rejected are left out, and counted. Exit codes: 0 fine, 3 some episodes could
    not be read.
    """
    from phasewatch.adapters import exporter
    from phasewatch.store.local import Store, refuse_inside

    refuse_inside(folder)
    opened = Store.open(store)
    with progress("windows", len(opened.ids())) as tick:
        made = exporter.write(opened, folder, "summary" if features else "tensor", opening_s, tick)
    rejected, errored = made.left_out["rejected"], made.left_out["errored"]
    if as_json:
        print_json({"windows": made.windows, "folder": str(folder), "left_out": made.left_out})
    else:
        out.print(f"{made.windows} windows in {folder}: windows.parquet, windows.npz, schema.json")
        if rejected or errored:
            told = f"{rejected} rejected, {errored} that could not be read"
            line = f"episodes left out: {told}; see `phasewatch validate {store}`"
            out.print(line, markup=False, soft_wrap=True)
    if errored:
        raise typer.Exit(SOME_ERRORED)
