"""Causal smoothing of predictions: forward filtering of a hidden Markov model over windows.

A smoothed prediction uses its window and earlier ones alone. The transitions are counted on
training labels. The emission of a window is the probability that the model gives, divided by how
often training had each phase (scaled likelihoods: Bourlard and Morgan, Connectionist Speech
Recognition, 1994).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from phasewatch.features.views import Array

Labels = NDArray[np.int64]
SMOOTHING = 0.5
"""Transitions that are added to the count of every pair of phases, so that none is impossible."""


@dataclass(frozen=True)
class MarkovChain:
    """How phases follow each other from window to window, as logarithms of probabilities.

    `start[K]` is of the first window, `step[K,K]` from phase to phase, `prior[K]` of any window.
    """

    start: Array
    step: Array
    prior: Array

    @classmethod
    def fit(cls, sequences: Iterable[Labels], classes: int) -> "MarkovChain":
        """Return the chain counted on the labels of training episodes, in the order of time."""
        start, step = np.full(classes, SMOOTHING), np.full((classes, classes), SMOOTHING)
        prior = np.full(classes, SMOOTHING)
        for y in sequences:
            start[y[:1]] += 1
            np.add.at(step, (y[:-1], y[1:]), 1)
            prior += np.bincount(y, minlength=classes)
        return cls(
            np.log(start / start.sum()),
            np.log(step / step.sum(axis=1, keepdims=True)),
            np.log(prior / prior.sum()),
        )

    def filter(self, logits: Array, balanced: bool = True) -> Array:
        """Return log-probabilities `[N,K]` of the windows of one episode, each given all up to it.

        `balanced` is true where training weighed every class the same: then the prior is even,
        and no prior is divided out.
        """
        emission = log_softmax(logits, axis=1) - (0.0 if balanced else self.prior)
        filtered: Array = np.empty(emission.shape)
        predicted = self.start
        for place, now in enumerate(emission):
            joint = predicted + now
            filtered[place] = joint - np.logaddexp.reduce(joint)
            predicted = np.logaddexp.reduce(filtered[place][:, None] + self.step, axis=0)
        return filtered
