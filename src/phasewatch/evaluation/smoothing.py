"""Calls that know the calls before them: forward filtering of a hidden Markov model over windows.

Causal: a window's call uses windows up to its own end and none after. The chain is counted on
training labels; what a window says comes from the model's own probabilities, divided by how often
training met each phase (scaled likelihoods: Bourlard and Morgan, Connectionist Speech Recognition,
1994).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from phasewatch.features.views import Array

Labels = NDArray[np.int64]
SMOOTHING = 0.5
"""Transitions that every pair of phases is said to have been seen, so that none is impossible."""


@dataclass(frozen=True)
class MarkovChain:
    """How phases follow each other from window to window.

    `start[K]` and `prior[K]` are logarithms of chances; `step[K,K]` from phase to phase.
    """

    start: Array
    step: Array
    prior: Array

    @classmethod
    def fit(cls, sequences: Iterable[Labels], classes: int) -> "MarkovChain":
        """Counted on the labels of whole training episodes, in the order of time."""
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
        """Log-probabilities `[N,K]` of one episode's windows, each given all up to it.

        `balanced` when the model was trained with every class weighing the same: its own prior is
        even then, and nothing needs to be divided out.
        """
        said = log_softmax(logits, axis=1) - (0.0 if balanced else self.prior)
        filtered: Array = np.empty(said.shape)
        ahead = self.start
        for place, now in enumerate(said):
            whole = ahead + now
            filtered[place] = whole - np.logaddexp.reduce(whole)
            ahead = np.logaddexp.reduce(filtered[place][:, None] + self.step, axis=0)
        return filtered
