"""The checkpoints that predict side by side under one schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from phasewatch.alarm import AlarmRule
from phasewatch.artifacts import checkpoint as checkpoints
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.baseline import NONE, Selection
from phasewatch.errors import Refused
from phasewatch.evaluation.incidents import DEPLOYED_RATE
from phasewatch.experiment.run import Run
from phasewatch.features.views import Array
from phasewatch.io.trust import ANY, Trust
from phasewatch.schema import Schema


@dataclass(frozen=True)
class Member:
    """A checkpoint of an ensemble. `rows` are its channels' places in the ensemble's schema.

    `temperature` divides its logits, and `alarm` joins its windows into incidents; they are None
    where no report has them.
    """

    key: str
    checkpoint: Checkpoint
    rows: NDArray[np.int64]
    temperature: float | None = None
    alarm: AlarmRule | None = None

    def probabilities(self, logits: Array) -> Array:
        """Return the softmax `[..., K]` of logits, calibrated where a temperature is known."""
        return np.asarray(softmax(logits / (self.temperature or 1.0), axis=-1))


@dataclass(frozen=True)
class Ensemble:
    """Checkpoints that predict the same windows under one schema, and those that were refused."""

    schema: Schema
    members: tuple[Member, ...]
    refused: Mapping[str, Refused] = field(default_factory=dict)

    @classmethod
    def of_run(
        cls, run: Run, schema: Schema, trust: Trust = ANY, rate: float = DEPLOYED_RATE
    ) -> "Ensemble":
        """Load the checkpoints of a run as `load` does. Raises Refused when there are none."""
        found = cls.load(run, schema, trust, rate)
        if not found.members and not found.refused:
            folds = list(run.folds.values())
            remedy = "`phasewatch train` or `phasewatch run` makes one."
            if folds:
                remedy = f"It has one fold for each host: give one of them, --run {folds[0].path}."
            raise Refused(run.path, "has no checkpoints", "a run folder with checkpoints/", remedy)
        return found

    @classmethod
    def load(
        cls, run: Run, schema: Schema, trust: Trust = ANY, rate: float = DEPLOYED_RATE
    ) -> "Ensemble":
        """Load the checkpoints of a run, each with temperature and alarm rule of the run's report.

        The rule is that for `rate` false incidents per host-hour. A checkpoint that does not fit
        `schema` is kept with its refusal. Raises Refused when the report cannot be read, or has no
        rule for that rate.
        """
        members, refused, temperatures = [], {}, run.temperatures
        rules = run.alarm_rules(rate)
        for key, path in run.models().items():
            try:
                loaded = checkpoints.load(path, trust)
                loaded.bind(schema, "this stream")
            except Refused as problem:
                refused[key] = problem
                continue
            rows = np.array([schema.names.index(name) for name in loaded.schema.names])
            members.append(Member(key, loaded, rows, temperatures.get(key), rules.get(key)))
        return cls(schema, tuple(members), refused)

    @property
    def opening_s(self) -> float:
        """Seconds that a machine is watched before every member can predict: the longest."""
        return max((member.checkpoint.opening_s for member in self.members), default=0.0)

    def selection(self, given: str | None = None) -> Selection:
        """Return which recordings teach the levels of machines.

        Without a selection that is `given`, it is that of the members' training. Raises Refused.
        """
        trained = (one.checkpoint.recipe.get("baseline", NONE) for one in self.members)
        return Selection.parse(str(next(trained, NONE)) if given is None else given)

    def member(self, key: str) -> Member:
        """Return a member by its key, such as `gbt.realistic`.

        Raises Refused for a key that no member has; for a checkpoint that was refused, its refusal.
        """
        for member in self.members:
            if member.key == key:
                return member
        if key in self.refused:
            raise self.refused[key]
        known = ", ".join(member.key for member in self.members) or "none"
        raise Refused(f"model {key!r}", "is not in the ensemble", f"one of {known}", "Choose one.")
