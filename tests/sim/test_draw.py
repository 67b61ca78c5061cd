"""Drawn episodes: sound, the same again, and with the fit's statistics."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phasewatch import schema
from phasewatch.lab.hosts import hosts
from phasewatch.lab.profile import profiles
from phasewatch.sim.draw import Simulator
from phasewatch.sim.fit import NORMAL_QUANTILES, PACKAGED_FIT, Fit, collect_steps
from phasewatch.store.format import encode_samples
from phasewatch.validation.rules import examine

VM46 = schema.vm46()
FIT = Fit.load(PACKAGED_FIT, VM46)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**5))
def test_every_simulated_episode_is_accepted_and_reproducible(seed: int, number: int) -> None:
    episode = Simulator(FIT, VM46, seed).episode(number)
    assert examine(episode, VM46) == ("accepted", ())
    again = Simulator(FIT, VM46, seed).episode(number)
    assert encode_samples(episode.sources) == encode_samples(again.sources)
    assert episode.labels == again.labels
    host = hosts()[episode.host]
    assert episode.profile not in host.never
    assert episode.sample in {sample.id for sample in profiles()[episode.profile].samples}
    assert episode.notes["simulated"] is True


def test_another_seed_is_another_episode() -> None:
    first, other = (Simulator(FIT, VM46, seed).episode(3) for seed in (0, 1))
    assert encode_samples(first.sources) != encode_samples(other.sources)


def test_simulated_medians_are_those_of_the_fit() -> None:
    stage = Simulator(FIT, VM46, 7)
    drawn = [stage.episode(number) for number in range(250)]
    names, _, steps = collect_steps(drawn, VM46)
    label = VM46.classes.index("benign")
    wanted, found = [], []
    for place, name in enumerate(names):
        rows = steps.x[(steps.host == place) & (steps.y == label)]
        place = list(FIT.hosts).index(name)
        wanted.append(np.log1p(FIT.quantiles[place, label, :, len(NORMAL_QUANTILES) // 2]))
        found.append(np.log1p(np.nanmedian(rows, axis=0)))
    assert np.corrcoef(np.ravel(wanted), np.ravel(found))[0, 1] > 0.97
