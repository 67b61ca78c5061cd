"""The fitted model of recorded telemetry that simulated episodes are drawn from.

The model is a Gaussian copula process. The channels of a step are correlated standard normals
`[C]`: the sum of a part that is constant in a segment (a stretch of one label) and an AR(1) part,
shifted by campaign. A quantile function of the host, phase and channel turns each into a rate or a
level (Nelsen, An Introduction to Copulas, 2006, ch. 2; the AR(1) copula as in Joe, Dependence
Modeling with Copulas, 2014, 3.14). The fit contains no single episode.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.features.views import Array
from phasewatch.io import atomic
from phasewatch.schema import Schema
from phasewatch.windowing import resample

PACKAGED_FIT = Path(__file__).parent / "fit.npz"
"""The fit to the recorded corpus that is part of the package."""

PROBABILITIES = np.array(
    [0.002, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.998]
)
"""Q, the probabilities at which a quantile function is known."""

NORMAL_QUANTILES: Array = special.ndtri(PROBABILITIES)
MIN_STEPS = 40
"""With fewer steps of a host in a phase, the quantiles of the phase over all hosts are used."""

SHRINKAGE = 0.95
"""Weight of the measured correlation; the rest is the identity, so that it is positive definite."""

MAX_SHARE = 0.97
"""Largest autocorrelation of a channel, and largest share that is constant in a segment."""


@dataclass(frozen=True)
class Fit:
    """The fitted process over H hosts, G campaigns, K phases, C channels and Q probabilities."""

    channels: NDArray[np.str_]
    classes: NDArray[np.str_]
    hosts: NDArray[np.str_]
    campaigns: NDArray[np.str_]
    quantiles: NDArray[np.float32]
    """[H,K,C,Q] rate per second of counters and events, level of gauges."""
    root: NDArray[np.float32]
    """[K,C,C] lower root of the correlation between channels."""
    memory: NDArray[np.float32]
    """[C] autocorrelation of the AR(1) part at lag one step."""
    stays: NDArray[np.float32]
    """[C] share of the variance that is constant in a segment."""
    drift: NDArray[np.float32]
    """[G,C] mean in a campaign."""

    def dump(self) -> bytes:
        """Return the fit as an npz file; the same fit gives the same bytes."""
        buffer = io.BytesIO()
        # NumPy dates every member 1980-01-01, so that the bytes are the same every time.
        np.savez_compressed(buffer, **vars(self))
        return buffer.getvalue()

    def save(self, path: Path) -> None:
        """Write the fit to `path` atomically."""
        atomic.write(path, self.dump())

    @classmethod
    def load(cls, path: Path, schema: Schema) -> "Fit":
        """Return the fit at `path`. Raises Refused for another file, other channels or classes."""
        try:
            with np.load(path, allow_pickle=False) as file:
                fit = cls(**{field.name: file[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise Refused(
                path,
                f"cannot be read ({error})",
                "a fit of the simulator",
                "Fit it again with --fit.",
            ) from error
        if tuple(fit.channels) != schema.names or tuple(fit.classes) != schema.classes:
            raise Refused(
                path, "has other channels", f"those of {schema.name}", "Fit it again with --fit."
            )
        return fit


@dataclass(frozen=True)
class Steps:
    """All steps of a store: `x[N,C]`, and the host, campaign, class and segment of each."""

    x: Array
    host: NDArray[np.int64]
    campaign: NDArray[np.int64]
    y: NDArray[np.int64]
    segment: NDArray[np.int64]


def fit(episodes: Iterable[Episode], schema: Schema) -> Fit:
    """Fit the model to episodes. Raises Refused when there are none."""
    hosts, campaigns, steps = collect_steps(episodes, schema)
    if not len(steps.x):
        raise Refused("fit", "has no step to fit to", "usable episodes", "Validate the store.")
    quantiles, normal = _marginals(steps, len(hosts), len(schema.classes))
    drift = np.stack([_mean(normal[steps.campaign == place]) for place in range(len(campaigns))])
    still = normal - drift[steps.campaign]
    moving = without_segment_means(still, steps.segment)
    total = np.nanvar(still, axis=0) + 1e-9
    inner = np.nanvar(moving, axis=0)
    stays = np.clip(1 - inner / total, 0.0, MAX_SHARE)
    memory = np.clip(autocorrelation(moving, steps.segment), 0.0, MAX_SHARE)
    root = np.stack([_root(still[steps.y == label]) for label in range(len(schema.classes))])
    return Fit(
        channels=np.array(schema.names),
        classes=np.array(schema.classes),
        hosts=np.array(hosts),
        campaigns=np.array(campaigns),
        quantiles=quantiles.astype(np.float32),
        root=root.astype(np.float32),
        memory=memory.astype(np.float32),
        stays=stays.astype(np.float32),
        drift=np.nan_to_num(drift).astype(np.float32),
    )


def collect_steps(
    episodes: Iterable[Episode], schema: Schema
) -> tuple[list[str], list[str], Steps]:
    """Return the hosts, the campaigns and all steps of some episodes."""
    found = []
    segments = 0
    for episode in episodes:
        total = (episode.end_ns - episode.start_ns) // schema.grid.step_ns
        x = resample(episode.sources, schema, episode.start_ns, 0, total).T
        ends = episode.start_ns + schema.grid.step_ns * np.arange(1, total + 1)
        starts = np.array([label.t_wall_ns for label in episode.labels])
        segment = np.maximum(np.searchsorted(starts, ends, side="left") - 1, 0)
        classes = np.array([schema.classes.index(label.phase) for label in episode.labels])
        found.append((episode.host, episode.campaign, x, classes[segment], segment + segments))
        segments += len(starts)
    hosts = sorted({part[0] for part in found})
    campaigns = sorted({part[1] for part in found})
    if not found:
        empty = np.empty(0, np.int64)
        return hosts, campaigns, Steps(np.empty((0, 0)), empty, empty, empty, empty)
    counts = [len(part[2]) for part in found]
    return (
        hosts,
        campaigns,
        Steps(
            x=np.concatenate([part[2] for part in found]),
            host=np.repeat([hosts.index(part[0]) for part in found], counts),
            campaign=np.repeat([campaigns.index(part[1]) for part in found], counts),
            y=np.concatenate([part[3] for part in found]),
            segment=np.concatenate([part[4] for part in found]),
        ),
    )


def _marginals(steps: Steps, hosts: int, classes: int) -> tuple[Array, Array]:
    """Return quantiles `[H,K,C,Q]`, and normal scores `[N,C]` of steps in their host and phase."""
    channels = steps.x.shape[1]
    quantiles = np.zeros((hosts, classes, channels, len(PROBABILITIES)))
    normal = np.full(steps.x.shape, np.nan)
    for label in range(classes):
        pooled = steps.x[steps.y == label]
        for host in range(hosts):
            rows = np.flatnonzero((steps.host == host) & (steps.y == label))
            measured = steps.x[rows] if len(rows) >= MIN_STEPS else pooled
            quantiles[host, label] = _quantiles(measured)
            if len(rows):
                normal[rows] = _scores(steps.x[rows])
    return quantiles, normal


def _quantiles(x: Array) -> Array:
    """Return the quantiles `[C,Q]` of steps `[n,C]`; zeros for a channel that is never measured."""
    quantiles = np.zeros((x.shape[1], len(PROBABILITIES)))
    for channel in range(x.shape[1]):
        known = x[np.isfinite(x[:, channel]), channel]
        if len(known):
            quantiles[channel] = np.quantile(known, PROBABILITIES)
    return quantiles


def _scores(x: Array) -> Array:
    """Return normal scores `[n,C]` by mid-rank within each channel; NaN where not measured."""
    rank = stats.rankdata(x, axis=0, nan_policy="omit")
    count = np.isfinite(x).sum(axis=0)
    return np.asarray(special.ndtri((rank - 0.5) / np.maximum(count, 1)))


def _mean(x: Array) -> Array:
    known = np.isfinite(x)
    return np.asarray(np.where(known, x, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def without_segment_means(still: Array, segment: NDArray[np.int64]) -> Array:
    """Return the steps without the mean of their segment, `[N,C]`."""
    known = np.isfinite(still)
    sums = np.zeros((int(segment.max()) + 1, still.shape[1]))
    counts = np.zeros_like(sums)
    np.add.at(sums, segment, np.where(known, still, 0))
    np.add.at(counts, segment, known)
    return np.asarray(still - (sums / np.maximum(counts, 1))[segment])


def autocorrelation(moving: Array, segment: NDArray[np.int64]) -> Array:
    """Return the autocorrelation of each channel at lag one step within segments, `[C]`."""
    same = segment[1:] == segment[:-1]
    before, after = moving[:-1][same], moving[1:][same]
    both = np.isfinite(before) & np.isfinite(after)
    before, after = np.where(both, before, 0), np.where(both, after, 0)
    return np.asarray(
        (before * after).sum(axis=0)
        / np.maximum(np.sqrt((before**2).sum(axis=0) * (after**2).sum(axis=0)), 1e-9)
    )


def _root(normal: Array) -> Array:
    """Return the Cholesky factor of the correlation between channels, `[C,C]`, after shrinkage."""
    known = np.isfinite(normal)
    z = np.where(known, normal, 0)
    spread = np.sqrt((z**2).sum(axis=0))
    both = (z.T @ z) / np.maximum(np.outer(spread, spread), 1e-9)
    np.fill_diagonal(both, 1.0)
    values, vectors = np.linalg.eigh(SHRINKAGE * both + (1 - SHRINKAGE) * np.eye(len(both)))
    correlation = (vectors * np.maximum(values, 1e-3)) @ vectors.T
    scale = np.sqrt(np.diag(correlation))
    return np.asarray(np.linalg.cholesky(correlation / np.outer(scale, scale)))
