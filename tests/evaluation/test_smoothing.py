"""The filter is Bayes' rule, uses nothing that comes later, and is sure where it may be."""

import itertools

import numpy as np
import pytest
from scipy.special import log_softmax

from phasewatch.evaluation.smoothing import MarkovChain

SEQUENCES = [np.array([0, 0, 0, 1, 1, 2, 2, 2]), np.array([0, 0, 2, 2, 2, 0])]
CHAIN = MarkovChain.fit(SEQUENCES, 3)
LOGITS = np.random.default_rng(0).normal(0, 1, (6, 3))


def test_smoothing_equals_the_sum_over_all_state_paths() -> None:
    """Against the definition: every path of phases through six windows."""
    likelihoods = log_softmax(LOGITS, axis=1)
    filtered = CHAIN.filter(LOGITS)
    for length in (1, 3, 6):
        total = np.full(3, -np.inf)
        for path in itertools.product(range(3), repeat=length):
            chance = CHAIN.start[path[0]] + sum(
                CHAIN.step[one, two] for one, two in itertools.pairwise(path)
            )
            chance += sum(likelihoods[place, phase] for place, phase in enumerate(path))
            total[path[-1]] = np.logaddexp(total[path[-1]], chance)
        expected = total - np.logaddexp.reduce(total)
        np.testing.assert_allclose(filtered[length - 1], expected, atol=1e-9)


def test_later_windows_do_not_change_a_smoothed_prediction() -> None:
    changed = LOGITS.copy()
    changed[4:] *= -7
    np.testing.assert_array_equal(CHAIN.filter(changed)[:4], CHAIN.filter(LOGITS)[:4])


def test_smoothed_probabilities_sum_to_one() -> None:
    np.testing.assert_allclose(np.exp(CHAIN.filter(LOGITS)).sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(CHAIN.step).sum(axis=1), 1)


def test_a_single_contrary_window_is_smoothed_away() -> None:
    """Phases last: one window that leans elsewhere among many that agree is outvoted."""
    lasting = MarkovChain.fit([np.repeat([0, 1, 2], 30)], 3)
    logits = np.tile([2.0, 0.0, 0.0], (7, 1))
    logits[4] = [0.0, 1.0, 0.0]
    assert lasting.filter(logits).argmax(axis=1).tolist() == [0] * 7


def test_a_uniform_prior_changes_no_likelihood() -> None:
    even = MarkovChain.fit([np.array([0, 1, 2])], 3)
    assert even.filter(LOGITS, balanced=False) == pytest.approx(even.filter(LOGITS))
