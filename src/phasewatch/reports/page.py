"""What `evaluate` found, as one self-contained page and as Markdown.

No script, no network, no font from elsewhere. For one episode a profile the page has the evidence,
the truth and the call.
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

from phasewatch import __version__
from phasewatch.episode import Episode
from phasewatch.evaluation.evaluate import Report, best_on_validation
from phasewatch.evaluation.predictions import Predictions, PredictionSet
from phasewatch.experiment.run import Run
from phasewatch.io import atomic
from phasewatch.metrics import Score
from phasewatch.reports import summary
from phasewatch.reports.figures import FIGURES
from phasewatch.schema import NS, Schema
from phasewatch.store.local import Store
from phasewatch.windowing import columns

PALETTE = ("#9aa5b1", "#4477aa", "#228833", "#aa3377", "#ccbb44", "#ee6677")
EXTRA_PALETTE = ("#66ccee", "#332288", "#117733", "#882255", "#ddaa33", "#994455")
"""One colour a class (after Paul Tol's schemes, safe for colour-blind readers); benign is grey."""


def colours(classes: Sequence[str]) -> dict[str, str]:
    """A colour for each class."""
    every = (*PALETTE, *EXTRA_PALETTE)
    return {name: every[place % len(every)] for place, name in enumerate(classes)}


def write_report(report: Report, answered: PredictionSet, run: Run, store: Store | None) -> None:
    """Write report.html, report.md and report.json; `store`, where it is there, has the episodes.

    Of one unseen episode a profile the page has a picture then.
    """
    told = {
        "report": report,
        "abstract": summary.sentences(report),
        "never": summary.never_recorded(report),
        "grid": _grid(answered),
        "audit": answered.leakage_checks,
        "version": __version__,
    }
    page = _template("report.html.j2", True).render(
        **told,
        pictures=_portraits(report, answered, store) if store else {},
        figures={name: draw(report) for name, draw in FIGURES.items()},
    )
    atomic.write(run.page_path, page.encode())
    atomic.write(run.markdown_path, _template("report.md.j2", False).render(**told).encode())
    run.write_report(report)


def _template(name: str, escaped: bool) -> jinja2.Template:
    source = resources.files("phasewatch.reports").joinpath(name).read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=escaped, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"score": _score, "range": _range, "words": _words}
    environment.filters["chance"] = summary.p_value
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


def _grid(answered: PredictionSet) -> dict[str, Any]:
    """Usable episodes by host and profile."""
    counted = Counter((episode.host, episode.profile) for episode in answered.usable)
    hosts = sorted({host for host, _ in counted})
    profiles = sorted({profile for _, profile in counted})
    cells = {host: [counted[host, profile] for profile in profiles] for host in hosts}
    return {"profiles": profiles, "hosts": cells}


def _portraits(report: Report, answered: PredictionSet, store: Store) -> dict[str, str]:
    """One unseen episode a profile: its caption, and its picture as a PNG data URL."""
    model = best_on_validation(report.rows).model
    own = [one for one in answered.predictions if (one.model, one.subset) == (model, "unseen")]
    found = {}
    for profile, id in _middle(own).items():
        said = [one for one in own if id in one.windows.episode]
        found[f"{profile} · episode {id} · {model}"] = picture(store.read(id), store.schema, said)
    return found


def _middle(answers: Sequence[Predictions]) -> dict[str, str]:
    """The middle one of each profile's episodes, by id."""
    profiles = np.concatenate([one.windows.profile for one in answers])
    episodes = np.concatenate([one.windows.episode for one in answers])
    chosen = {}
    for profile in np.unique(profiles):
        ids = np.unique(episodes[profiles == profile])
        chosen[str(profile)] = str(ids[len(ids) // 2])
    return chosen


def picture(episode: Episode, schema: Schema, answers: Sequence[Predictions]) -> str:
    """One episode as a PNG data URL: channels over time, below them the truth and each call."""
    matplotlib.use("Agg")
    shades = colours(schema.classes)
    grid = schema.grid
    steps = (episode.end_ns - episode.start_ns) // grid.step_ns
    made = columns(episode.sources, schema, episode.start_ns, 0, steps)
    names = _liveliest(schema, made)
    heights = [1.0] * len(names) + [0.28] * (1 + len(answers))
    figure, axes = plt.subplots(
        len(heights), 1, figsize=(10, 1.0 + 0.62 * sum(heights)), sharex=True,
        height_ratios=heights, layout="constrained",
    )  # fmt: skip
    time = (np.arange(steps) + 1) * grid.step_s
    for axis, name in zip(axes, names, strict=False):
        axis.plot(time, made[schema.names.index(name)], color="#243b53", linewidth=0.9)
        axis.set_ylabel(name.replace(".", "\n"), rotation=0, ha="right", va="center", fontsize=7)
        axis.tick_params(labelsize=6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(EngFormatter(sep=""))
        axis.yaxis.set_major_locator(MaxNLocator(2))
    _strip(axes[len(names)], _truth(episode), shades, "truth")
    for axis, said in zip(axes[len(names) + 1 :], answers, strict=True):
        _strip(axis, _calls(episode, schema, said), shades, f"{said.model} {said.mode}")
    axes[-1].set_xlabel("seconds since the episode began", fontsize=7)
    axes[-1].tick_params(labelsize=6)
    axes[-1].set_xlim(0, episode.seconds)
    shown = [Patch(color=shade, label=_words(name)) for name, shade in shades.items()]
    figure.legend(handles=shown, loc="outside upper center", ncols=6, fontsize=7, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _liveliest(schema: Schema, made: NDArray[np.float64]) -> list[str]:
    """The channel of each source whose steps, `made[C,S]`, differ most beside their own size."""
    known = np.isfinite(made)
    values = np.log1p(np.abs(np.where(known, made, 0.0)))
    moves = np.ma.masked_array(values, ~known).std(axis=1).filled(0.0)
    place = {name: row for row, name in enumerate(schema.names)}
    return [
        max(schema.of(source), key=lambda one: float(moves[place[one.name]])).name
        for source in schema.sources
    ]


Spans = list[tuple[float, float, str]]


def _truth(episode: Episode) -> Spans:
    """Begin, length and phase of every label, seconds since the start."""
    times = [label.t_wall_ns for label in episode.labels] + [episode.end_ns]
    return [
        ((begin - episode.start_ns) / NS, (end - begin) / NS, label.phase)
        for label, begin, end in zip(episode.labels, times, times[1:], strict=False)
    ]


def _calls(episode: Episode, schema: Schema, said: Predictions) -> Spans:
    """Each window's call, drawn from the window's end on: when a defender would have had it."""
    own = said.windows.episode == episode.id
    ends = (said.windows.t_ns[own] - episode.start_ns) / NS
    stride = schema.grid.stride_s
    return [
        (float(end), stride, schema.classes[guess])
        for end, guess in zip(ends, said.predicted[own], strict=True)
    ]


def _strip(axis: Any, spans: Spans, shades: Mapping[str, str], label: str) -> None:
    axis.tick_params(bottom=False)
    for begin, length, phase in spans:
        axis.barh(0, length, left=begin, height=1, color=shades[phase])
    axis.set_yticks([])
    axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7)
    axis.spines[:].set_visible(False)
