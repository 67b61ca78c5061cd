"""The fitted model of recorded telemetry that simulated episodes are drawn from.

The channels of a step are normal scores `[C]`, the sum of what the campaign, the two programs that
run and this act add, and of a vector autoregression of the phase. A quantile function of the host,
phase and channel turns each into a rate or a level. That is a vector autoregression with arbitrary
marginal distributions (Biller and Nelson, Modeling and generating multivariate time-series input
processes using a vector autoregressive technique, ACM TOMACS 13, 2003), whose mean is a linear
model with random effects of acts. `fitting` finds it. It contains no single episode.
"""

import io
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special

from phasewatch.errors import Refused
from phasewatch.features.views import Array
from phasewatch.io import atomic
from phasewatch.schema import Schema

PACKAGED_FIT = Path(__file__).parent / "fit.npz"
"""The fit to the recorded corpus that is part of the package."""

PROBABILITIES = np.array(
    [0.002, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.998]
)
"""Q, the probabilities at which a quantile function is known."""

NORMAL_QUANTILES: Array = special.ndtri(PROBABILITIES)


@dataclass(frozen=True)
class Fit:
    """The fitted process: H hosts, G campaigns, K phases, C channels, Q probabilities, L programs.

    Everything but the quantiles is in units of normal scores.
    """

    channels: NDArray[np.str_]
    classes: NDArray[np.str_]
    hosts: NDArray[np.str_]
    campaigns: NDArray[np.str_]
    quantiles: NDArray[np.float32]
    """[H,K,C,Q] rate per second of counters and events, level of gauges."""
    drift: NDArray[np.float16]
    """[G,C] mean in a campaign."""
    programs: NDArray[np.str_]
    """Slot and name of each program, such as "side sync"."""
    intensity: NDArray[np.float16]
    """[L,2] lowest and highest intensity of a program's acts."""
    effects: NDArray[np.float16]
    """[L,2,C] what a program adds at its middle intensity, and at its highest one beyond that."""
    acts: NDArray[np.float16]
    """[K,C,C] root of the covariance of what an act adds."""
    repeats: NDArray[np.float16]
    """[] share of what an act adds that is the same in all acts of the same settings."""
    memory: NDArray[np.float16]
    """[K,P,C,C] coefficients of the autoregression."""
    noise: NDArray[np.float16]
    """[K,C,C] root of the covariance of its noise."""

    def dump(self) -> bytes:
        """Return the fit as an npz file; the same fit gives the same bytes."""
        buffer = io.BytesIO()
        # NumPy dates every member 1980-01-01, so that the bytes are the same every time.
        np.savez_compressed(buffer, **vars(self))
        return buffer.getvalue()

    def save(self, path: Path) -> None:
        """Write the fit to `path` atomically."""
        atomic.write(path, self.dump())

    @classmethod
    def load(cls, path: Path, schema: Schema) -> "Fit":
        """Return the fit at `path`. Raises Refused for another file, other channels or classes."""
        try:
            with np.load(path, allow_pickle=False) as file:
                fit = cls(**{field.name: file[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise Refused(
                path,
                f"cannot be read ({error})",
                "a fit of the simulator",
                "Fit it again with --fit.",
            ) from error
        if tuple(fit.channels) != schema.names or tuple(fit.classes) != schema.classes:
            raise Refused(
                path, "has other channels", f"those of {schema.name}", "Fit it again with --fit."
            )
        return fit
