"""Fits the process to recorded episodes: their quantiles, and moments of their normal scores.

Many steps of a channel are tied, such as all idle ones, so a process whose correlations are those
of the recorded scores gives simulated scores with smaller ones. The fit therefore simulates the
recorded schedules, measures both in the same way, and corrects the process by the difference, again
and again. Biller and Nelson (2003, section 4) solve the same problem for each pair of channels.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.features.views import Array
from phasewatch.schema import Schema
from phasewatch.sim.acts import Programs, RecordedActs, recorded_acts, seed_of
from phasewatch.sim.autoregression import Autoregression, positive, yule_walker
from phasewatch.sim.fit import PROBABILITIES, Fit
from phasewatch.sim.moments import PRIOR_STEPS, Layout, Moments, measure, repeated_share, scores
from phasewatch.sim.process import Process, Running
from phasewatch.sim.steps import Steps, collect_steps

MIN_STEPS = 200
"""With fewer steps of a host in a phase, the quantiles of the phase over all hosts are used."""

ROUNDS = 6
"""How often the process is simulated and corrected."""

MIN_VARIANCE, MAX_CORRELATION = 0.1, 0.99
"""Least variance of a channel beside the mean of its programs, and largest correlation there."""

MAX_SHARE = 0.9
"""Largest share of a variance that stays during an act."""


def fit(episodes: Iterable[Episode], schema: Schema) -> Fit:
    """Fit the process to episodes. Raises Refused when there are none."""
    every = list(episodes)
    hosts, campaigns, steps = collect_steps(every, schema)
    if not len(steps.x):
        raise Refused("fit", "has no step to fit to", "usable episodes", "Validate the store.")
    acts = recorded_acts(every, schema)
    programs = Programs.of(acts.acts)
    layout = _layout(steps, acts, programs, len(campaigns), len(schema.classes))
    wanted, rest = measure(scores(steps.x, layout.cell), layout)
    settings = np.array([seed_of(act) for act in acts.acts])[acts.work]
    repeated = repeated_share(rest, acts.work, settings, steps.episode)
    drawn = Fit(
        channels=np.array(schema.names),
        classes=np.array(schema.classes),
        hosts=np.array(hosts),
        campaigns=np.array(campaigns),
        quantiles=_marginals(steps, len(hosts), len(schema.classes)).astype(np.float32),
        programs=np.array(programs.names, dtype=np.str_),
        intensity=programs.intensity.astype(np.float16),
        repeats=np.asarray(repeated, np.float16),
        **_parameters(wanted, layout, len(campaigns)),
    )
    return _corrected(drawn, wanted, steps, acts, layout)


def _layout(
    steps: Steps, acts: RecordedActs, programs: Programs, campaigns: int, classes: int
) -> Layout:
    design = programs.design(acts.acts)
    return Layout(
        cell=steps.host * classes + steps.y,
        phase=steps.y,
        act=acts.work,
        columns=np.hstack(
            [np.eye(campaigns)[steps.campaign], design[acts.work] + design[acts.side]]
        ),
        phases=classes,
    )


def _marginals(steps: Steps, hosts: int, classes: int) -> Array:
    """Return the quantiles `[H,K,C,Q]`."""
    quantiles = np.zeros((hosts, classes, steps.x.shape[1], len(PROBABILITIES)))
    for label in range(classes):
        pooled = steps.x[steps.y == label]
        for host in range(hosts):
            own = steps.x[(steps.host == host) & (steps.y == label)]
            quantiles[host, label] = _quantiles(own if len(own) >= MIN_STEPS else pooled)
    return quantiles


def _quantiles(x: Array) -> Array:
    """Return the quantiles `[C,Q]` of steps `[n,C]`; zeros for a channel that is never measured."""
    quantiles = np.zeros((x.shape[1], len(PROBABILITIES)))
    for channel in range(x.shape[1]):
        known = x[np.isfinite(x[:, channel]), channel]
        if len(known):
            quantiles[channel] = _rounded(np.quantile(known, PROBABILITIES))
    return quantiles


def _rounded(x: Array) -> Array:
    """Return numbers with about three digits, which is what the quantiles are known to."""
    mantissa, exponent = np.frexp(x)
    return np.asarray(np.ldexp(np.rint(mantissa * 1024) / 1024, exponent))


def _corrected(fit: Fit, wanted: Moments, steps: Steps, acts: RecordedActs, layout: Layout) -> Fit:
    """Return the fit after `ROUNDS` rounds of simulation and correction."""
    generator = np.random.default_rng(0)
    # What has few steps stays near to no effect.
    weight = np.abs(layout.columns).sum(axis=0)
    known = weight / (weight + PRIOR_STEPS)
    sought = wanted
    for _ in range(ROUNDS):
        x = _simulated(Process(fit), steps, acts, generator)
        found, _ = measure(scores(np.where(np.isfinite(steps.x), x, np.nan), layout.cell), layout)
        sought = Moments(
            sought.mean + known[:, None] * (wanted.mean - found.mean),
            sought.lags + wanted.lags - found.lags,
            sought.apart + wanted.apart - found.apart,
        )
        fit = replace(fit, **_parameters(sought, layout, len(fit.campaigns)))
    return fit


def _simulated(
    process: Process, steps: Steps, acts: RecordedActs, generator: np.random.Generator
) -> Array:
    """Return steps `[N,C]` of the process in the recorded acts, episode by episode."""
    x = np.empty(steps.x.shape)
    for episode in range(int(steps.episode.max()) + 1):
        rows = np.flatnonzero(steps.episode == episode)
        first = rows[0]
        x[rows] = process.draw(
            Running(acts.acts, acts.work[rows], acts.side[rows], steps.y[rows]),
            int(steps.host[first]),
            int(steps.campaign[first]),
            generator,
        )
    return x


def _parameters(sought: Moments, layout: Layout, campaigns: int) -> dict[str, Any]:
    """Return the parameters of the process with these moments, and variance 1 in each phase."""
    at_work = layout.columns @ sought.mean
    staying, memory, noise = [], [], []
    for label in range(layout.phases):
        rows = at_work[layout.phase == label]
        explained = rows.var(axis=0) if len(rows) else np.zeros(at_work.shape[1])
        root, process = _process(sought.lags[label], sought.apart[label], 1 - explained)
        staying.append(root)
        memory.append(process.coefficients)
        noise.append(process.root)
    effects = sought.mean[campaigns:]
    parts = {
        "drift": sought.mean[:campaigns],
        "effects": effects.reshape(-1, 2, effects.shape[1]),
        "acts": np.stack(staying),
        "memory": np.stack(memory),
        "noise": np.stack(noise),
    }
    return {name: part.astype(np.float16) for name, part in parts.items()}


def _process(lags: Array, apart: Array, variance: Array) -> tuple[Array, Autoregression]:
    """Return the root `[C,C]` of what stays in an act, and the autoregression of what moves.

    Both together have `variance[C]`.
    """
    limit = np.maximum(variance, MIN_VARIANCE)
    ends = MAX_CORRELATION * np.sqrt(np.outer(limit, limit))
    both = np.clip(lags, -ends, ends)
    np.fill_diagonal(both[0], limit)
    staying = positive(np.clip(apart, -ends, ends))
    excess = np.sqrt(np.maximum(np.diag(staying) / (MAX_SHARE * limit), 1.0))
    staying = staying / np.outer(excess, excess)
    return np.linalg.cholesky(staying), yule_walker(both - staying)
