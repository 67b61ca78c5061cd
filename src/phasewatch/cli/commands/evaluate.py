"""`phasewatch evaluate` and `score`: what a run's answers are worth."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from phasewatch.cli import tables
from phasewatch.cli.console import AsJson, app, out, print_json


@app.command("evaluate")
def evaluate_run(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `train` wrote.")],
    store: Annotated[
        Path | None, typer.Option(help="Its store, to draw an episode of each profile.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How good, how sure, on what never tested, how late, how noisy, and is anything leaking.

    Writes report.html, report.md and report.json into the run's folder, from its
    posteriors.parquet alone.
    """
    from phasewatch.evaluation.evaluate import evaluate
    from phasewatch.experiment.run import Run
    from phasewatch.reports.page import write_report
    from phasewatch.store.local import Store

    found = Run.open(folder)
    report = evaluate(found.predictions)
    write_report(report, found.predictions, found, None if store is None else Store.open(store))
    if as_json:
        print_json(asdict(report))
        return
    tables.scores(report, {})
    tables.everything(report)
    tables.verdicts(report)
    out.print(f"report: {found.page_path.resolve()}", soft_wrap=True)


@app.command()
def score(
    answers: Annotated[Path, typer.Argument(help="A run's posteriors.parquet.")],
    as_json: AsJson = False,
) -> None:
    """Compute every number of a report again, from the answers on file alone."""
    from phasewatch.evaluation.evaluate import evaluate
    from phasewatch.evaluation.predictions import load

    report = evaluate(load(answers))
    if as_json:
        print_json(asdict(report))
        return
    tables.scores(report, {})
    tables.everything(report)
    tables.verdicts(report)
