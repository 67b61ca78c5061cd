"""A made-up store for tests: a few hosts and profiles, rates that follow the phase."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from phasewatch import schema
from phasewatch.episode import Episode, Label, Samples
from phasewatch.evaluation.predictions import PredictionSet
from phasewatch.features.views import NEWEST
from phasewatch.schema import NS, Schema
from phasewatch.store.local import Store
from phasewatch.training import recipes

RECIPE = replace(
    recipes.find("quick"), test="delta", validation="gamma", opening_s=6.0, view_version=NEWEST
)
START_NS = 1_790_000_000 * NS
HOSTS = ("alpha", "beta", "gamma", "delta")
PROFILES = {
    "calm": ("benign", "benign"),
    "dig": ("execution", "impact"),
    "leak": ("discovery", "exfiltration"),
}


def episode(
    host: str = "alpha",
    profile: str = "dig",
    seed: int = 1,
    seconds: int = 40,
    layout: Schema | None = None,
) -> Episode:
    """A run of `seconds`: benign, then the two phases of `profile`, then benign again."""
    layout = layout or schema.vm46()
    generator = np.random.default_rng([seed, HOSTS.index(host), list(PROFILES).index(profile)])
    start_ns = START_NS + seed * 3600 * NS + HOSTS.index(host) * 600 * NS
    cuts = np.sort(generator.choice(np.arange(8, seconds - 8, 4), size=3, replace=False))
    phases = ("benign", *PROFILES[profile], "benign")
    times = [start_ns, *(start_ns + int(cut) * NS for cut in cuts)]
    labels = tuple(Label(time, phase) for time, phase in zip(times, phases, strict=True))
    return Episode(
        id=f"{host}.{profile}.s{seed}",
        host=host,
        sample=f"{profile}-{seed % 3}",
        profile=profile,
        campaign=f"c{seed % 3}",
        start_ns=start_ns,
        end_ns=start_ns + seconds * NS,
        labels=merged(labels),
        sources={
            name: samples(layout, name, labels, start_ns, seconds, generator)
            for name in layout.sources
        },
        notes={"made": "up"},
    )


def merged(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    """Labels without those that repeat the phase before."""
    changes = [labels[0]]
    for label in labels[1:]:
        if label.phase != changes[-1].phase:
            changes.append(label)
    return tuple(changes)


def samples(
    layout: Schema,
    source: str,
    labels: tuple[Label, ...],
    start_ns: int,
    seconds: int,
    generator: np.random.Generator,
) -> Samples:
    """2 Hz rows from two seconds before the start, a phase's channels busier than others."""
    channels = layout.channels_of(source)
    rows = 2 * seconds + 4
    t = start_ns - 2 * NS + np.arange(rows) * NS // 2 + generator.integers(1, 9_000_000, rows)
    starts = np.array([label.t_wall_ns for label in labels])
    places = np.array([layout.classes.index(label.phase) for label in labels])
    phase = places[np.maximum(np.searchsorted(starts, t, side="right") - 1, 0)]
    values = np.empty((rows, len(channels)))
    for column, channel in enumerate(channels):
        level = 100.0 * (1 + 9 * (phase == column % len(layout.classes)))
        noisy = np.floor(generator.gamma(4.0, level / 4.0))
        values[:, column] = np.cumsum(noisy) if channel.kind == "counter" else noisy
    names = tuple(channel.name for channel in channels)
    return Samples(names, t, t - START_NS + 7 * NS, values, 2.0)


def store(root: Path, seeds: int = 3) -> Store:
    """Every host with every profile, `seeds` times."""
    opened = Store.create(root, schema.vm46())
    for host in HOSTS:
        for profile in PROFILES:
            for seed in range(seeds):
                opened.publish(episode(host, profile, seed))
    return opened


def scattered(predictions: PredictionSet, hosts: int) -> PredictionSet:
    """The same predictions, as if the evaluated episodes had been run on so many hosts."""
    moved = []
    for one in predictions.predictions:
        _, place = np.unique(one.windows.episode, return_inverse=True)
        host = np.array([f"h{number % hosts}" for number in place])
        moved.append(replace(one, windows=replace(one.windows, host=host)))
    return replace(predictions, predictions=tuple(moved))
