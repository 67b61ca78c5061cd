"""Compares two stores: traces, quantiles, correlations, and trees that tell windows apart.

It shows how well the simulator reproduces the recorded corpus, and where it does not.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Patch

from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.features.views import Array
from phasewatch.io import atomic
from phasewatch.reports.page import PALETTE, colours
from phasewatch.schema import NS, Schema
from phasewatch.sim.discriminate import tell_apart
from phasewatch.sim.steps import Steps, collect_steps, lagged_correlation, without_segment_means
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_episode
from phasewatch.windowing import concatenate, cut_windows, resample

SHARES = (0.1, 0.5, 0.9)
LAGS = (1, 2, 4, 8)
"""Steps apart at which autocorrelation and correlation between channels are compared."""

MAX_EPISODES = 1000
"""Episodes of a store that are read: the first ones, which are enough for a figure."""

MIN_STEPS = 200
"""With fewer steps of a host in a phase its quantiles are not compared."""

PLOTTED_CHANNELS = (
    "proc.vcpu_run",
    "guest.ctxt",
    "qmp.blk_wr_bytes",
    "netflow.pkts_out",
    "netflow.flows_new",
)
LEFT, RIGHT = "#243b53", "#aa3377"


@dataclass(frozen=True)
class Agreement:
    """How two stores agree, over as many episodes of each profile from both.

    Four statistics are correlated over all cells; 1 when they are the same. `quantiles` compares
    the 10, 50 and 90 % quantiles of log1p rates of each host, phase and channel, `memory` the
    autocorrelation of each channel at 1, 2, 4 and 8 steps, `channels` the correlation between each
    pair of channels, and `lagged` that between a channel and another one 1, 2, 4 and 8 steps
    before. `slopes` are those of the last three in the right store on the left one: under 1, they
    are too small there. `auc` is how well trees tell windows of the stores apart, `channel_auc` the
    median over channels of trees that see one channel: .5 when they cannot.
    """

    quantiles: float
    memory: float
    channels: float
    lagged: float
    slopes: dict[str, float]
    auc: float
    channel_auc: float
    cells: int
    episodes: int


def compare(left: Store, right: Store, path: Path) -> Agreement:
    """Write the figure to `path` and return how well the stores agree. Raises Refused."""
    schema = left.schema
    ours, theirs = _same_profiles(_usable(left), _usable(right))
    _, _, here = collect_steps(ours, schema)
    _, _, there = collect_steps(theirs, schema)
    lagged = [_lagged(steps) for steps in (here, there)]
    pairs = {
        "quantiles": _quantiles(ours, here, theirs, there, len(schema.classes)),
        "memory": (lagged[0][0], lagged[1][0]),
        "channels": (_channels(here), _channels(there)),
        "lagged": (lagged[0][1], lagged[1][1]),
    }
    near = {name: _agreement(*pair) for name, pair in pairs.items()}
    windows = [concatenate(cut_windows(one, schema) for one in part) for part in (ours, theirs)]
    auc, alone = tell_apart(*windows)
    agreement = Agreement(
        **near,
        slopes={name: _slope(*pairs[name]) for name in ("memory", "channels", "lagged")},
        auc=auc,
        channel_auc=float(np.median(alone)),
        cells=int(np.isfinite(pairs["quantiles"][0]).sum()),
        episodes=len(ours),
    )
    twins = _matching_pair(ours, theirs)
    atomic.write(path, _draw(schema, twins, pairs, agreement, alone, (left, right)))
    return agreement


def _usable(store: Store) -> list[Episode]:
    found = [id for id in store.ids()[:MAX_EPISODES] if validate_episode(store, id).usable]
    if not found:
        raise Refused(store.root, "has no usable episode", "some", "Validate the store.")
    return [store.read(id) for id in found]


def _same_profiles(
    ours: Sequence[Episode], theirs: Sequence[Episode]
) -> tuple[list[Episode], list[Episode]]:
    """Return as many episodes of each profile from both, of the hosts that both have.

    A store with more benign episodes has other statistics, however alike its benign episodes are.
    """
    shared = {episode.host for episode in ours} & {episode.host for episode in theirs}
    kept: tuple[list[Episode], list[Episode]] = ([], [])
    for profile in sorted({episode.profile for episode in ours}):
        of_profile = [
            [one for one in part if one.host in shared and one.profile == profile]
            for part in (ours, theirs)
        ]
        count = min(map(len, of_profile))
        for chosen, found in zip(kept, of_profile, strict=True):
            chosen += _spread(found, count)
    if not kept[0]:
        raise Refused("compare", "the stores share no host and profile", "some", "Add episodes.")
    return kept


def _spread(episodes: Sequence[Episode], count: int) -> list[Episode]:
    """Return `count` of the episodes, evenly spread over their order."""
    return [episodes[place * len(episodes) // count] for place in range(count)]


def _quantiles(
    ours: Sequence[Episode], here: Steps, theirs: Sequence[Episode], there: Steps, classes: int
) -> tuple[Array, Array]:
    """Return the quantiles of both, for every host and phase with enough steps in both."""
    names = [sorted({episode.host for episode in part}) for part in (ours, theirs)]
    left, right = [], []
    for host in sorted(set(names[0]) & set(names[1])):
        for label in range(classes):
            cells = [
                steps.x[(steps.host == hosts.index(host)) & (steps.y == label)]
                for steps, hosts in ((here, names[0]), (there, names[1]))
            ]
            if min(map(len, cells)) >= MIN_STEPS:
                # A planted fault may have made a rate negative.
                rates = [np.log1p(np.maximum(cell, 0.0)) for cell in cells]
                left.append(np.nanquantile(rates[0], SHARES, axis=0))
                right.append(np.nanquantile(rates[1], SHARES, axis=0))
    if not left:
        raise Refused("compare", "the stores share no host and phase", "some", "Add episodes.")
    return np.array(left).ravel(), np.array(right).ravel()


def _lagged(steps: Steps) -> tuple[Array, Array]:
    """Return autocorrelations, and correlations between channels, at `LAGS` within segments."""
    z = without_segment_means(np.log1p(np.abs(steps.x)), steps.segment)
    every = np.stack([lagged_correlation(z, steps.segment, lag) for lag in LAGS])
    same = np.eye(every.shape[1], dtype=bool)
    return every[:, same].ravel(), every[:, ~same].ravel()


def _channels(steps: Steps) -> Array:
    """Return the correlation of every pair of channels over all steps."""
    z = np.log1p(np.abs(steps.x))
    z = np.where(np.isfinite(z), z, np.nanmean(z, axis=0))
    z = z - z.mean(axis=0)
    spread = np.maximum(np.sqrt((z**2).sum(axis=0)), 1e-9)
    correlation = (z.T @ z) / np.outer(spread, spread)
    return np.asarray(correlation[np.triu_indices(len(correlation), 1)])


def _agreement(left: Array, right: Array) -> float:
    both = np.isfinite(left) & np.isfinite(right)
    return float(np.corrcoef(left[both], right[both])[0, 1])


def _slope(left: Array, right: Array) -> float:
    """Return the slope of the regression through the origin."""
    both = np.isfinite(left) & np.isfinite(right)
    return float(left[both] @ right[both] / (left[both] @ left[both]))


def _matching_pair(ours: Sequence[Episode], theirs: Sequence[Episode]) -> tuple[Episode, Episode]:
    """Return an episode of each store, of one host and sample if possible, with most phases."""
    ranked = sorted(ours, key=lambda episode: -len({label.phase for label in episode.labels}))
    for keys in (("host", "sample"), ("host", "profile"), ("profile",), ()):
        for left in ranked:
            for right in theirs:
                if all(getattr(left, key) == getattr(right, key) for key in keys):
                    return left, right
    raise AssertionError("the last round matches any two episodes")


def _draw(
    schema: Schema,
    twins: tuple[Episode, Episode],
    pairs: dict[str, tuple[Array, Array]],
    agreement: Agreement,
    alone: Array,
    stores: tuple[Store, Store],
) -> bytes:
    matplotlib.use("Agg")
    figure = plt.figure(figsize=(12, 8.4), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.5, 1])
    upper, lower = parts
    names = [name for name in PLOTTED_CHANNELS if name in schema.names] or list(schema.names[:5])
    titles = ["simulated" if store.simulated else "recorded" for store in stores]
    axes = upper.subplots(len(names), 2, sharey="row", sharex="col")
    for column, (episode, title, ink) in enumerate(zip(twins, titles, (LEFT, RIGHT), strict=True)):
        _traces(axes[:, column], episode, schema, names, ink)
        about = f"{title}: {episode.profile} on {episode.host}"
        axes[0, column].set_title(about, fontsize=10, loc="left")
    shown = [
        Patch(color=shade, label=name.replace("_", " "))
        for name, shade in colours(schema.classes).items()
    ]
    upper.legend(handles=shown, loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    _statistics(lower, pairs, agreement, alone, titles)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


def _traces(axes: Any, episode: Episode, schema: Schema, names: Sequence[str], ink: str) -> None:
    grid = schema.grid
    steps = (episode.end_ns - episode.start_ns) // grid.step_ns
    rates = resample(episode.sources, schema, episode.start_ns, 0, steps)
    time = (np.arange(steps) + 1) * grid.step_s
    shades = colours(schema.classes)
    ends = [label.t_wall_ns for label in episode.labels[1:]] + [episode.end_ns]
    for axis, name in zip(axes, names, strict=True):
        axis.plot(time, rates[schema.names.index(name)], color=ink, linewidth=0.8)
        axis.set_yscale("symlog")
        axis.set_ylim(bottom=0)
        axis.set_ylabel(name.replace(".", "\n"), rotation=0, ha="right", va="center", fontsize=7)
        axis.tick_params(labelsize=6)
        axis.spines[["top", "right"]].set_visible(False)
        for label, end in zip(episode.labels, ends, strict=True):
            if shades[label.phase] != PALETTE[0]:
                begin, stop = ((t - episode.start_ns) / NS for t in (label.t_wall_ns, end))
                axis.axvspan(begin, stop, color=shades[label.phase], alpha=0.25, linewidth=0)
    axes[-1].set_xlabel("seconds", fontsize=7)


def _statistics(
    figure: Any,
    pairs: dict[str, tuple[Array, Array]],
    agreement: Agreement,
    alone: Array,
    titles: Sequence[str],
) -> None:
    words = {
        "quantiles": "10, 50, 90 % quantiles\nof log1p rates",
        "memory": "autocorrelation\nat 1, 2, 4, 8 steps",
        "channels": "correlation of channels\nin a step",
        "lagged": "correlation of channels\n1, 2, 4, 8 steps apart",
    }
    *scatters, last = figure.subplots(1, 5)
    for axis, (name, (left, right)) in zip(scatters, pairs.items(), strict=True):
        _scatter(axis, left, right, titles)
        slope = f", slope {agreement.slopes[name]:.2f}" if name in agreement.slopes else ""
        near = f"r = {getattr(agreement, name):.3f}{slope}"
        axis.set_title(f"{words[name]}\n{near}", fontsize=8, loc="left")
    last.hist(alone, bins=np.linspace(0.4, 1.0, 25).tolist(), color=LEFT)
    last.axvline(agreement.auc, color=RIGHT, linewidth=1.2)
    last.set_xlabel("AUC of trees that tell them apart", fontsize=8)
    last.set_ylabel("channels", fontsize=8)
    last.tick_params(labelsize=7)
    last.spines[["top", "right"]].set_visible(False)
    about = f"one channel: median {agreement.channel_auc:.2f}\nall (line): {agreement.auc:.3f}"
    last.set_title(f"windows told apart\n{about}", fontsize=8, loc="left")


def _scatter(axis: Any, left: Array, right: Array, titles: Sequence[str]) -> None:
    axis.scatter(left, right, s=4, alpha=0.35, color=LEFT, linewidths=0)
    low, high = np.nanmin([left, right]), np.nanmax([left, right])
    axis.plot([low, high], [low, high], color=PALETTE[0], linewidth=0.8)
    axis.set_xlabel(titles[0], fontsize=8)
    axis.set_ylabel(titles[1], fontsize=8)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
