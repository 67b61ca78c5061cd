"""What the simulator knows of the recorded corpus: marginals, correlation, memory, drift.

The model is a Gaussian copula process. A step's channels are correlated standard normals
`[C]`, made of a part that stays for a whole act and an AR(1) part, and shifted by campaign; a
quantile function a host, phase and channel turns each into a rate or a level (Nelsen, An
Introduction to Copulas, 2006, ch. 2; the AR(1) copula as in Joe, Dependence Modeling with Copulas,
2014, 3.14). Nothing of a single episode is kept.
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
from phasewatch.windowing import columns

FITTED = Path(__file__).parent / "fit.npz"
"""The fit of the recorded corpus that comes with the package."""

SHARES = np.array(
    [0.002, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.998]
)
"""Q, the probabilities at which a quantile function is known."""

KNOTS: Array = special.ndtri(SHARES)
FEWEST = 40
"""Steps of a host in a phase under which the phase's quantiles over all hosts are used."""

SHRINK = 0.95
"""Weight of the measured correlation; the rest is the identity, so that it has a root."""

LONGEST = 0.97
"""The most that a channel's memory, and its share that stays for an act, may be."""


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
    """[C] correlation of the AR(1) part from step to step."""
    stays: NDArray[np.float32]
    """[C] share of the variance that stays for a whole act."""
    drift: NDArray[np.float32]
    """[G,C] mean in a campaign."""

    def dump(self) -> bytes:
        """The fit as an npz file; the same fit, the same bytes."""
        buffer = io.BytesIO()
        # Positional-free and without dates: NumPy gives every member 1980-01-01.
        np.savez_compressed(buffer, **vars(self))
        return buffer.getvalue()

    def save(self, path: Path) -> None:
        """Write it to `path`, whole or not at all."""
        atomic.write(path, self.dump())

    @classmethod
    def load(cls, path: Path, schema: Schema) -> "Fit":
        """The fit at `path`; raises Refused when it is none, or one of other channels."""
        try:
            with np.load(path, allow_pickle=False) as file:
                fit = cls(**{field.name: file[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise Refused(path, f"cannot be read ({error})", "a fit", "Fit it again.") from error
        if tuple(fit.channels) != schema.names or tuple(fit.classes) != schema.classes:
            raise Refused(
                path, "its channels are others", f"those of {schema.name}", "Fit it again."
            )
        return fit


@dataclass(frozen=True)
class Steps:
    """All steps of a store: `x[N,C]`, and of each its host, campaign, class and act."""

    x: Array
    host: NDArray[np.int64]
    campaign: NDArray[np.int64]
    y: NDArray[np.int64]
    act: NDArray[np.int64]


def fit(episodes: Iterable[Episode], schema: Schema) -> Fit:
    """Fit the process to episodes; raises Refused when there are none."""
    hosts, campaigns, steps = collect(episodes, schema)
    if not len(steps.x):
        raise Refused("fit", "there is no step to fit to", "usable episodes", "Validate the store.")
    quantiles, normal = _marginals(steps, len(hosts), len(schema.classes))
    drift = np.stack([_mean(normal[steps.campaign == place]) for place in range(len(campaigns))])
    still = normal - drift[steps.campaign]
    moving = inside(still, steps.act)
    total = np.nanvar(still, axis=0) + 1e-9
    inner = np.nanvar(moving, axis=0)
    stays = np.clip(1 - inner / total, 0.0, LONGEST)
    kept = np.clip(recall(moving, steps.act), 0.0, LONGEST)
    root = np.stack([_root(still[steps.y == label]) for label in range(len(schema.classes))])
    return Fit(
        channels=np.array(schema.names),
        classes=np.array(schema.classes),
        hosts=np.array(hosts),
        campaigns=np.array(campaigns),
        quantiles=quantiles.astype(np.float32),
        root=root.astype(np.float32),
        memory=kept.astype(np.float32),
        stays=stays.astype(np.float32),
        drift=np.nan_to_num(drift).astype(np.float32),
    )


def collect(episodes: Iterable[Episode], schema: Schema) -> tuple[list[str], list[str], Steps]:
    """The hosts, the campaigns and all steps of some episodes."""
    found = []
    acts = 0
    for episode in episodes:
        total = (episode.end_ns - episode.start_ns) // schema.grid.step_ns
        x = columns(episode.sources, schema, episode.start_ns, 0, total).T
        ends = episode.start_ns + schema.grid.step_ns * np.arange(1, total + 1)
        starts = np.array([label.t_wall_ns for label in episode.labels])
        act = np.maximum(np.searchsorted(starts, ends, side="left") - 1, 0)
        classes = np.array([schema.classes.index(label.phase) for label in episode.labels])
        found.append((episode.host, episode.campaign, x, classes[act], act + acts))
        acts += len(starts)
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
            act=np.concatenate([part[4] for part in found]),
        ),
    )


def _marginals(steps: Steps, hosts: int, classes: int) -> tuple[Array, Array]:
    """Quantiles `[H,K,C,Q]`, and each step's normal score within its host and phase `[N,C]`."""
    channels = steps.x.shape[1]
    quantiles = np.zeros((hosts, classes, channels, len(SHARES)))
    normal = np.full(steps.x.shape, np.nan)
    for label in range(classes):
        pooled = steps.x[steps.y == label]
        for host in range(hosts):
            rows = np.flatnonzero((steps.host == host) & (steps.y == label))
            own = steps.x[rows] if len(rows) >= FEWEST else pooled
            quantiles[host, label] = _quantiles(own)
            if len(rows):
                normal[rows] = _scores(steps.x[rows])
    return quantiles, normal


def _quantiles(x: Array) -> Array:
    """`[C,Q]` of steps `[n,C]`; zeros for a channel that was never measured."""
    made = np.zeros((x.shape[1], len(SHARES)))
    for channel in range(x.shape[1]):
        known = x[np.isfinite(x[:, channel]), channel]
        if len(known):
            made[channel] = np.quantile(known, SHARES)
    return made


def _scores(x: Array) -> Array:
    """Normal scores by mid-rank, a channel at a time; NaN where not measured."""
    rank = stats.rankdata(x, axis=0, nan_policy="omit")
    count = np.isfinite(x).sum(axis=0)
    return np.asarray(special.ndtri((rank - 0.5) / np.maximum(count, 1)))


def _mean(x: Array) -> Array:
    known = np.isfinite(x)
    return np.asarray(np.where(known, x, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def inside(still: Array, act: NDArray[np.int64]) -> Array:
    """The steps without their act's mean, `[N,C]`."""
    known = np.isfinite(still)
    sums = np.zeros((int(act.max()) + 1, still.shape[1]))
    counts = np.zeros_like(sums)
    np.add.at(sums, act, np.where(known, still, 0))
    np.add.at(counts, act, known)
    return np.asarray(still - (sums / np.maximum(counts, 1))[act])


def recall(moving: Array, act: NDArray[np.int64]) -> Array:
    """Correlation from step to step inside acts, `[C]`."""
    same = act[1:] == act[:-1]
    before, after = moving[:-1][same], moving[1:][same]
    both = np.isfinite(before) & np.isfinite(after)
    before, after = np.where(both, before, 0), np.where(both, after, 0)
    return np.asarray(
        (before * after).sum(axis=0)
        / np.maximum(np.sqrt((before**2).sum(axis=0) * (after**2).sum(axis=0)), 1e-9)
    )


def _root(normal: Array) -> Array:
    """Lower root of the channels' correlation `[C,C]`, shrunk so that there is one."""
    known = np.isfinite(normal)
    z = np.where(known, normal, 0)
    spread = np.sqrt((z**2).sum(axis=0))
    both = (z.T @ z) / np.maximum(np.outer(spread, spread), 1e-9)
    np.fill_diagonal(both, 1.0)
    values, vectors = np.linalg.eigh(SHRINK * both + (1 - SHRINK) * np.eye(len(both)))
    whole = (vectors * np.maximum(values, 1e-3)) @ vectors.T
    scale = np.sqrt(np.diag(whole))
    return np.asarray(np.linalg.cholesky(whole / np.outer(scale, scale)))
