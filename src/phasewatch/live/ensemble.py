"""The checkpoints that predict side by side under one schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from phasewatch.artifacts import checkpoint as checkpoints
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.errors import Refused
from phasewatch.experiment.run import Run
from phasewatch.features.views import Array
from phasewatch.io.trust import ANY, Trust
from phasewatch.schema import Schema


@dataclass(frozen=True)
class Member:
    """A checkpoint on a panel. `rows` are its channels' places in the panel's schema.

    `temperature` is None where no report says how far its probabilities can be believed.
    """

    key: str
    checkpoint: Checkpoint
    rows: NDArray[np.int64]
    temperature: float | None = None

    def probabilities(self, logits: Array) -> Array:
        """`[..., K]`, calibrated where a temperature is known."""
        return np.asarray(softmax(logits / (self.temperature or 1.0), axis=-1))


@dataclass(frozen=True)
class Ensemble:
    """The checkpoints that judge side by side under one schema, and those that were refused."""

    schema: Schema
    members: tuple[Member, ...]
    refused: Mapping[str, Refused] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        run: Run,
        schema: Schema,
        trust: Trust = ANY,
    ) -> "Ensemble":
        """Load the checkpoints of a run, each calibrated by the temperature of its report.

        One that cannot be used on `schema` is kept with its refusal.
        """
        members, refused, temperatures = [], {}, run.temperatures
        for key, path in run.models().items():
            try:
                loaded = checkpoints.load(path, trust)
                loaded.bind(schema, "this stream")
            except Refused as problem:
                refused[key] = problem
                continue
            rows = np.array([schema.names.index(name) for name in loaded.schema.names])
            members.append(Member(key, loaded, rows, temperatures.get(key)))
        return cls(schema, tuple(members), refused)

    @property
    def opening_s(self) -> float:
        """For how long a machine is watched before the first juror judges it."""
        return max((member.checkpoint.opening_s for member in self.members), default=0.0)

    def member(self, key: str) -> Member:
        """By key; raises Refused."""
        for member in self.members:
            if member.key == key:
                return member
        known = ", ".join(member.key for member in self.members) or "none"
        raise Refused(f"model {key!r}", "is not on the panel", f"one of {known}", "Choose one.")
