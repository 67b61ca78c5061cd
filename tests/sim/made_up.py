"""Episodes in which one channel follows another one by a step, and the fit to them."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from tests import toy

from phasewatch import schema
from phasewatch.episode import Episode
from phasewatch.sim.fit import Fit
from phasewatch.sim.fitting import fit

VM46 = schema.vm46()
LEADER, FOLLOWER = (VM46.names.index(f"proc.{name}") for name in ("minflt", "write_bytes"))


def episodes() -> list[Episode]:
    return [
        _with_follower(toy.episode(host, profile, seed), seed)
        for host in toy.HOSTS
        for profile in toy.PROFILES
        for seed in (1, 2)
    ]


def _with_follower(episode: Episode, seed: int) -> Episode:
    """The episode with pulses in one channel of `proc`, and each a step later in another one."""
    samples = episode.sources["proc"]
    generator = np.random.default_rng([seed, len(episode.id)])
    pulses = generator.lognormal(4, 1, len(samples)) * (generator.random(len(samples)) < 0.5)
    values = samples.values.copy()
    values[:, samples.names.index("proc.minflt")] = np.cumsum(pulses)
    values[:, samples.names.index("proc.write_bytes")] = np.cumsum(np.append(0.0, pulses[:-1]))
    sources = {**episode.sources, "proc": replace(samples, values=values)}
    return replace(episode, sources=sources)


@lru_cache(maxsize=1)
def made_up_fit() -> Fit:
    return fit(episodes(), VM46)
