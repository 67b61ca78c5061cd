"""Writes a report as one self-contained HTML page, as Markdown and as JSON.

The page has no script and loads nothing from the network. For one held-out episode of each profile
it shows telemetry, true phases and predictions.
"""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from phasewatch import __version__, progress
from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.evaluation.evaluate import Report, best_on_validation
from phasewatch.evaluation.incidents import DEPLOYED_RATE
from phasewatch.evaluation.predictions import Predictions, PredictionSet
from phasewatch.evaluation.tally import STRIDES_AFTER
from phasewatch.experiment.run import Run
from phasewatch.io import atomic
from phasewatch.metrics import Score
from phasewatch.reports import summary
from phasewatch.reports.figures import FIGURES
from phasewatch.schema import NS, Schema
from phasewatch.store.local import Store
from phasewatch.windowing import resample

PALETTE = ("#9aa5b1", "#4477aa", "#228833", "#aa3377", "#ccbb44", "#ee6677")
EXTRA_PALETTE = ("#66ccee", "#332288", "#117733", "#882255", "#ddaa33", "#994455")
"""One colour for each class (after Paul Tol's schemes, safe for colour-blind readers); benign is
grey."""


def colours(classes: Sequence[str]) -> dict[str, str]:
    """Return a colour for each class, by name."""
    every = (*PALETTE, *EXTRA_PALETTE)
    return {name: every[place % len(every)] for place, name in enumerate(classes)}


def write_report(report: Report, predictions: PredictionSet, run: Run, store: Store | None) -> None:
    """Write report.html, report.md and report.json into the folder of `run`.

    `predictions` are those that `report` was computed from. With the `store` of the run, the page
    also has a figure of one held-out episode of each profile.
    """
    context = {
        "report": report,
        "operated": summary.operated(report),
        "deployed_rate": DEPLOYED_RATE,
        "strides_after": STRIDES_AFTER,
        "abstract": summary.sentences(report),
        "never_recorded": summary.never_recorded(report),
        "grid": _grid(predictions),
        "leakage_checks": predictions.leakage_checks,
        "version": __version__,
    }
    page = _template("report.html.j2", True).render(
        **context,
        pictures=_example_episodes(report, predictions, store) if store else {},
        figures={name: draw(report) for name, draw in progress.each("drawing", FIGURES.items())},
    )
    atomic.write(run.page_path, page.encode())
    atomic.write(run.markdown_path, _template("report.md.j2", False).render(**context).encode())
    run.write_report(report)


def _template(name: str, escaped: bool) -> jinja2.Template:
    source = resources.files("phasewatch.reports").joinpath(name).read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=escaped, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"score": _score, "range": _range, "words": _words}
    environment.filters |= {"false_rate": summary.false_rate, "share": summary.share}
    environment.filters["p_value"] = summary.p_value
    return environment.from_string(source)


def _score(score: Score | None) -> str:
    return "untested" if score is None else f"{score.value:.3f}"


def _range(score: Score | None) -> str:
    if score is None:
        return ""
    if score.low is None or score.high is None:
        return f"n = {score.episodes}: no interval"
    return f"[{score.low:.3f}, {score.high:.3f}]"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _grid(predictions: PredictionSet) -> dict[str, Any]:
    """Return the number of usable episodes by host and profile."""
    counted = Counter((episode.host, episode.profile) for episode in predictions.usable)
    hosts = sorted({host for host, _ in counted})
    profiles = sorted({profile for _, profile in counted})
    cells = {host: [counted[host, profile] for profile in profiles] for host in hosts}
    return {"profiles": profiles, "hosts": cells}


def _example_episodes(report: Report, predictions: PredictionSet, store: Store) -> dict[str, str]:
    """Return one held-out episode of each profile: its figure as a PNG data URL, by caption.

    Raises Refused where `store` lacks such an episode, as a store of another run does.
    """
    model = best_on_validation(report.rows).model
    unseen = [
        one for one in predictions.predictions if (one.model, one.subset) == (model, "unseen")
    ]
    pictures, chosen, there = {}, _middle_episodes(unseen), set(store.ids())
    for id in (id for id in chosen.values() if id not in there):
        raise Refused(
            store.root,
            f"has no episode {id!r}, which the run holds out",
            "the store that the run was trained on",
            "Give that store, or none: the report then has no figures of episodes.",
        )
    for profile, id in progress.each("drawing episodes", chosen.items()):
        shown = [one for one in unseen if id in one.windows.episode]
        caption = f"{profile} · episode {id} · {model}"
        pictures[caption] = picture(store.read(id), store.schema, shown)
    return pictures


