"""The figures of a report, as SVG elements of the page; each has its table on the page.

Realistic mode has filled markers and oracle mode open ones, so that they differ without
colour. What was not tested is hatched.
"""

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from matplotlib import pyplot as plt

from phasewatch.evaluation.evaluate import ModelReport, ModelScores, Report
from phasewatch.evaluation.incidents import TARGET_RATES
from phasewatch.experiment.curves import Curve, LearningCurves
from phasewatch.metrics import Score

INK, SOFT, ACCENT = "#1f2933", "#8896a5", "#0b6e99"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444", "#999999")
"""Okabe and Ito's colours, for the lines of one figure."""

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

Draw = Callable[[Report], str]
FIGURES: dict[str, Draw] = {}


def figure(name: str) -> Callable[[Draw], Draw]:
    """Register a figure of the report, which the page includes by its name."""

    def register(draw: Draw) -> Draw:
        FIGURES[name] = draw
        return draw

    return register


def _svg(drawing: Any) -> str:
    """Return a figure as an SVG element, without the XML header; the same bytes each time."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "phasewatch"}):
        drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(drawing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # As wide as its column; the viewBox keeps the shape.
    return re.sub(r'^<svg ([^>]*?)width="[^"]*" ?', r"<svg \1", text, count=1).replace(
        'height="', 'data-height="', 1
    )


def _axes(width: float, height: float, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    matplotlib.use("Agg")
    with matplotlib.rc_context(STYLE):
        return plt.subplots(1, columns, figsize=(width, height), layout="constrained", **options)


def _bar(axis: Any, place: float, score: Score, filled: bool, shade: str, width: float) -> None:
    if score.low is not None and score.high is not None:
        axis.plot([score.low, score.high], [place, place], color=shade, linewidth=width)
    face = shade if filled else "white"
    axis.plot(score.value, place, "o", color=shade, markerfacecolor=face, markersize=6, zorder=3)


@figure("forest")
def forest(report: Report) -> str:
    """Draw macro F1 of every model: held out, with its intervals, and in training."""
    rows: list[ModelScores] = [*report.rows, *report.baselines]
    drawing, axis = _axes(9, 0.9 + 0.3 * len(rows))
    for place, row in enumerate(rows):
        at, filled = -place, row.mode == "realistic"
        if row.across_hosts is not None:
            _bar(axis, at, row.across_hosts, filled, SOFT, 1.2)
        _bar(axis, at, row.unseen, filled, ACCENT, 3.5)
        axis.plot(row.seen.value, at, "|", color=INK, markersize=10, markeredgewidth=1.6)
    axis.set_yticks([-place for place in range(len(rows))])
    axis.set_yticklabels([f"{row.model}, {row.mode}" for row in rows])
    axis.set_xlim(0, 1)
    axis.grid(axis="x", color="#e4e7eb")
    axis.set_axisbelow(True)
    axis.axhline(0.5 - len(report.rows), color=SOFT, linewidth=0.6, linestyle=":")
    axis.set_xlabel(
        "macro F1 · dot: held out of training (filled realistic, open oracle)\n"
        "thick line: interval for other episodes · thin line: for other hosts\n"
        "stroke: other episodes of what was in training"
    )
    return _svg(drawing)


@figure("hosts")
def hosts(report: Report) -> str:
    """Draw macro F1 of every model on each host."""
    names = report.hosts
    modes = list(dict.fromkeys(row.mode for row in report.rows))
    drawing, axes = _axes(9, 3.0, len(modes), sharey=True, squeeze=False)
    for axis, mode in zip(axes[0], modes, strict=True):
        for place, row in enumerate(row for row in report.rows if row.mode == mode):
            values = [row.by_host[name].value if name in row.by_host else None for name in names]
            shade = PALETTE[place % len(PALETTE)]
            axis.plot(values, range(len(names)), "o", color=shade, markersize=4, label=row.model)
        axis.set_title(mode, fontsize=9, loc="left")
        axis.set_yticks(range(len(names)))
        axis.set_yticklabels(names)
        axis.set_xlim(0, 1)
        axis.grid(color="#e4e7eb")
        axis.set_axisbelow(True)
        axis.set_xlabel("macro F1")
    axes[0][-1].legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return _svg(drawing)


@figure("delays")
def delays(report: Report) -> str:
    """Draw the share of the onsets of each hostile phase that is detected by each second."""
    names = list(report.classes[1:])
    rows = _rows_of_one_mode(report)
    drawing, axes = _axes(9, 2.3, len(names), sharey=True, squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for place, row in enumerate(rows):
            delay = row.timeline.delays[name]
            if delay is None:
                axis.patch.set(hatch="////", edgecolor="#d5dbe1")
                axis.text(0.5, 0.5, "untested", ha="center", transform=axis.transAxes, fontsize=8)
                break
            seconds = [0.0, *(at for at, _ in delay.curve)]
            shares = [0.0, *(share for _, share in delay.curve)]
            shade = PALETTE[place % len(PALETTE)]
            axis.step(seconds, shares, where="post", color=shade, linewidth=1.2, label=row.model)
        axis.set_title(name.replace("_", " "), fontsize=8, loc="left")
        axis.set_ylim(0, 1)
        axis.grid(color="#e4e7eb")
        axis.tick_params(labelsize=7)
    axes[0][0].set_ylabel("share detected")
    drawing.supxlabel(f"seconds since onset · {rows[0].mode} mode", fontsize=8)
    drawn, labels = axes[0][0].get_legend_handles_labels()
    drawing.legend(drawn, labels, loc="outside upper center", ncols=8, fontsize=7, frameon=False)
    return _svg(drawing)


@figure("incidents")
def incidents(report: Report) -> str:
    """Draw phases and episodes noticed, and the delay, by the rate of false incidents achieved."""
    drawing, axes = _axes(9, 3.0, 3)
    titles = ("phases noticed", "episodes noticed", "median delay, seconds")
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, fontsize=9, loc="left")
        # Linear up to the lowest ticks, so that a rate of zero has a place.
        axis.set_xscale("symlog", linthresh=0.1)
        axis.set_xticks((0, *TARGET_RATES[1:]), [f"{one:g}" for one in (0, *TARGET_RATES[1:])])
        axis.set_xlim(left=0)
        axis.minorticks_off()
        axis.grid(color="#e4e7eb")
        axis.tick_params(labelsize=7)
    for axis in axes[:2]:
        axis.set_ylim(0, 1)
    for place, row in enumerate(_rows_of_one_mode(report)):
        if row.incidents is not None:
            _operating_points(axes, row, PALETTE[place % len(PALETTE)])
    drawing.supxlabel(
        "false incidents per calm host-hour on the held-out part · dotted: one window", fontsize=8
    )
    drawn, labels = axes[0].get_legend_handles_labels()
    drawing.legend(drawn, labels, loc="outside upper center", ncols=8, fontsize=7, frameon=False)
    return _svg(drawing)


def _operating_points(axes: Any, row: ModelReport, shade: str) -> None:
    """Draw one model: its chosen rules as a line with dots, one window alone as a dotted line."""
    assert row.incidents is not None
    for points, style, label in (
        (row.incidents.points, "o-", row.model),
        (row.incidents.one_window, ":", None),
    ):
        values = (
            [point.phases.value if point.phases else None for point in points],
            [point.episodes.value if point.episodes else None for point in points],
            [point.median_delay_s for point in points],
        )
        rates = [point.false_incidents.rate for point in points]
        for axis, column in zip(axes, values, strict=True):
            numbers = [math.nan if value is None else value for value in column]
            axis.plot(rates, numbers, style, color=shade, markersize=3, lw=1.1, label=label)


@figure("calibration")
def calibration(report: Report) -> str:
    """Draw the reliability diagram on the left, the error rate by coverage on the right."""
    rows = _rows_of_one_mode(report)
    drawing, (left, right) = _axes(9, 3.2, 2)
    left.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
    for place, row in enumerate(rows):
        shade = PALETTE[place % len(PALETTE)]
        bins = row.calibration.bins
        sure = [one.confidence for one in bins]
        left.plot(sure, [one.accuracy for one in bins], "o-", color=shade, markersize=3, lw=1)
        right.plot(
            row.calibration.coverage, row.calibration.error_rate, color=shade, label=row.model
        )
    left.set_xlabel("confidence, 15 bins of equal size")
    left.set_ylabel("accuracy")
    left.set_xlim(0, 1)
    left.set_ylim(0, 1)
    right.set_xlabel("coverage: share of windows kept, most confident first")
    right.set_ylabel("error rate of those kept")
    right.set_ylim(bottom=0)
    right.legend(fontsize=7, frameon=False)
    for axis in (left, right):
        axis.grid(color="#e4e7eb")
    return _svg(drawing)


def learning_curves(found: LearningCurves) -> str:
    """Draw macro F1 against the size of the training set: points, intervals, and every draw."""
    drawn = [curve for curve in found.curves if curve.points]
    drawing, axes = _axes(9, 3.0, len(drawn), sharey=True, squeeze=False)
    for axis, curve in zip(axes[0], drawn, strict=True):
        sizes = [point.size for point in curve.points]
        axis.plot(sizes, [point.score.value for point in curve.points], color=ACCENT, linewidth=1)
        for point in curve.points:
            score = point.score
            if score.low is not None:
                axis.plot([point.size] * 2, [score.low, score.high], color=ACCENT, linewidth=2.5)
            axis.plot(point.size, score.value, "o", color=ACCENT, markersize=5, zorder=3)
            axis.plot([point.size] * len(point.draws), point.draws, "_", color=INK, zorder=4)
        axis.set_title(f"held out by {curve.held_out}", fontsize=9, loc="left")
        axis.set_xlabel(f"{curve.unit}\nlast step: {_words_of_step(curve)}", fontsize=8)
        axis.set_xlim(0, 1.05 * sizes[-1])
        axis.grid(color="#e4e7eb")
        axis.set_axisbelow(True)
    axes[0][0].set_ylabel(f"macro F1, {found.model}, {found.mode}")
    return _svg(drawing)


def _words_of_step(curve: Curve) -> str:
    """Return what the last step of a curve shows, on two lines where it is long."""
    return curve.last_step.outcome.replace(": ", ":\n", 1) if curve.last_step else ""


def _rows_of_one_mode(report: Report) -> Sequence[ModelReport]:
    """Return the rows of one mode, so that a figure stays legible: realistic where there is one."""
    realistic = [row for row in report.rows if row.mode == "realistic"]
    return realistic or [row for row in report.rows if row.mode == report.rows[0].mode]
