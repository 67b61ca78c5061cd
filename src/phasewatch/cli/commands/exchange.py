"""`phasewatch import`, `schema` and `windows`: tables in, windows out."""

from collections.abc import Iterator
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
    err,
    out,
    plain,
    print_json,
    progress,
)
from phasewatch.errors import counted

if TYPE_CHECKING:
    from phasewatch.adapters.importer import FileReport
    from phasewatch.adapters.mapping import Mapping
    from phasewatch.schema import Schema


class Rows(StrEnum):
    """What a row of a table is."""

    events = "events"
    samples = "samples"


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A table, or a folder of tables.")],
    store: Annotated[Path, typer.Option("--out", help="Store to write into, created when absent.")],
    mapping: Annotated[
        Path | None,
        typer.Option(help="TOML file with time, identity, phase and channels of the tables."),
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="TOML file with channels, classes and grid.")
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Both files for the form of a tool: `phasewatch schema presets`.")
    ] = "",
    phase: Annotated[str, typer.Option(help="Phase of every row, with a preset.")] = "",
    labels: Annotated[
        Path | None, typer.Option(help="File of labels with start, end and label, with a preset.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn tables with timestamps into episodes: CSV, Zeek, JSON, OTLP, Prometheus, Parquet.

    Either --schema and --mapping say what the tables hold, or a --preset. Reports for every file
    what was read, and what was dropped and why. Importing a source again changes nothing. Exit
    codes: 0 fine, 2 nothing was imported, 3 some files were refused and the others imported,
    4 some episodes would be rejected.
    """
    from phasewatch.adapters import importer
    from phasewatch.errors import Refused
    from phasewatch.store.local import Store

    known, mapped = _layout(source, mapping, schema, preset, phase, labels)
    importer.find_files(source, mapped, store)
    reports: list[FileReport] = []
    try:
        for report in importer.import_files(source, mapped, Store.create(store, known)):
            reports.append(report)
    except Refused:
        # What was read says why nothing of it is kept.
        if not as_json and len(reports) > 1:
            _show(reports)
        raise
    found = importer.counts(reports)
    remarks = importer.unmatched(reports, mapped)
    if as_json:
        print_json(
            {
                "counts": found,
                "files": [_summary(report) for report in reports],
                "remarks": remarks,
            }
        )
    else:
        _show(reports)
        for remark in remarks:
            out.print(plain(f"  {remark}"), soft_wrap=True)
        out.print(
            f"{counted(found['rows'], 'row')} read, {found['dropped']} dropped; "
            f"{counted(found['episodes'], 'episode')}, "
            f"{found['new']} of them new, in {store}"
        )
    if found["refused"]:
        raise typer.Exit(SOME_ERRORED)
    if found["rejected"]:
        raise typer.Exit(SOME_REJECTED)


def _layout(
    source: Path, mapping: Path | None, schema: Path | None, preset: str, phase: str,
    labels: Path | None,
) -> "tuple[Schema, Mapping]":  # fmt: skip
    """Return the schema and the mapping that the options name. Raises Refused."""
    from phasewatch import schema as schemas
    from phasewatch.adapters import mapping as mappings
    from phasewatch.adapters.suggest import presets, sample
    from phasewatch.errors import Refused

    if preset and not mapping and not schema:
        fitted = presets.fit(presets.load(preset), sample.read(source), phase, labels)
        if fitted.absent:
            err.print(f"no file has {', '.join(fitted.absent)}: left out", soft_wrap=True)
        return fitted.schema, fitted.mapping
    if preset or phase or labels or not mapping or not schema:
        raise Refused(
            "import", "needs to know what the tables hold",
            "--schema and --mapping together, or --preset alone (then also --phase or --labels)",
            f"Draft both files with `phasewatch schema suggest {source}`.",
        )  # fmt: skip
    known = schemas.read(schema)
    return known, mappings.read(mapping, known)


def _summary(report: "FileReport") -> dict[str, object]:
    """Return a report for programs."""
    from dataclasses import asdict

    return {
        "file": report.file,
        "rows": report.rows,
        "dropped": [asdict(one) for one in report.dropped],
        "unmeasured": [asdict(one) for one in report.unmeasured],
        "episodes": [asdict(one) for one in report.episodes],
        "notes": report.notes,
        "refused": str(report.refused) if report.refused else None,
    }


def _show(reports: "list[FileReport]") -> None:
    """Print rows and episodes by file, and what was dropped and why."""
    table = Table(title="rows and episodes, by file")
    for name in ("file", "rows", "dropped", "episodes", "new", "verdicts"):
        table.add_column(name, overflow="fold")
    for report in reports:
        verdicts = ", ".join(sorted({one.verdict for one in report.episodes})) or "none"
        numbers = (
            report.rows,
            report.rows_dropped,
            len(report.episodes),
            sum(one.new for one in report.episodes),
        )
        shown = "refused" if report.refused else verdicts
        table.add_row(plain(report.file), *map(str, numbers), shown)
    out.print(table)
    for report in reports:
        for line in _details(report):
            out.print(plain(f"  {line}"), soft_wrap=True)


def _details(report: "FileReport") -> Iterator[str]:
    """Yield what a person should know about a file: refused, left out, not measured, rejected."""
    if report.refused:
        yield f"refused {report.refused}"
    for note in report.notes:
        yield f"{report.file}: {note}"
    for omission in report.dropped:
        yield f"dropped {omission.count} of {report.file}: {omission}"
    for omission in report.unmeasured:
        yield f"not measured {omission.count} of {report.file}: {omission}"
    for one in report.episodes:
        if one.verdict != "accepted":
            more = f" and {len(one.reasons) - 1} more" if len(one.reasons) > 1 else ""
            yield f"{one.verdict} {one.id}: {one.reasons[0]}{more}"


schema_app = typer.Typer(help="Schemas: channels, grid and classes.")
app.add_typer(schema_app, name="schema")


@schema_app.callback()
def _schema() -> None:
    pass


@schema_app.command("presets")
def presets_() -> None:
    """List the presets: the tools whose files `import --preset` takes as they are."""
    from phasewatch.adapters.suggest import presets

    for name in presets.names():
        out.print(f"{name:<20}{presets.load(name).about}", soft_wrap=True, highlight=False)


@schema_app.command()
def suggest(
    source: Annotated[Path, typer.Argument(help="A table, or a folder of tables.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the two drafts.")] = Path("."),
    time: Annotated[str, typer.Option(help="Column of times, where none says so itself.")] = "",
    host: Annotated[str, typer.Option(help="Column that names the machine of each row.")] = "",
    phase: Annotated[str, typer.Option(help="Column that states the phase of each row.")] = "",
    quantity: Annotated[
        str, typer.Option(help="Column that names what, or which part, a row measures.")
    ] = "",
    rows: Annotated[
        Rows | None, typer.Option(help="What a row is, where its times do not say so.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Write the files of a preset, to correct them.")] = "",
) -> None:
    """Draft schema.toml and mapping.toml from tables, for a person to correct.

    What the tables do not say is a question: a "?" in the drafts, which `import` refuses.
    """
    from phasewatch.adapters.suggest.draft import draft_of
    from phasewatch.adapters.suggest.draft import suggest as draft_for
    from phasewatch.adapters.suggest.shapes import Told
    from phasewatch.errors import Refused
    from phasewatch.io import atomic

    atomic.refuse_url(folder)
    told = Told(time, host, phase, quantity, rows.value if rows else "")
    draft = draft_of(preset) if preset else draft_for(source, told)
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
