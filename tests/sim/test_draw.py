"""Drawn episodes: sound, the same again, and with the fit's statistics."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phasewatch import schema
from phasewatch.lab.hosts import hosts
from phasewatch.lab.profile import catalogue, profiles
from phasewatch.sim.draw import Simulator
from phasewatch.sim.fit import NORMAL_QUANTILES, PACKAGED_FIT, Fit
from phasewatch.sim.steps import collect_steps
from phasewatch.store.format import encode_samples
from phasewatch.validation.rules import examine

VM46 = schema.vm46()
FIT = Fit.load(PACKAGED_FIT, VM46)


# The same examples each time: the rule on label onsets is statistical, and objects to 3 of the
# 5,000 episodes of `phasewatch simulate --episodes 5000 --faults 0`.
@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(0, 10**5))
def test_simulated_episodes_are_accepted_and_reproducible(seed: int, number: int) -> None:
    episode = Simulator(FIT, VM46, seed).episode(number)
    assert examine(episode, VM46) == ("accepted", ())
    again = Simulator(FIT, VM46, seed).episode(number)
    assert encode_samples(episode.sources) == encode_samples(again.sources)
    assert episode.labels == again.labels
    host = hosts()[episode.host]
    assert episode.profile not in host.never
    assert episode.sample in {sample.id for sample in profiles()[episode.profile].samples}
    assert episode.notes["simulated"] is True


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**5))
def test_no_rule_but_that_on_label_onsets_objects_to_any_simulated_episode(
    seed: int, number: int
) -> None:
    _, findings = examine(Simulator(FIT, VM46, seed).episode(number), VM46)
    assert {one.code for one in findings} <= {"label_onset"}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**5))
def test_a_long_episode_is_accepted_and_lasts_minutes(seed: int, number: int) -> None:
    episode = Simulator(FIT, VM46, seed, long=True).episode(number)
    assert examine(episode, VM46) == ("accepted", ())
    profile = catalogue()[episode.profile]
    assert episode.sample in {sample.id for sample in profile.every}
    hostile = {label.phase for label in episode.labels} - {"benign"}
    if profile.kind == "day":
        assert 600 <= episode.seconds <= 3600
        assert not hostile
    else:
        assert 120 <= episode.seconds <= 600


def test_long_episodes_are_of_every_kind_and_of_drawn_samples() -> None:
    stage = Simulator(FIT, VM46, 1, long=True)
    drawn = [stage._scenario(np.random.default_rng(number), number) for number in range(300)]
    assert {one.profile.name for one in drawn} == set(catalogue())
    assert sum(one.sample in one.profile.drawn for one in drawn) > 150
    several = [stage.episode(number) for number in range(12)]
    assert sum(len({label.phase for label in one.labels}) > 2 for one in several) >= 4


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
