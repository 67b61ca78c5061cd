"""Yule-Walker: covariances in, a process with these covariances out."""

import numpy as np
import pytest
from scipy import linalg

from phasewatch.features.views import Array
from phasewatch.sim.autoregression import Autoregression, yule_walker

KNOWN = Autoregression(
    np.array(
        [
            [[0.5, 0.2, 0.0], [0.0, 0.3, 0.1], [0.3, 0.0, 0.2]],
            [[0.1, 0.0, 0.1], [0.2, -0.2, 0.0], [0.0, 0.1, 0.1]],
        ]
    ),
    np.array([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.0, 0.3, 0.8]]),
)


def covariances(process: Autoregression, lags: int) -> Array:
    """The covariances of a process in the long run, at lags 0 to `lags`."""
    order, size, _ = process.coefficients.shape
    companion = np.eye(order * size, k=-size)
    companion[:size] = np.hstack(list(process.coefficients))
    noise = np.zeros_like(companion)
    noise[:size, :size] = process.root @ process.root.T
    every = linalg.solve_discrete_lyapunov(companion, noise)
    found = []
    for _ in range(lags + 1):
        found.append(every[:size, :size])
        every = companion @ every
    return np.array(found)


def test_a_known_process_is_found() -> None:
    found = yule_walker(covariances(KNOWN, 2))
    assert found.coefficients == pytest.approx(KNOWN.coefficients, abs=0.02)
    assert found.root @ found.root.T == pytest.approx(KNOWN.root @ KNOWN.root.T, abs=0.02)
    assert covariances(found, 4) == pytest.approx(covariances(KNOWN, 4), abs=0.05)


def test_covariances_of_no_process_give_one_that_is_stationary() -> None:
    impossible = np.stack([np.array([[1.0, 0.5], [0.5, 2.0]]), np.array([[0.9, -1.2], [1.2, 0.5]])])
    found = yule_walker(impossible)
    assert np.abs(np.linalg.eigvals(found.coefficients[0])).max() < 1
    there = covariances(found, 1)
    assert np.diag(there[0]) == pytest.approx([1.0, 2.0], abs=1e-6)
    assert np.sign(there[1]) == pytest.approx(np.sign(impossible[1]))
