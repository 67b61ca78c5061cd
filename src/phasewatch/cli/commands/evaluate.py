"""`phasewatch evaluate`, `score` and `few-labels`: scores of a run, from its predictions."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasewatch.cli import tables
from phasewatch.cli.console import AsJson, app, out, print_json, stages
from phasewatch.errors import Refused

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
    with stages():
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

    with stages():
        report = evaluate(load(predictions))
    _print(report, as_json)


@app.command("few-labels")
def few_labels(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a run that holds out a host.")
    ],
    labels: Annotated[
        str, typer.Option(help="Numbers of labelled windows, separated by commas.")
    ] = "5,20,100",
    as_json: AsJson = False,
) -> None:
    """Report what a few labelled windows of a new machine are worth to every model of a run.

    The first half of the episodes of a held-out machine gives labels, later ones are judged: as the
    model is, and adapted. Validation machines choose how. No other score uses such labels. Writes
    few_labels.json into the folder of the run.
    """
    import json

    from phasewatch.evaluation.few_labels import few_labels
    from phasewatch.experiment.run import Run
    from phasewatch.io import atomic

    run = Run.open(folder)
    mark = {"simulated": True} if run.predictions.simulated else {}
    found = [asdict(one) | mark for one in few_labels(run.predictions, _numbers(labels))]
    atomic.write(run.path / "few_labels.json", json.dumps(found, indent=1).encode())
    if as_json:
        print_json(found)
        return
    tables.few_labels(found)
    if mark:
        out.print("note: every episode is simulated; no score says anything about a machine.")


def _numbers(text: str) -> list[int]:
    """Return numbers of labels. Raises Refused for what is no number, or none."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        expected = "whole numbers above 0, separated by commas"
        raise Refused("--labels", f"is {text!r}", expected, "Write --labels 5,20,100.")
    return [int(part) for part in parts]


def _print(report: "Report", as_json: bool) -> None:
    if as_json:
        print_json(asdict(report))
        return
    tables.scores(report, {})
    tables.details(report)
    tables.incidents(report)
    tables.comparisons(report)