def _middle_episodes(predictions: Sequence[Predictions]) -> dict[str, str]:
    """Return the middle episode of each profile, in the order of ids."""
    profiles = np.concatenate([one.windows.profile for one in predictions])
    episodes = np.concatenate([one.windows.episode for one in predictions])
    chosen = {}
    for profile in np.unique(profiles):
        ids = np.unique(episodes[profiles == profile])
        chosen[str(profile)] = str(ids[len(ids) // 2])
    return chosen


def picture(episode: Episode, schema: Schema, predictions: Sequence[Predictions]) -> str:
    """Return one episode as a PNG data URL: channels over time, true phases and predictions."""
    matplotlib.use("Agg")
    shades = colours(schema.classes)
    grid = schema.grid
    steps = (episode.end_ns - episode.start_ns) // grid.step_ns
    values = resample(episode.sources, schema, episode.start_ns, 0, steps)
    names = _most_variable(schema, values)
    heights = [1.0] * len(names) + [0.28] * (1 + len(predictions))
    figure, axes = plt.subplots(
        len(heights), 1, figsize=(10, 1.0 + 0.62 * sum(heights)), sharex=True,
        height_ratios=heights, layout="constrained",
    )  # fmt: skip
    time = (np.arange(steps) + 1) * grid.step_s
    for axis, name in zip(axes, names, strict=False):
        axis.plot(time, values[schema.names.index(name)], color="#243b53", linewidth=0.9)
        axis.set_ylabel(name.replace(".", "\n"), rotation=0, ha="right", va="center", fontsize=7)
        axis.tick_params(labelsize=6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(EngFormatter(sep=""))
        axis.yaxis.set_major_locator(MaxNLocator(2))
    _strip(axes[len(names)], _true_spans(episode), shades, "truth")
    for axis, one in zip(axes[len(names) + 1 :], predictions, strict=True):
        _strip(axis, _predicted_spans(episode, schema, one), shades, f"{one.model} {one.mode}")
    axes[-1].set_xlabel("seconds since the episode began", fontsize=7)
    axes[-1].tick_params(labelsize=6)
    axes[-1].set_xlim(0, episode.seconds)
    shown = [Patch(color=shade, label=_words(name)) for name, shade in shades.items()]
    figure.legend(handles=shown, loc="outside upper center", ncols=6, fontsize=7, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _most_variable(schema: Schema, steps: NDArray[np.float64]) -> list[str]:
    """Return the channel of each source that varies most in `steps[C,S]`, relative to its level."""
    known = np.isfinite(steps)
    values = np.log1p(np.abs(np.where(known, steps, 0.0)))
    deviation = np.ma.masked_array(values, ~known).std(axis=1).filled(0.0)
    place = {name: row for row, name in enumerate(schema.names)}
    return [
        max(schema.channels_of(source), key=lambda one: float(deviation[place[one.name]])).name
        for source in schema.sources
    ]


Spans = list[tuple[float, float, str]]


def _true_spans(episode: Episode) -> Spans:
    """Return begin and length of every label, in seconds since the start, and its phase."""
    times = [label.t_wall_ns for label in episode.labels] + [episode.end_ns]
    return [
        ((begin - episode.start_ns) / NS, (end - begin) / NS, label.phase)
        for label, begin, end in zip(episode.labels, times, times[1:], strict=False)
    ]


def _predicted_spans(episode: Episode, schema: Schema, predictions: Predictions) -> Spans:
    """Return the spans of predictions, each from the end of its window on.

    That is when a defender would have had the prediction.
    """
    rows = predictions.windows.episode == episode.id
    ends = (predictions.windows.t_ns[rows] - episode.start_ns) / NS
    stride = schema.grid.stride_s
    return [
        (float(end), stride, schema.classes[label])
        for end, label in zip(ends, predictions.predicted[rows], strict=True)
    ]


def _strip(axis: Any, spans: Spans, shades: Mapping[str, str], label: str) -> None:
    axis.tick_params(bottom=False)
    for begin, length, phase in spans:
        axis.barh(0, length, left=begin, height=1, color=shades[phase])
    axis.set_yticks([])
    axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7)
    axis.spines[:].set_visible(False)
