"""A vector autoregression: how the channels of a step follow from those of the steps before.

Its coefficients are the solution of the Yule-Walker equations for measured covariances at lags 0 to
P, so that a long series has these covariances again, also between different channels (Luetkepohl,
New Introduction to Multiple Time Series Analysis, 2005, section 3.3.4).
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from phasewatch.features.views import Array

LEAST = 0.01
"""Smallest eigenvalue of the covariance of successive steps, so that the equations are solvable."""

PROJECTIONS = 20
"""How often covariances are projected, in turn, onto the two sets that they must be in."""


@dataclass(frozen=True)
class Autoregression:
    """A process `z[t] = sum of coefficients[p] z[t-1-p] + root e[t]` with standard normal `e`."""

    coefficients: Array
    """[P,C,C]"""
    root: Array
    """[C,C] a root of the covariance of the noise."""


def yule_walker(covariance: Array) -> Autoregression:
    """Return the process with `covariance[P+1,C,C]`, of `z[t]` with `z[t-lag]`, at lags 0 to P.

    Variances are exact; other covariances are as near as those of a stationary process come.
    """
    order, size = len(covariance) - 1, covariance.shape[1]
    variances = np.maximum(np.diag(covariance[0]), LEAST)
    every = _toeplitz(_stationary(covariance))
    now, past = every[:size, size:], every[size:, size:]
    flat = linalg.solve(past, now.T, assume_a="pos").T
    noise = positive(every[:size, :size] - flat @ now.T)
    scale = np.sqrt(variances / np.diag(_variance(flat, noise, order)))
    coefficients = flat.reshape(size, order, size).swapaxes(0, 1)
    return Autoregression(
        scale[:, None] * coefficients / scale, scale[:, None] * linalg.cholesky(noise, lower=True)
    )


def _stationary(covariance: Array) -> Array:
    """Return the nearest covariances that a stationary process has.

    Those of successive steps make a matrix that is positive definite and the same along each
    diagonal of blocks. It is projected onto both sets in turn (Higham, Computing the nearest
    correlation matrix, IMA Journal of Numerical Analysis 22, 2002).
    """
    for _ in range(PROJECTIONS):
        covariance = _blocks(positive(_toeplitz(covariance), 2 * LEAST), len(covariance))
    lowest = float(np.linalg.eigvalsh(_toeplitz(covariance))[0])
    covariance[0] += max(LEAST - lowest, 0.0) * np.eye(covariance.shape[1])
    return covariance


def _toeplitz(covariance: Array) -> Array:
    """Return the covariance of P+1 successive steps, the last one first, `[(P+1)C,(P+1)C]`."""
    both = [*(block.T for block in covariance[:0:-1]), *covariance]
    places = range(len(covariance))
    middle = len(covariance) - 1
    return np.block([[both[middle + column - row] for column in places] for row in places])


def _blocks(every: Array, count: int) -> Array:
    """Return the covariances of which `_toeplitz` is nearest to `every`."""
    size = len(every) // count
    blocks = every.reshape(count, size, count, size).swapaxes(1, 2)
    return np.stack(
        [
            np.mean([blocks[row, row + lag] for row in range(count - lag)], axis=0)
            for lag in range(count)
        ]
    )


def positive(covariance: Array, least: float = 1e-4) -> Array:
    """Return the nearest symmetric matrix whose eigenvalues are at least `least`."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray((vectors * np.maximum(values, least)) @ vectors.T)


def _companion(flat: Array, order: int) -> Array:
    """Return the matrix that takes the last P steps to the next P ones, `[PC,PC]`."""
    size = len(flat)
    return np.vstack([flat, np.eye((order - 1) * size, order * size)])


def _variance(flat: Array, noise: Array, order: int) -> Array:
    """Return the covariance `[C,C]` of a step in the long run."""
    size = len(flat)
    every = np.zeros((order * size, order * size))
    every[:size, :size] = noise
    return np.asarray(linalg.solve_discrete_lyapunov(_companion(flat, order), every)[:size, :size])
