"""The fitted process: draws the steps of an episode from what runs in each of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasewatch.features.views import Array
from phasewatch.lab.timetable import Act
from phasewatch.sim.acts import Programs, seed_of
from phasewatch.sim.fit import NORMAL_QUANTILES, Fit

BURN_IN = 24
"""Steps that are drawn and left out, after which the autoregression has forgotten its start."""


@dataclass(frozen=True)
class Running:
    """Which of `acts` is the work and the side of each step, and in which phase it is, `[T]`."""

    acts: Sequence[Act]
    work: NDArray[np.int64]
    side: NDArray[np.int64]
    phase: NDArray[np.int64]


class Process:
    """Draws the rates and levels of steps under a fit."""

    def __init__(self, fit: Fit) -> None:
        self._classes = list(fit.classes)
        self._quantiles = fit.quantiles.astype(np.float64)
        self._drift = fit.drift.astype(np.float64)
        self._programs = Programs(tuple(map(str, fit.programs)), fit.intensity.astype(np.float64))
        self._effects = fit.effects.astype(np.float64).reshape(-1, len(fit.channels))
        self._acts = fit.acts.astype(np.float64)
        self._repeats = float(fit.repeats)
        # [K,C,PC]: the newest step first, as `_moving` keeps them.
        self._memory = np.concatenate(fit.memory.astype(np.float64).swapaxes(0, 1), axis=2)
        self._noise = fit.noise.astype(np.float64)
        self._settings: dict[int, Array] = {}

    def draw(
        self, running: Running, host: int, campaign: int, generator: np.random.Generator
    ) -> Array:
        """Return the rates and levels `[T,C]` of steps on a host in a campaign."""
        z = self._drift[campaign] + self._moving(running.phase, generator)
        for slot in (running.work, running.side):
            distinct, place = np.unique(slot, return_inverse=True)
            acts = [running.acts[number] for number in distinct]
            z += (self._programs.design(acts) @ self._effects)[place]
            if slot is running.work:
                z += self._staying(acts, generator)[place]
        return self._rates(z, host, running.phase)

    def _staying(self, acts: Sequence[Act], generator: np.random.Generator) -> Array:
        """Return what work acts add for their whole length, `[A,C]`."""
        own = generator.standard_normal((len(acts), len(self._drift[0])))
        shared = np.stack([self._setting(seed_of(act)) for act in acts])
        both = np.sqrt(self._repeats) * shared + np.sqrt(1 - self._repeats) * own
        roots = self._acts[[self._classes.index(act.phase) for act in acts]]
        return np.asarray(np.einsum("acd,ad->ac", roots, both))

    def _setting(self, seed: int) -> Array:
        """Return the standard normal values `[C]` of all acts with these settings."""
        if seed not in self._settings:
            generator = np.random.default_rng(seed)
            self._settings[seed] = generator.standard_normal(len(self._drift[0]))
        return self._settings[seed]

    def _moving(self, phase: NDArray[np.int64], generator: np.random.Generator) -> Array:
        """Return the autoregression of steps in the phases `phase[T]`, `[T,C]`."""
        phase = np.concatenate([np.full(BURN_IN, phase[0]), phase])
        noise = generator.standard_normal((len(phase), len(self._drift[0])))
        for label in np.unique(phase):
            rows = phase == label
            noise[rows] = noise[rows] @ self._noise[label].T
        size = noise.shape[1]
        past = np.zeros(self._memory.shape[2])
        for row, label in enumerate(phase):
            noise[row] += self._memory[label] @ past
            past[size:] = past[:-size].copy()
            past[:size] = noise[row]
        return noise[BURN_IN:]

    def _rates(self, z: Array, host: int, phase: NDArray[np.int64]) -> Array:
        """Return the rates and levels of scores `z[T,C]`, by the quantiles of a host."""
        x = np.empty_like(z)
        for label in np.unique(phase):
            rows = np.flatnonzero(phase == label)
            for channel, row in enumerate(self._quantiles[host, label]):
                x[rows, channel] = np.interp(z[rows, channel], NORMAL_QUANTILES, row)
        return x
