"""`phasewatch import`, `schema` and `windows`: tables in, windows out."""

from enum import StrEnum
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
    plain,
    print_json,
    progress,
)
from phasewatch.errors import counted

if TYPE_CHECKING:
    from phasewatch.adapters.importer import FileReport


class Rows(StrEnum):
    """What a row of a table is."""

    events = "events"
    samples = "samples"


MAX_LINES = 3
"""Lines that are listed for each reason why rows were dropped."""


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A table, or a folder of tables.")],
    mapping: Annotated[
        Path, typer.Option(help="TOML file with time, identity, phase and channels of the tables.")
    ],
    schema: Annotated[Path, typer.Option(help="TOML file with channels, classes and grid.")],
    store: Annotated[Path, typer.Option("--out", help="Store to write into, created when absent.")],
    as_json: AsJson = False,
) -> None:
    """Turn tables with timestamps into episodes: CSV, TSV, Zeek, JSON Lines, Parquet.

    Reports for every file what was read, and what was dropped and why. Importing a source again
    changes nothing. Exit codes: 0 fine, 4 some episodes would be rejected.
    """
    from dataclasses import asdict

    from phasewatch import schema as schemas
    from phasewatch.adapters import importer
    from phasewatch.adapters import mapping as mappings
    from phasewatch.store.local import Store

    known = schemas.read(schema)
    mapped = mappings.read(mapping, known)
    importer.find_files(source, mapped, store)
    reports = list(importer.import_files(source, mapped, Store.create(store, known)))
    found = importer.counts(reports)
    if as_json:
        print_json({"counts": found, "files": [asdict(report) for report in reports]})
    else:
        _show(reports)
        out.print(
            f"{counted(found['rows'], 'row')} read, {found['dropped']} dropped; "
            f"{counted(found['episodes'], 'episode')}, "
            f"{found['new']} of them new, in {store}"
        )
    if found["rejected"]:
        raise typer.Exit(SOME_REJECTED)


def _show(reports: "list[FileReport]") -> None:
    """Print rows and episodes by file, and what was dropped and why."""
    table = Table(title="rows and episodes, by file")
    for name in ("file", "rows", "dropped", "episodes", "new", "verdicts"):
        table.add_column(name, overflow="fold")
    for report in reports:
        verdicts = ", ".join(sorted({one.verdict for one in report.episodes}))
        numbers = (
            report.rows,
            len(report.dropped),
            len(report.episodes),
            sum(one.new for one in report.episodes),
        )
        table.add_row(plain(report.file), *map(str, numbers), verdicts or "none")
    out.print(table)
    for report in reports:
        for reason, lines in report.reasons.items():
            listed = ", ".join(map(str, lines[:MAX_LINES])) + (
                "…" if len(lines) > MAX_LINES else ""
            )
            line = f"  dropped {len(lines)} of {report.file}: {reason} (line {listed})"
            out.print(plain(line), soft_wrap=True)
        for one in report.episodes:
            if one.verdict != "accepted":
                more = f" and {len(one.reasons) - 1} more" if len(one.reasons) > 1 else ""
                line = f"  {one.verdict} {one.id}: {one.reasons[0]}{more}"
                out.print(plain(line), soft_wrap=True)


schema_app = typer.Typer(help="Schemas: channels, grid and classes.")
app.add_typer(schema_app, name="schema")


@schema_app.callback()
def _schema() -> None:
    pass


@schema_app.command()
def suggest(
    source: Annotated[Path, typer.Argument(help="A table, or a folder of tables.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the two drafts.")] = Path("."),
    time: Annotated[str, typer.Option(help="Column of times, where none says so itself.")] = "",
    host: Annotated[str, typer.Option(help="Column that names the machine of each row.")] = "",
    phase: Annotated[str, typer.Option(help="Column that states the phase of each row.")] = "",
    rows: Annotated[
        Rows | None, typer.Option(help="What a row is, where its times do not say so.")
    ] = None,
) -> None:
    """Draft schema.toml and mapping.toml from tables, for a person to correct.

    What the tables do not say is a question: a "?" in the drafts, which `import` refuses.
    """
    from phasewatch.adapters.suggest import Told
    from phasewatch.adapters.suggest import suggest as draft_for
    from phasewatch.errors import Refused
    from phasewatch.io import atomic

    atomic.refuse_url(folder)
    draft = draft_for(source, Told(time, host, phase, rows.value if rows else ""))
    for name, text in (("schema.toml", draft.schema), ("mapping.toml", draft.mapping)):
        path = folder / name
        if path.exists():
            raise Refused(
                path, "exists already", "a folder without this file", "Choose another --out."
            )
        atomic.write(path, text.encode())
        out.print(f"draft: {path}")
    for remark in draft.remarks:
        out.print(f"  {plain(remark)}", soft_wrap=True)
    for question in draft.questions:
        out.print(f"  QUESTION {plain(question)}", soft_wrap=True)
    answer = 'Answer the questions (each is a "?" in the drafts), c' if draft.questions else "C"
    out.print(f"{answer}orrect the lines marked CHECK, then run:", soft_wrap=True)
    command = f"phasewatch import {source} --mapping {folder}/mapping.toml"
    out.print(f"  {command} --schema {folder}/schema.toml --out STORE", soft_wrap=True)


@app.command()
def windows(
    store: Annotated[Path, typer.Argument(help="Folder of an episode store.")],
    folder: Annotated[Path, typer.Option("--out", help="New folder for the files.")],
    features: Annotated[
        bool, typer.Option(help="Write statistics of each channel instead of its time steps.")
    ] = False,
    opening_s: Opening = 0.0,
    as_json: AsJson = False,
) -> None:
    """Write windows for other tools: windows.parquet, windows.npz, schema.json.

    Rejected episodes are left out and counted. Exit codes: 0 fine, 3 some episodes could
    not be read.
    """
    from phasewatch.adapters import exporter
    from phasewatch.store.local import Store, refuse_inside

    refuse_inside(folder)
    opened = Store.open(store)
    with progress("windows", len(opened.ids())) as tick:
        exported = exporter.write(
            opened, folder, "summary" if features else "tensor", opening_s, tick
        )
    rejected, errored = exported.left_out["rejected"], exported.left_out["errored"]
    if as_json:
        print_json(
            {"windows": exported.windows, "folder": str(folder), "left_out": exported.left_out}
        )
    else:
        out.print(
            f"{exported.windows} windows in {folder}: windows.parquet, windows.npz, schema.json"
        )
        if rejected or errored:
            left_out = f"{rejected} rejected, {errored} that could not be read"
            line = f"episodes left out: {left_out}; see `phasewatch validate {store}`"
            out.print(line, soft_wrap=True)
    if errored:
        raise typer.Exit(SOME_ERRORED)
