"""Calibration of probabilities: temperature, calibration error, and abstention.

The temperature is that of `phasewatch.temperature`, fitted on validation alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from phasewatch.features.views import Array

Labels = NDArray[np.int64]
CALIBRATION_BINS = 15
MIN_WINDOWS = 20
"""Windows that an abstention threshold keeps at least."""


@dataclass(frozen=True)
class CalibrationBin:
    """Windows of similar confidence: their mean confidence, accuracy and number."""

    confidence: float
    accuracy: float
    windows: int


@dataclass(frozen=True)
class CalibrationReport:
    """Calibration at a temperature: error, Brier score, bins, and error rate by coverage.

    `ece` is the mean gap between confidence and accuracy over `CALIBRATION_BINS` bins of equal
    size, and `brier` the mean squared distance of all K probabilities to the truth, 0 to 2.
    `error_rate` is the share of wrong predictions among the most confident windows, at each share
    of `coverage`.
    """

    temperature: float
    ece: float
    brier: float
    bins: tuple[CalibrationBin, ...]
    coverage: tuple[float, ...]
    error_rate: tuple[float, ...]


def confidence_report(logits: Array, y: Labels, temperature: float) -> CalibrationReport:
    """Return the calibration on windows that were not used to fit `temperature`.

    `logits[N,K]` are uncalibrated and `y[N]` true classes. Raises ValueError without a window.
    """
    if not len(y):
        raise ValueError("no window")
    probability = softmax(logits / temperature, axis=1)
    confidence, correct = probability.max(axis=1), probability.argmax(axis=1) == y
    order = np.argsort(-confidence, kind="stable")
    bins = tuple(
        CalibrationBin(float(confidence[rows].mean()), float(correct[rows].mean()), len(rows))
        for rows in np.array_split(order[::-1], CALIBRATION_BINS)
        if len(rows)
    )
    gap = sum(one.windows * abs(one.confidence - one.accuracy) for one in bins) / len(y)
    truth = np.eye(probability.shape[1])[y]
    wrong = np.cumsum(~correct[order]) / np.arange(1, len(y) + 1)
    shares = np.linspace(0.05, 1.0, 20)
    error_rate = wrong[np.maximum(np.ceil(shares * len(y)).astype(int) - 1, 0)]
    return CalibrationReport(
        temperature,
        float(gap),
        float(((probability - truth) ** 2).sum(axis=1).mean()),
        bins,
        tuple(shares.tolist()),
        tuple(error_rate.tolist()),
    )


def abstention_threshold(
    logits: Array, y: Labels, temperature: float, error_rate: float
) -> float | None:
    """Return the lowest confidence from which on at most `error_rate` of predictions are wrong.

    None when there is no such confidence.
    """
    probability = softmax(logits / temperature, axis=1)
    confidence, correct = probability.max(axis=1), probability.argmax(axis=1) == y
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~correct[order]) / np.arange(1, len(y) + 1)
    good = np.flatnonzero(wrong[MIN_WINDOWS - 1 :] <= error_rate)
    return float(confidence[order[good[-1] + MIN_WINDOWS - 1]]) if len(good) else None
