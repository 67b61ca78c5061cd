"""Whether a column of numbers is a level or a running total, from its name and its values.

Values are compared from row to row within one machine only: the rows of several machines in one
file would make every total fall.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from phasewatch.adapters.suggest.columns import words
from phasewatch.episode import Floats

Guess = Literal["gauge", "counter", "event", "?"]
"""A kind, or a question where neither the name nor the values decide."""

RISING = 0.2
"""The share of rows in which a total without a name rises, at least."""

MOST_RESETS, RESET_TO = 0.02, 0.1
"""Falls of a total: so many rows at most, each to so small a share of the value before."""


def kind(name: str, series: Sequence[Floats]) -> Guess:
    """Return the kind of a column, from the values of each machine in the order of time.

    A quantity that falls is a level. One that only rises is a total where its name says so, a level
    where its name says that, and otherwise a question.
    """
    known = [one[np.isfinite(one)] for one in series]
    steps = np.concatenate([np.diff(one) for one in known]) if known else np.zeros(0)
    if not len(steps) or not _rises(known, steps) or words.level(name):
        return "gauge"
    if words.total(name):
        return "counter"
    return "?" if float((steps > 0).mean()) > RISING else "gauge"


def _rises(series: Sequence[Floats], steps: Floats) -> bool:
    """Return whether values never fall, except for a few resets."""
    falls = sum(int((np.diff(one) < 0).sum()) for one in series)
    resets = sum(
        int(((np.diff(one) < 0) & (one[1:] <= RESET_TO * one[:-1])).sum()) for one in series
    )
    return bool((steps > 0).any()) and falls == resets and resets <= MOST_RESETS * len(steps)


def cumulative(series: Sequence[Floats]) -> bool:
    """Return whether a column of events is a running total, which must not be summed."""
    known = [one[np.isfinite(one)] for one in series]
    steps = np.concatenate([np.diff(one) for one in known]) if known else np.zeros(0)
    return len(steps) > 2 and _rises(known, steps) and float((steps > 0).mean()) > RISING
