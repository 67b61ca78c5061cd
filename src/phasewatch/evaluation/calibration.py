"""How far a probability can be believed: temperature, calibration error, and when to abstain.

A temperature is fitted on validation hosts alone and never moves a call, only its probability
(Guo et al., ICML 2017).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from phasewatch.features.views import Array

Labels = NDArray[np.int64]
CALIBRATION_BINS = 15
TEMPERATURE_RANGE = (0.05, 20.0)
"""Between which the temperature is looked for."""

MIN_WINDOWS = 20
"""Windows that an abstention threshold must be chosen from, at the least."""


def fit_temperature(logits: Array, y: Labels) -> float:
    """What to divide `logits[N,K]` by so that windows `y[N]` are least surprising."""

    def surprise(logarithm: float) -> float:
        told = log_softmax(logits / np.exp(logarithm), axis=1)
        return float(-told[np.arange(len(y)), y].mean())

    bounds = (float(np.log(TEMPERATURE_RANGE[0])), float(np.log(TEMPERATURE_RANGE[1])))
    return float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded").x))


@dataclass(frozen=True)
class CalibrationBin:
    """Windows of about the same confidence: its mean, and how many of them were right."""

    confidence: float
    accuracy: float
    windows: int


@dataclass(frozen=True)
class CalibrationReport:
    """At a temperature: calibration error, Brier score, its bins, and risk by coverage.

    `ece` is the mean gap between confidence and accuracy over `BINS` bins of equal size; `brier`
    the mean squared distance of all K probabilities to the truth, 0 to 2. `risk` is the share of
    wrong calls among the most confident windows, at each share of `coverage`.
    """

    temperature: float
    ece: float
    brier: float
    bins: tuple[CalibrationBin, ...]
    coverage: tuple[float, ...]
    error_rate: tuple[float, ...]


def confidence_report(logits: Array, y: Labels, temperature: float) -> CalibrationReport:
    """Of windows that had no part in fitting `temperature`; raises ValueError without one."""
    if not len(y):
        raise ValueError("no window")
    chance = softmax(logits / temperature, axis=1)
    sure, right = chance.max(axis=1), chance.argmax(axis=1) == y
    order = np.argsort(-sure, kind="stable")
    bins = tuple(
        CalibrationBin(float(sure[rows].mean()), float(right[rows].mean()), len(rows))
        for rows in np.array_split(order[::-1], CALIBRATION_BINS)
        if len(rows)
    )
    gap = sum(one.windows * abs(one.confidence - one.accuracy) for one in bins) / len(y)
    truth = np.eye(chance.shape[1])[y]
    wrong = np.cumsum(~right[order]) / np.arange(1, len(y) + 1)
    shares = np.linspace(0.05, 1.0, 20)
    risk = wrong[np.maximum(np.ceil(shares * len(y)).astype(int) - 1, 0)]
    return CalibrationReport(
        temperature,
        float(gap),
        float(((chance - truth) ** 2).sum(axis=1).mean()),
        bins,
        tuple(shares.tolist()),
        tuple(risk.tolist()),
    )


def abstention_threshold(logits: Array, y: Labels, temperature: float, risk: float) -> float | None:
    """The least confidence from which on at most `risk` of calls were wrong; None when none is."""
    chance = softmax(logits / temperature, axis=1)
    sure, right = chance.max(axis=1), chance.argmax(axis=1) == y
    order = np.argsort(-sure, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(y) + 1)
    good = np.flatnonzero(wrong[MIN_WINDOWS - 1 :] <= risk)
    return float(sure[order[good[-1] + MIN_WINDOWS - 1]]) if len(good) else None
