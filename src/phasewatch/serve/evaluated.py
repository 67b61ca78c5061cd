"""The held-out windows behind a run's scores: by cell of the confusion matrix, host and profile."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import softmax

from phasewatch.errors import Refused
from phasewatch.evaluation.predictions import Predictions, pool_folds
from phasewatch.experiment.run import Run
from phasewatch.schema import NS

MOST_WINDOWS = 500
"""Windows of one cell that are listed, the most confident first."""


@dataclass(frozen=True)
class Errors:
    """How many windows of an episode were evaluated, and how many predicted wrongly."""

    wrong: int
    windows: int


@dataclass(frozen=True)
class CellWindow:
    """A held-out window: where it ends in its episode, and the probability of its prediction."""

    episode_id: str
    end_s: float
    probability: float


class Evaluated:
    """The held-out predictions of a run by `model.mode`; none for a run that has no file of them.

    Raises Refused for a file that cannot be read.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def _unseen(self) -> Mapping[str, Predictions]:
        if not self._run.predictions_path.exists():
            return {}
        found: dict[str, list[Predictions]] = defaultdict(list)
        for one in self._run.predictions.predictions:
            if one.subset == "unseen":
                found[f"{one.model}.{one.mode}"].append(one.clear)
        return {key: pool_folds(parts) for key, parts in found.items()}

    def right_by(self, key: str, what: str) -> dict[str, float]:
        """Return a model's share of right windows by `what`: "profile", "host" or "episode"."""
        counts = self._errors(key, what)
        return {name: 1 - one.wrong / one.windows for name, one in counts.items()}

    def errors(self, key: str) -> dict[str, Errors]:
        """Return the windows of each held-out episode that a model predicts wrongly."""
        return self._errors(key, "episode")

    def _errors(self, key: str, what: str) -> dict[str, Errors]:
        found = self._unseen.get(key)
        if found is None:
            return {}
        names = np.asarray(getattr(found.windows, what))
        wrong = found.predicted != found.windows.y
        return {
            str(name): Errors(int(wrong[names == name].sum()), int((names == name).sum()))
            for name in np.unique(names)
        }

    def cell(
        self, key: str, truth: str, predicted: str, starts: Mapping[str, int]
    ) -> list[CellWindow]:
        """Return the windows of a cell of a model's confusion matrix, the most confident first.

        `starts` is the Unix time at which each episode began. Raises Refused for a name that the
        run does not have.
        """
        found = self._unseen.get(key)
        if found is None:
            known = ", ".join(self._unseen) or "none: the run has no predictions"
            raise Refused(f"model {key!r}", "was not evaluated", f"one of {known}", "Choose one.")
        classes = self._run.predictions.classes
        for label in (truth, predicted):
            if label not in classes:
                expected = f"one of {', '.join(classes)}"
                raise Refused(f"label {label!r}", "is no phase", expected, "Choose one.")
        rows = np.flatnonzero(
            (found.windows.y == classes.index(truth))
            & (found.predicted == classes.index(predicted))
        )
        p = softmax(found.logits / self._run.temperatures.get(key, 1.0), axis=1).max(axis=1)
        rows = rows[np.argsort(-p[rows], kind="stable")][:MOST_WINDOWS]
        return [
            CellWindow(
                str(found.windows.episode[row]),
                (int(found.windows.t_ns[row]) - starts[str(found.windows.episode[row])]) / NS,
                round(float(p[row]), 4),
            )
            for row in rows
            if str(found.windows.episode[row]) in starts
        ]
