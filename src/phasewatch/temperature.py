"""The temperature that calibrates logits: one divisor, which changes no prediction.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

TEMPERATURE_RANGE = (0.05, 20.0)
"""Lowest and highest temperature that is tried."""


def fit_temperature(logits: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Return the divisor of `logits[N,K]` with the lowest cross-entropy for classes `y[N]`."""

    def cross_entropy(logarithm: float) -> float:
        log_probability = log_softmax(logits / np.exp(logarithm), axis=1)
        return float(-log_probability[np.arange(len(y)), y].mean())

    bounds = (float(np.log(TEMPERATURE_RANGE[0])), float(np.log(TEMPERATURE_RANGE[1])))
    return float(np.exp(minimize_scalar(cross_entropy, bounds=bounds, method="bounded").x))
