"""Prints a report on a terminal, for `train`, `evaluate` and `score`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table

from phasewatch.cli.console import out

if TYPE_CHECKING:
    from phasewatch.evaluation.evaluate import ModelScores, Report
    from phasewatch.metrics import Score

Learned = Mapping[tuple[str, str], tuple[str, str]]
"""The number of parameters and the training seconds of each model and mode."""


def scores(report: "Report", learned: Learned) -> None:
    """Print macro F1 of every model and mode, on each subset of the episodes."""
    table = Table(title=f"macro F1, 95 % interval over episodes · held out: {report.held_out}")
    trained = ("parameters", "seconds") if learned else ()
    wide = ("other hosts",) if any(row.across_hosts for row in report.rows) else ()
    for name in ("model", "mode", *trained, "validation", "in training", "held out", *wide):
        table.add_column(name, no_wrap=name in ("model", "mode"), overflow="fold")
    rows: list[ModelScores] = [*report.rows, *report.baselines]
    for row in rows:
        sizes = learned.get((row.model, row.mode), ("",) * len(trained))
        across = (_span(row.across_hosts),) if wide else ()
        cells = (f"{row.validation.value:.3f}", _estimate(row.seen), _estimate(row.unseen), *across)
        table.add_row(row.model, row.mode, *sizes, *cells)
    out.print(table)


def details(report: "Report") -> None:
    """Print macro F1 with an input missing, timing metrics, and calibration."""
    table = Table(title=f"macro F1 on {report.held_out} with an input missing, and smoothed")
    for name in ("model", "mode", *(f"without {part}" for part in report.ablations), "smoothed"):
        table.add_column(name, no_wrap=name in ("model", "mode"), overflow="fold")
    for row in report.rows:
        cells = [row.ablations.get(part) for part in report.ablations]
        values = [f"{one.value:.3f}" if one else "" for one in (*cells, row.smoothed)]
        table.add_row(row.model, row.mode, *values)
    out.print(table)
    table = Table(title="false alarms per host-hour, segments per episode, and calibration")
    for name in (
        "model",
        "mode",
        "alarms",
        "segments",
        "true",
        "edit score",
        "F1@50",
        "ECE",
        "Brier",
    ):
        table.add_column(name, no_wrap=name in ("model", "mode"))
    for row in report.rows:
        one, two = row.timeline.segments, row.calibration
        parts = (one.predicted, one.true, one.edit_score, one.f1[-1], two.ece, two.brier)
        alarms = f"{row.timeline.false_alarms.rate:.0f}"
        table.add_row(row.model, row.mode, alarms, *(f"{part:.2f}" for part in parts))
    out.print(table)


def comparisons(report: "Report") -> None:
    """Print which pairs of models are decided, and what was not tested."""
    from phasewatch.reports.summary import p_value

    out.print("held out, pair by pair, p adjusted for all pairs of a mode:")
    for one in report.comparisons:
        line = f"{one.mode}: {one.first} {one.outcome} than {one.second}"
        if not one.outcome.startswith("undecided"):
            out.print(f"  {line} ({one.difference.value:+.3f}, p {p_value(one.p)})")
    undecided = sum(one.outcome.startswith("undecided") for one in report.comparisons)
    out.print(f"  undecided: {undecided} of {len(report.comparisons)} pairs")
    missing = report.untested_profiles + report.untested_phases
    out.print(f"untested on {report.held_out}: {', '.join(missing) or 'nothing the store holds'}")
    if report.unit == "host" and not any(row.across_hosts for row in report.rows):
        out.print("Fewer than five hosts held out: nothing can be said about hosts in general.")


def _estimate(score: "Score") -> str:
    if score.low is None or score.high is None:
        return f"{score.value:.3f} ({score.episodes} episodes: no interval)"
    return f"{score.value:.3f} {_span(score)}"


def _span(score: "Score | None") -> str:
    return "unknown" if score is None else f"[{score.low:.3f}, {score.high:.3f}]"
