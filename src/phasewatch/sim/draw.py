"""Draws one simulated episode: labels from the lab's schedules, samples of four sources.

An episode depends on the fit, the seed and its number alone, so any part of a store can be drawn
again, by any number of processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phasewatch.episode import Episode, Label, Samples
from phasewatch.errors import Refused
from phasewatch.features.views import Array
from phasewatch.lab.hosts import Host, hosts
from phasewatch.lab.profile import Profile, Sample, catalogue, profiles, schedule
from phasewatch.lab.timetable import Act
from phasewatch.schema import NS, Channel, Schema
from phasewatch.sim.acts import at_times, by_slot
from phasewatch.sim.fit import Fit
from phasewatch.sim.process import Process, Running
from phasewatch.validation.rules import MAX_LOST_CORES, WAIT_CHANNEL

BEGIN_NS = 1_767_225_600 * NS
"""2026-01-01, when the first simulated campaign begins; campaigns are 90 days apart."""

CAMPAIGN_NS = 90 * 86_400 * NS
DURATION_S = (70, 95)
LONG_S = {"run": (120, 601), "day": (600, 3601)}
"""Shortest and longest short episode, and long episodes by the kind of their profile."""

APART_S, LONG_APART_S = 120, 3_660
"""Time from the start of an episode to that of the next one."""

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

    Short episodes run the listed samples of the corpus. Long ones run every sample, listed and
    drawn, for 2 to 10 minutes, and benign days for 10 to 60. Raises Refused when the fit has too
    little data to draw from.
    """

    def __init__(self, fit: Fit, schema: Schema, seed: int, long: bool = False) -> None:
        known = hosts()
        refuse_insufficient_fit(fit, list(known))
        self.fit = fit
        self.schema = schema
        self.seed = seed
        self.long = long
        self.hosts = [known[name] for name in fit.hosts if name in known]
        self.profiles = list((catalogue() if long else profiles()).values())
        self._process = Process(fit)

    def episode(self, number: int) -> Episode:
        """Return episode `number`, which is the same every time."""
        generator = np.random.default_rng([self.seed, number])
        scenario = self._scenario(generator, number)
        start_ns = (
            BEGIN_NS
            + scenario.campaign * CAMPAIGN_NS
            + number * (LONG_APART_S if self.long else APART_S) * NS
            + int(generator.integers(0, NS))
        )
        acts = schedule(
            scenario.profile, scenario.sample, scenario.host, scenario.seed, scenario.seconds
        )
        x = self._steps(scenario, acts, generator)
        return Episode(
            id=f"s{number:06d}.{scenario.host.name}.{scenario.profile.name}",
            host=scenario.host.name,
            sample=scenario.sample.id,
            profile=scenario.profile.name,
            campaign=str(self.fit.campaigns[scenario.campaign]),
            start_ns=start_ns,
            end_ns=start_ns + scenario.seconds * NS,
            labels=_labels(acts, start_ns),
            sources=self._sources(scenario, x, start_ns, generator),
            notes={"simulated": True, "seed": self.seed, "number": number},
        )

    def _scenario(self, generator: np.random.Generator, number: int) -> Scenario:
        host = self.hosts[generator.integers(len(self.hosts))]
        allowed = [one for one in self.profiles if one.name not in host.never]
        profile = allowed[generator.integers(len(allowed))]
        samples = profile.every if self.long else profile.samples
        sample = samples[generator.integers(len(samples))]
        campaign = int(generator.integers(len(self.fit.campaigns)))
        lengths = DURATION_S if not self.long else LONG_S[profile.kind]
        return Scenario(host, profile, sample, campaign, int(generator.integers(*lengths)), number)

    def _steps(
        self, scenario: Scenario, acts: Sequence[Act], generator: np.random.Generator
    ) -> Array:
        """Return rates and levels `[T,C]` of all steps, from LEAD_STEPS before the start on."""
        step_s = self.schema.grid.step_s
        count = round(scenario.seconds / step_s) + LEAD_STEPS + 2
        seconds: Array = step_s * (np.arange(float(count)) - LEAD_STEPS + 0.5)
        work, side = by_slot(acts)
        of_work = at_times(work, seconds)
        phase = np.array([self.schema.classes.index(act.phase) for act in work])[of_work]
        running = Running([*work, *side], of_work, at_times(side, seconds) + len(work), phase)
        host = list(self.fit.hosts).index(scenario.host.name)
        x = self._process.draw(running, host, scenario.campaign, generator)
        # Contention is a fault, and faults are planted instead of drawn.
        waiting = self.schema.names.index(WAIT_CHANNEL)
        x[:, waiting] = np.minimum(x[:, waiting], 0.8 * MAX_LOST_CORES * NS)
        return x

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


def _labels(acts: Sequence[Act], start_ns: int) -> tuple[Label, ...]:
    labels: list[Label] = []
    for act in acts:
        if act.slot == "work" and (not labels or labels[-1].phase != act.phase):
            labels.append(Label(start_ns + round(act.at_s * NS), act.phase))
    return tuple(labels)


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
