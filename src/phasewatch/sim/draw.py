"""Draws one simulated episode: labels from the lab's schedules, samples of four sources.

An episode depends on the fit, the seed and its number alone, so any part of a store can be drawn
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
from phasewatch.sim.fit import NORMAL_QUANTILES, Fit
from phasewatch.validation.rules import MAX_LOST_CORES, WAIT_CHANNEL

BEGIN_NS = 1_767_225_600 * NS
"""2026-01-01, when the first simulated campaign begins; campaigns are 90 days apart."""

CAMPAIGN_NS = 90 * 86_400 * NS
DURATION_S = (70, 95)
RATE_HZ = 2.0
JITTER = (0.0, 0.12, 0.3)
"""Jitter of sample times, in periods; each campaign has one of these."""

LEAD_STEPS = 4
"""Steps that are drawn before the episode, so that its first step has a rate."""


@dataclass(frozen=True)
class Scenario:
    """What an episode is of: host, profile, sample, campaign, duration and seed."""

    host: Host
    profile: Profile
    sample: Sample
    campaign: int
    seconds: int
    seed: int


class Simulator:
    """Draws episodes from a fit, with the hosts and profiles of the lab.

    Raises Refused when the fit has too little data to draw from.
    """

    def __init__(self, fit: Fit, schema: Schema, seed: int) -> None:
        known = hosts()
        refuse_insufficient_fit(fit, list(known))
        self.fit = fit
        self.schema = schema
        self.seed = seed
        self.hosts = [known[name] for name in fit.hosts if name in known]
        self.profiles = list(profiles().values())

    def episode(self, number: int) -> Episode:
        """Return episode `number`, which is the same every time."""
        generator = np.random.default_rng([self.seed, number])
        scenario = self._scenario(generator, number)
        start_ns = (
            BEGIN_NS
            + scenario.campaign * CAMPAIGN_NS
            + number * 120 * NS
            + int(generator.integers(0, NS))
        )
        labels = _labels(scenario, start_ns)
        x = self._steps(scenario, labels, start_ns, generator)
        return Episode(
            id=f"s{number:06d}.{scenario.host.name}.{scenario.profile.name}",
            host=scenario.host.name,
            sample=scenario.sample.id,
            profile=scenario.profile.name,
            campaign=str(self.fit.campaigns[scenario.campaign]),
            start_ns=start_ns,
            end_ns=start_ns + scenario.seconds * NS,
            labels=labels,
            sources=self._sources(scenario, x, start_ns, generator),
            notes={"simulated": True, "seed": self.seed, "number": number},
        )

    def _scenario(self, generator: np.random.Generator, number: int) -> Scenario:
        host = self.hosts[generator.integers(len(self.hosts))]
        allowed = [one for one in self.profiles if one.name not in host.never]
        profile = allowed[generator.integers(len(allowed))]
        sample = profile.samples[generator.integers(len(profile.samples))]
        campaign = int(generator.integers(len(self.fit.campaigns)))
        return Scenario(
            host, profile, sample, campaign, int(generator.integers(*DURATION_S)), number
        )

    def _steps(
        self,
        scenario: Scenario,
        labels: tuple[Label, ...],
        start_ns: int,
        generator: np.random.Generator,
    ) -> Array:
        """Return rates and levels `[T,C]` of all steps, from LEAD_STEPS before the start on."""
        fit = self.fit
        step_ns = self.schema.grid.step_ns
        count = scenario.seconds * NS // step_ns + LEAD_STEPS + 2
        times = start_ns + step_ns * (np.arange(count) - LEAD_STEPS + 0.5)
        begins = np.array([label.t_wall_ns for label in labels])
        segment = np.maximum(np.searchsorted(begins, times, side="right") - 1, 0)
        host = list(fit.hosts).index(scenario.host.name)
        stays, memory = fit.stays.astype(np.float64), fit.memory.astype(np.float64)
        noise = generator.standard_normal((count + len(labels), len(fit.channels)))
        moving = np.empty((count, len(fit.channels)))
        staying = np.empty((len(labels), len(fit.channels)))
        classes = [self.schema.classes.index(label.phase) for label in labels]
        for place, label in enumerate(classes):
            rows = segment == place
            moving[rows] = noise[:count][rows] @ fit.root[label].T
            staying[place] = fit.root[label] @ noise[count + place]
        moving = _ar(moving, memory)
        z = (
            np.sqrt(stays) * staying[segment]
            + np.sqrt(1 - stays) * moving
            + fit.drift[scenario.campaign]
        )
        x = np.empty_like(z)
        for place, label in enumerate(classes):
            rows = np.flatnonzero(segment == place)
            for channel, row in enumerate(fit.quantiles[host, label]):
                x[rows, channel] = np.interp(z[rows, channel], NORMAL_QUANTILES, row)
        # Contention is a fault, and faults are planted instead of drawn.
        waiting = self.schema.names.index(WAIT_CHANNEL)
        x[:, waiting] = np.minimum(x[:, waiting], 0.8 * MAX_LOST_CORES * NS)
        return np.asarray(x)

    def _sources(
        self, scenario: Scenario, x: Array, start_ns: int, generator: np.random.Generator
    ) -> dict[str, Samples]:
        step_ns = self.schema.grid.step_ns
        jitter = JITTER[scenario.campaign % len(JITTER)]
        boot_ns = int(generator.integers(3600 * NS, 10**6 * NS))
        sources = {}
        for source in self.schema.sources:
            channels = self.schema.channels_of(source)
            t = start_ns + step_ns * (np.arange(len(x), dtype=np.int64) - LEAD_STEPS + 1)
            if source == "netflow":
                t = t // step_ns * step_ns
            else:
                off = generator.uniform(-jitter, jitter, len(t)) + generator.uniform(0, 0.9)
                t = t + np.round(off * step_ns).astype(np.int64)
            columns = [self.schema.names.index(channel.name) for channel in channels]
            seconds = np.diff(t, prepend=t[0] - step_ns) / NS
            values = _values(x[:, columns], channels, seconds, generator)
            names = tuple(channel.name for channel in channels)
            mono = t - start_ns + boot_ns if source != "guest" else t - start_ns + 30 * NS
            sources[source] = Samples(names, t, mono, values, RATE_HZ)
        return sources


def refuse_insufficient_fit(fit: Fit, known: Sequence[str]) -> None:
    """Raise Refused when the fit has no host in `known`, or no step of some phase."""
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


def _labels(scenario: Scenario, start_ns: int) -> tuple[Label, ...]:
    acts = schedule(
        scenario.profile, scenario.sample, scenario.host, scenario.seed, scenario.seconds
    )
    labels: list[Label] = []
    for segment in acts:
        if segment.slot == "work" and (not labels or labels[-1].phase != segment.phase):
            labels.append(Label(start_ns + round(segment.at_s * NS), segment.phase))
    return tuple(labels)


def _ar(noise: Array, memory: Array) -> Array:
    """Return AR(1) processes of variance 1 along the rows of `noise[T,C]`."""
    series = np.empty_like(noise)
    for channel, coefficient in enumerate(memory):
        gain = np.sqrt(1 - coefficient**2)
        begin = [coefficient * noise[0, channel]]
        series[0, channel] = noise[0, channel]
        series[1:, channel] = signal.lfilter(
            [gain], [1, -coefficient], noise[1:, channel], zi=begin
        )[0]
    return series


def _values(
    x: Array, channels: tuple[Channel, ...], seconds: Array, generator: np.random.Generator
) -> Array:
    """Return the integers that a recorder writes for rates and levels `x[T,C]`."""
    values = np.empty_like(x)
    for column, channel in enumerate(channels):
        if channel.kind == "gauge":
            values[:, column] = np.rint(x[:, column])
        elif channel.kind == "event":
            values[:, column] = np.rint(x[:, column] * seconds)
        else:
            first = float(generator.integers(0, 10**6))
            values[:, column] = np.floor(first + np.cumsum(x[:, column] * seconds))
    return values
