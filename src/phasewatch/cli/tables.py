"""A report on a terminal: what `train`, `evaluate` and `score` print."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table

from phasewatch.cli.console import out

if TYPE_CHECKING:
    from phasewatch.evaluation.evaluate import ModelScores, Report
    from phasewatch.metrics import Score

Learned = Mapping[tuple[str, str], tuple[str, str]]
"""Parameters and seconds of each model and mode."""


def scores(report: "Report", learned: Learned) -> None:
    """One line a model and mode: how good on what it knows and on what it never saw."""
    table = Table(title=f"macro F1, 95 % interval over episodes · never seen: {report.held_out}")
    told = ("learned", "seconds") if learned else ()
    wide = ("hosts like these",) if any(row.across_hosts for row in report.rows) else ()
    for name in ("model", "mode", *told, "validation", "seen", "never seen", *wide):
        table.add_column(name, no_wrap=name in ("model", "mode"), overflow="fold")
    rows: list[ModelScores] = [*report.rows, *report.baselines]
    for row in rows:
        own = learned.get((row.model, row.mode), ("",) * len(told))
        across = (_span(row.across_hosts),) if wide else ()
        cells = (f"{row.validation.value:.3f}", _told(row.seen), _told(row.unseen), *across)
        table.add_row(row.model, row.mode, *own, *cells)
    out.print(table)


def everything(report: "Report") -> None:
    """With a part missing, in the order of time, every pair, and what was not tested."""
    table = Table(title=f"macro F1 on {report.held_out} with a part missing, and decoded")
    for name in ("model", "mode", *(f"no {part}" for part in report.ablations), "decoded"):
        table.add_column(name, no_wrap=name in ("model", "mode"), overflow="fold")
    for row in report.rows:
        cells = [row.ablations.get(part) for part in report.ablations]
        values = [f"{one.value:.3f}" if one else "" for one in (*cells, row.smoothed)]
        table.add_row(row.model, row.mode, *values)
    out.print(table)
    table = Table(title="false alarms per host-hour, segments a run, and calibration")
    for name in ("model", "mode", "alarms", "segments", "truth", "edit", "F1@50", "ECE", "Brier"):
        table.add_column(name, no_wrap=name in ("model", "mode"))
    for row in report.rows:
        own, sure = row.timeline.segments, row.calibration
        parts = (own.predicted, own.true, own.edit_score, own.f1[-1], sure.ece, sure.brier)
        alarms = f"{row.timeline.false_alarms.rate:.0f}"
        table.add_row(row.model, row.mode, alarms, *(f"{one:.2f}" for one in parts))
    out.print(table)


def verdicts(report: "Report") -> None:
    """Which pairs are decided, and on what nothing was tested."""
    from phasewatch.reports.summary import p_value

    out.print("never seen, pair by pair, p adjusted for all pairs:")
    for one in report.comparisons:
        line = f"{one.mode}: {one.first} {one.outcome} than {one.second}"
        if not one.outcome.startswith("undecided"):
            out.print(f"  {line} ({one.difference.value:+.3f}, p {p_value(one.p)})")
    undecided = sum(one.outcome.startswith("undecided") for one in report.comparisons)
    out.print(f"  undecided: {undecided} of {len(report.comparisons)} pairs")
    missing = report.untested_profiles + report.untested_phases
    out.print(f"untested on {report.held_out}: {', '.join(missing) or 'nothing the store holds'}")
    if report.unit == "host" and not any(row.across_hosts for row in report.rows):
        out.print("Too few unseen hosts: nothing can be said about hosts in general.")


def _told(score: "Score") -> str:
    if score.low is None or score.high is None:
        return f"{score.value:.3f} ({score.episodes} episodes: no interval)"
    return f"{score.value:.3f} {_span(score)}"


def _span(score: "Score | None") -> str:
    return "unknown" if score is None else f"[{score.low:.3f}, {score.high:.3f}]"
