"""`phasewatch evaluate` and `score`: the report of a run, computed from its predictions."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasewatch.cli import tables
from phasewatch.cli.console import AsJson, app, out, print_json

if TYPE_CHECKING:
    from phasewatch.evaluation.evaluate import Report


@app.command("evaluate")
def evaluate_run(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder that `phasewatch run` or `train` wrote.")
    ],
    store: Annotated[
        Path | None,
        typer.Option(help="Store of the run, for figures of one episode of each profile."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Report scores, intervals, delays, false alarms, calibration, leakage, and what is untested.

    Writes report.html, report.md and report.json into the folder of the run, from its
    posteriors.parquet alone.
    """
    from phasewatch.evaluation.evaluate import evaluate
    from phasewatch.experiment.run import Run
    from phasewatch.reports.page import write_report
    from phasewatch.store.local import Store

    run = Run.open(folder)
    report = evaluate(run.predictions)
    write_report(report, run.predictions, run, None if store is None else Store.open(store))
    _print(report, as_json)
    if not as_json:
        out.print(f"report: {run.page_path.resolve()}", soft_wrap=True)


@app.command()
def score(
    predictions: Annotated[Path, typer.Argument(help="Path of a run's posteriors.parquet.")],
    as_json: AsJson = False,
) -> None:
    """Print every score of a report, computed again from the stored predictions alone.

    Nothing is written.
    """
    from phasewatch.evaluation.evaluate import evaluate
    from phasewatch.evaluation.predictions import load

    report = evaluate(load(predictions))
    _print(report, as_json)


def _print(report: "Report", as_json: bool) -> None:
    if as_json:
        print_json(asdict(report))
        return
    tables.scores(report, {})
    tables.details(report)
    tables.incidents(report)
    tables.comparisons(report)
