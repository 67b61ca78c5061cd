"""Prints a report on a terminal, for `train`, `evaluate` and `score`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from phasewatch.cli.console import out, plain
from phasewatch.errors import counted

if TYPE_CHECKING:
    from phasewatch.evaluation.evaluate import ModelScores, Report
    from phasewatch.evaluation.incidents import Share
    from phasewatch.experiment.curves import LearningCurves
    from phasewatch.experiment.totals import Total
    from phasewatch.metrics import Score

TRAINED_ON_SIMULATED = "note: trained on simulated episodes; its predictions mean nothing."

Learned = Mapping[tuple[str, str], tuple[str, str]]
"""The number of parameters and the training seconds of each model and mode."""


def scores(report: "Report", learned: Learned) -> None:
    """Print macro F1 of every model and mode, on each subset of the episodes."""
    wide = ("other hosts",) if any(row.across_hosts for row in report.rows) else ()
    made = "simulated episodes · " if report.simulated else ""
    table = _table(
        f"{made}macro F1, 95 % interval over episodes · held out: {report.held_out}",
        ("validation", "in training", "held out", *wide),
        gap=0 if wide else 1,
    )
    rows: list[ModelScores] = [*report.rows, *report.baselines]
    for row in rows:
        across = (_span(row.across_hosts),) if wide else ()
        cells = (f"{row.validation.value:.3f}", _estimate(row.seen), _estimate(row.unseen), *across)
        table.add_row(row.model, row.mode, *cells)
    out.print(table)
    if report.ambiguous:
        _ambiguous(report)
    if learned:
        _sizes(learned)


def _ambiguous(report: "Report") -> None:
    """Print what is predicted for windows whose phase nothing observable distinguishes."""
    table = _table("ambiguous windows, in no score", ("labelled", "windows", "predicted"))
    for row in report.ambiguous:
        for label, counts in row.predicted.items():
            most = sorted(counts.items(), key=lambda one: -one[1])
            predicted = ", ".join(f"{name} {count}" for name, count in most)
            table.add_row(row.model, row.mode, label, f"{sum(counts.values())}", predicted)
    out.print(table)


def _sizes(learned: Learned) -> None:
    table = _table("what was trained", ("parameters", "seconds"))
    for key, sizes in learned.items():
        table.add_row(*key, *sizes)
    out.print(table)


def _table(title: str, names: Sequence[str], gap: int = 1) -> Table:
    """Return an empty table of models and modes that 80 columns hold; `gap` is between columns."""
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, gap, 0, 0))
    for name in ("model", "mode"):
        table.add_column(name, no_wrap=True)
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def details(report: "Report") -> None:
    """Print macro F1 with an input missing, timing metrics, and calibration."""
    title = f"macro F1 on {report.held_out} without one input, and smoothed"
    table = _table(title, (*report.ablations, "smoothed"))
    for row in report.rows:
        cells = [row.ablations.get(part) for part in report.ablations]
        values = [f"{one.value:.3f}" if one else "" for one in (*cells, row.smoothed)]
        table.add_row(row.model, row.mode, *values)
    out.print(table)
    names = ("alarms", "segments", "true", "edit\nscore", "F1@50", "ECE", "Brier")
    table = _table("false alarms per host-hour, segments per episode, and calibration", names)
    for row in report.rows:
        one, two = row.timeline.segments, row.calibration
        parts = (one.predicted, one.true, one.edit_score, one.f1[-1], two.ece, two.brier)
        alarms = f"{row.timeline.false_alarms.rate:.0f}"
        table.add_row(row.model, row.mode, alarms, *(f"{part:.2f}" for part in parts))
    out.print(table)


def few_labels(found: Sequence[Mapping[str, Any]]) -> None:
    """Print macro F1 beside that of no labels, for each model, mode and number of labels."""
    names = ("labels", "none", "adapted", "draws", "worst host,\nnone", "worst host,\nadapted")
    title = "macro F1 on later episodes of held-out machines, with labels of them"
    table = _table(title, (*names, "hosts", "windows"))
    for one in found:
        scores = [f"{one[key]:.3f}" for key in ("none", "score")]
        worst = [f"{one[key]:.3f}" for key in ("worst_none", "worst")]
        draws = f"{one['low']:.3f} to {one['high']:.3f}"
        cells = (str(one["labels"]), *scores, draws, *worst, str(one["hosts"]))
        table.add_row(one["model"], one["mode"], *cells, f"{one['windows']:,}")
    out.print(table)


def totals(found: Sequence["Total"]) -> None:
    """Print episodes, samples, hosts and host-hours, by campaign and by verdict."""
    from phasewatch.experiment.totals import HEAD, cells, named

    title = "episodes, samples, hosts, and host-hours by label"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for name in HEAD:
        table.add_column(name.replace(", ", ",\n"), no_wrap=True, justify="right")
    for place, one in enumerate(found):
        last = place + 1 == len(found) or found[place + 1].by != one.by
        table.add_row(plain(named(one)), *cells(one), end_section=last)
    out.print(table)


def learning_curves(found: "LearningCurves") -> None:
    """Print the points of every curve, and what its last step shows."""
    from phasewatch.experiment.curves import step_sentence

    title = f"macro F1 by size of the training set · {found.model}, {found.mode}"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in (
        "curve",
        "size",
        "training\nepisodes",
        "macro F1, 95 %",
        counted(found.draws, "draw"),
    ):
        table.add_column(
            name, no_wrap=name != "curve", justify="left" if name == "curve" else "right"
        )
    for curve in found.curves:
        for place, point in enumerate(curve.points):
            draws = f"{min(point.draws):.3f} to {max(point.draws):.3f}"
            name = "" if place else f"{curve.unit}, held out by {curve.held_out}"
            cells = (f"{point.size:g}", f"{point.episodes:.0f}", str(point.score), draws)
            table.add_row(name, *cells, end_section=point is curve.points[-1])
    out.print(table)
    for curve in found.curves:
        out.print(f"last step, {step_sentence(curve)}", markup=False)


def incidents(report: "Report") -> None:
    """Print what incidents notice at each target rate, for the best model on validation.

    Below its chosen rules stands the threshold on one window.
    """
    from phasewatch.reports.summary import operated

    row = operated(report)
    if row is None or row.incidents is None:
        return
    title = f"incidents of {row.model}, {row.mode}, by target of false ones per host-hour"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("target", "rule", "false per hour", "phases", "episodes", "delay"):
        table.add_column(name, overflow="fold")
    kinds = (("chosen", row.incidents.points), ("window", row.incidents.one_window))
    for kind, points in kinds:
        for point in points:
            rate, delay = point.false_incidents, point.median_delay_s
            table.add_row(
                f"{point.target_rate:g}{'' if point.verifiable else '*'}",
                kind,
                f"{rate.rate:.2f} [{rate.low:.2f},{rate.high:.2f}]",
                _counted_share(point.phases),
                _counted_share(point.episodes),
                "" if delay is None else f"{delay:.0f} s",
            )
    out.print(table)
    if not row.incidents.points[0].verifiable:
        out.print("* too few calm hours to show that rate, even without a false incident")


def _counted_share(share: "Share | None") -> str:
    return "" if share is None else f"{share.value:.2f} [{share.low:.2f},{share.high:.2f}]"


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
    """Return a score, its interval or the lack of one below it."""
    if score.low is None:
        return f"{score.value:.3f}\n{counted(score.episodes, 'episode')}:\nno interval"
    return f"{score.value:.3f}\n{_span(score)}"


def _span(score: "Score | None") -> str:
    return "unknown" if score is None else f"[{score.low:.3f}, {score.high:.3f}]"
