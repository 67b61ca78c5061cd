"""`phasewatch validate`: verdicts, and the acceptance index."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from phasewatch.console import SOME_ERRORED, SOME_REJECTED, AsJson, app, out, print_json, progress

if TYPE_CHECKING:
    from phasewatch.sim.stream import Hits
    from phasewatch.store import Store
    from phasewatch.validate import Judgement


@app.command()
def validate(
    store: Annotated[Path, typer.Argument(help="Folder of the episode store.")],
    index: Annotated[Path, typer.Option(help="Where the acceptance index goes.")] = Path(
        "data/processed/validation_v1.parquet"
    ),
    summary: Annotated[
        bool, typer.Option("--summary", help="Counts instead of a line an objection.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Judge every episode: accepted, degraded, rejected or errored, and why.

    Exit codes: 0 all accepted or degraded, 3 some errored, 4 some rejected (and none errored).
    """
    from dataclasses import asdict

    from phasewatch.store import Store
    from phasewatch.validate import counts, sweep, write_index

    opened = Store.open(store)
    with progress("validating", len(opened.ids())) as tick:
        judgements = sweep(opened, tick)
    write_index(judgements, index)
    found = counts(judgements)
    hits = _hits(opened, judgements)
    if as_json:
        print_json(
            {
                "counts": found,
                "index": str(index),
                **({"planted": asdict(hits)} if hits else {}),
                "episodes": [_verdict(judgement) for judgement in judgements],
            }
        )
    else:
        _show_verdicts(judgements, summary)
        if hits:
            out.print(str(hits))
        out.print(f"index: {index}")
    if found["errored"]:
        raise typer.Exit(SOME_ERRORED)
    if found["rejected"]:
        raise typer.Exit(SOME_REJECTED)


def _hits(store: "Store", judgements: "list[Judgement]") -> "Hits | None":
    """How the verdicts fare against the truth, where a simulated store tells it."""
    from phasewatch.sim import stream

    if not store.simulated or not (store.root / stream.TRUTH).exists():
        return None
    return stream.score(judgements, stream.truths(store.root))


def _verdict(judgement: "Judgement") -> dict[str, Any]:
    return {
        "id": judgement.id,
        "verdict": judgement.verdict,
        "reasons": [[finding.code, finding.reason] for finding in judgement.findings],
    }


def _show_verdicts(judgements: "list[Judgement]", summary: bool) -> None:
    from phasewatch.validate import counts

    found = counts(judgements)
    told = " · ".join(f"{count} {verdict}" for verdict, count in found.items())
    out.print(f"{len(judgements)} episodes: {told}")
    if summary:
        _show_summary(judgements)
        return
    for judgement in judgements:
        for finding in judgement.findings:
            line = f"  {judgement.verdict} {judgement.id}: [{finding.code}] {finding.reason}"
            out.print(line, markup=False, soft_wrap=True)


def _show_summary(judgements: "list[Judgement]") -> None:
    """Counts by host, profile and verdict, and how many episodes each rule objected to."""
    profiles = sorted({judgement.profile for judgement in judgements})
    table = Table(title="accepted, then d degraded, r rejected, e errored")
    table.add_column("host", no_wrap=True)
    for name in profiles:
        table.add_column(name or "unreadable", overflow="fold")
    for host in sorted({judgement.host for judgement in judgements}):
        own = [judgement for judgement in judgements if judgement.host == host]
        cells = (_cell([one for one in own if one.profile == name]) for name in profiles)
        table.add_row(host or "unreadable", *cells)
    out.print(table)
    codes = Counter(
        code for judgement in judgements for code in {one.code for one in judgement.findings}
    )
    for code, count in codes.most_common():
        out.print(f"  {code}: {count} episodes")


def _cell(judgements: "list[Judgement]") -> str:
    """Counts a verdict, each but the accepted with its letter; `none` where there is no episode."""
    from phasewatch.validate import counts

    found = counts(judgements)
    accepted = found.pop("accepted")
    rest = [f"{count}{verdict[0]}" for verdict, count in found.items() if count]
    return " ".join([str(accepted), *rest]) if judgements else "none"
