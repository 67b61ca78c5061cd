"""Draws one episode from a Fit: labels from the lab's own schedules, samples on four clocks.

An episode depends on the fit, the seed and its number alone, so any part of a store can be made
again, by any number of processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import signal

from phasewatch.episode import Episode, Label, Samples
from phasewatch.errors import Refused
from phasewatch.features.views import Array
from phasewatch.lab.hosts import Host, hosts
from phasewatch.lab.profile import Profile, Sample, profiles, schedule
from phasewatch.schema import NS, Channel, Schema
from phasewatch.sim.fit import KNOTS, Fit
from phasewatch.validation.rules import LOST, WAITING

BEGIN_NS = 1_767_225_600 * NS
"""2026-01-01, when the first simulated campaign begins; campaigns are 90 days apart."""

CAMPAIGN_NS = 90 * 86_400 * NS
SECONDS = (70, 95)
HZ = 2.0
JITTER = (0.0, 0.12, 0.3)
"""How far a reading may stray from its time, in parts of the period; a campaign takes one."""

LEAD = 4
"""Steps drawn before the episode, so that its first step has a rate."""


@dataclass(frozen=True)
class Cast:
    """Who plays in an episode."""

    host: Host
    profile: Profile
    sample: Sample
    campaign: int
    seconds: int
    seed: int


class Stage:
    """Everything that episodes share: the fit, the schema, and the lab's hosts and profiles.

    Raises Refused when the fit knows too little to draw from.
    """

    def __init__(self, fit: Fit, schema: Schema, seed: int) -> None:
        known = hosts()
        refuse_thin(fit, list(known))
        self.fit = fit
        self.schema = schema
        self.seed = seed
        self.hosts = [known[name] for name in fit.hosts if name in known]
        self.profiles = list(profiles().values())

    def episode(self, number: int) -> Episode:
        """Episode `number`; always the same one."""
        chance = np.random.default_rng([self.seed, number])
        cast = self._cast(chance, number)
        start_ns = (
            BEGIN_NS + cast.campaign * CAMPAIGN_NS + number * 120 * NS + int(chance.integers(0, NS))
        )
        labels = _labels(cast, start_ns)
        x = self._steps(cast, labels, start_ns, chance)
        return Episode(
            id=f"s{number:06d}.{cast.host.name}.{cast.profile.name}",
            host=cast.host.name,
            sample=cast.sample.id,
            profile=cast.profile.name,
            campaign=str(self.fit.campaigns[cast.campaign]),
            start_ns=start_ns,
            end_ns=start_ns + cast.seconds * NS,
            labels=labels,
            sources=self._sources(cast, x, start_ns, chance),
            notes={"simulated": True, "seed": self.seed, "number": number},
        )

    def _cast(self, chance: np.random.Generator, number: int) -> Cast:
        host = self.hosts[chance.integers(len(self.hosts))]
        allowed = [own for own in self.profiles if own.name not in host.never]
        profile = allowed[chance.integers(len(allowed))]
        sample = profile.samples[chance.integers(len(profile.samples))]
        campaign = int(chance.integers(len(self.fit.campaigns)))
        return Cast(host, profile, sample, campaign, int(chance.integers(*SECONDS)), number)

    def _steps(
        self, cast: Cast, labels: tuple[Label, ...], start_ns: int, chance: np.random.Generator
    ) -> Array:
        """Rates and levels of every step from LEAD before the start, `[T,C]`."""
        fit = self.fit
        step_ns = self.schema.grid.step_ns
        count = cast.seconds * NS // step_ns + LEAD + 2
        times = start_ns + step_ns * (np.arange(count) - LEAD + 0.5)
        begins = np.array([label.t_wall_ns for label in labels])
        act = np.maximum(np.searchsorted(begins, times, side="right") - 1, 0)
        host = list(fit.hosts).index(cast.host.name)
        stays, memory = fit.stays.astype(np.float64), fit.memory.astype(np.float64)
        noise = chance.standard_normal((count + len(labels), len(fit.channels)))
        moving = np.empty((count, len(fit.channels)))
        staying = np.empty((len(labels), len(fit.channels)))
        classes = [self.schema.classes.index(label.phase) for label in labels]
        for place, label in enumerate(classes):
            rows = act == place
            moving[rows] = noise[:count][rows] @ fit.root[label].T
            staying[place] = fit.root[label] @ noise[count + place]
        moving = _ar(moving, memory)
        z = np.sqrt(stays) * staying[act] + np.sqrt(1 - stays) * moving + fit.drift[cast.campaign]
        x = np.empty_like(z)
        for place, label in enumerate(classes):
            rows = np.flatnonzero(act == place)
            for channel, row in enumerate(fit.quantiles[host, label]):
                x[rows, channel] = np.interp(z[rows, channel], KNOTS, row)
        # Contention is a fault, and faults are planted, not drawn.
        waiting = self.schema.names.index(WAITING)
        x[:, waiting] = np.minimum(x[:, waiting], 0.8 * LOST * NS)
        return np.asarray(x)

    def _sources(
        self, cast: Cast, x: Array, start_ns: int, chance: np.random.Generator
    ) -> dict[str, Samples]:
        step_ns = self.schema.grid.step_ns
        stray = JITTER[cast.campaign % len(JITTER)]
        boot_ns = int(chance.integers(3600 * NS, 10**6 * NS))
        made = {}
        for source in self.schema.sources:
            channels = self.schema.channels_of(source)
            t = start_ns + step_ns * (np.arange(len(x), dtype=np.int64) - LEAD + 1)
            if source == "netflow":
                t = t // step_ns * step_ns
            else:
                off = chance.uniform(-stray, stray, len(t)) + chance.uniform(0, 0.9)
                t = t + np.round(off * step_ns).astype(np.int64)
            own = [self.schema.names.index(channel.name) for channel in channels]
            seconds = np.diff(t, prepend=t[0] - step_ns) / NS
            values = _values(x[:, own], channels, seconds, chance)
            names = tuple(channel.name for channel in channels)
            mono = t - start_ns + boot_ns if source != "guest" else t - start_ns + 30 * NS
            made[source] = Samples(names, t, mono, values, HZ)
        return made


def refuse_thin(fit: Fit, known: Sequence[str]) -> None:
    """Raise Refused when the fit has no `known` host, or has seen nothing of some phase."""
    measured = np.asarray(fit.quantiles.any(axis=(0, 2, 3)))
    blank = ", ".join(map(str, fit.classes[~measured]))
    problem = f"has no step of {blank}" if blank else ""
    if not set(fit.hosts) & set(known):
        problem = f"has no host of the lab, but {', '.join(fit.hosts)}"
    if problem:
        raise Refused(
            "fit",
            f"too little to draw from: {problem}",
            f"episodes of every phase, from one of {', '.join(known)}",
            "Record some, or leave out --fit.",
            code="fit_thin",
        )


def _labels(cast: Cast, start_ns: int) -> tuple[Label, ...]:
    acts = schedule(cast.profile, cast.sample, cast.host, cast.seed, cast.seconds)
    labels: list[Label] = []
    for act in acts:
        if act.slot == "work" and (not labels or labels[-1].phase != act.phase):
            labels.append(Label(start_ns + round(act.at_s * NS), act.phase))
    return tuple(labels)


def _ar(noise: Array, memory: Array) -> Array:
    """AR(1) of variance 1 down the rows of `noise[T,C]`."""
    made = np.empty_like(noise)
    for channel, kept in enumerate(memory):
        gain = np.sqrt(1 - kept**2)
        begin = [kept * noise[0, channel]]
        made[0, channel] = noise[0, channel]
        made[1:, channel] = signal.lfilter([gain], [1, -kept], noise[1:, channel], zi=begin)[0]
    return made


def _values(
    x: Array, channels: tuple[Channel, ...], seconds: Array, chance: np.random.Generator
) -> Array:
    """What a recorder would have written for rates and levels `x[T,C]`: whole numbers."""
    values = np.empty_like(x)
    for column, channel in enumerate(channels):
        if channel.kind == "gauge":
            values[:, column] = np.rint(x[:, column])
        elif channel.kind == "event":
            values[:, column] = np.rint(x[:, column] * seconds)
        else:
            first = float(chance.integers(0, 10**6))
            values[:, column] = np.floor(first + np.cumsum(x[:, column] * seconds))
    return values
