"""The grid of a draft: a step that holds a row, and windows of twelve steps."""

from dataclasses import dataclass

from phasewatch.schema import MAX_S

STEPS_S = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200,
)  # fmt: skip
"""Steps to choose from, in seconds. A window of twelve is at most a day."""

EVENTS_PER_BIN = 20
"""Events in a bin, at their mean interval."""


@dataclass(frozen=True)
class Grid:
    """Seconds between rows, and the step of the grid."""

    every_s: float
    step_s: float

    @property
    def window_s(self) -> float:
        """Return the drafted length of a window, twelve steps and at most a day, in seconds."""
        return min(12 * self.step_s, MAX_S)

    @property
    def stride_s(self) -> float:
        """Return the drafted stride, half a window, in seconds."""
        return self.window_s / 2

    @property
    def hold_s(self) -> float:
        """Three steps, so that two late rows leave no gap."""
        return min(3 * self.step_s, MAX_S)


def of_rows(every_s: float) -> Grid:
    """Return the grid for rows at even intervals of `every_s` seconds."""
    return _at_least(every_s, every_s * 0.999)


def of_events(every_s: float) -> Grid:
    """Return the grid for events, whose mean interval is `every_s` seconds."""
    return _at_least(every_s, every_s * EVENTS_PER_BIN)


def _at_least(every_s: float, least_s: float) -> Grid:
    return Grid(every_s, next((step for step in STEPS_S if step >= least_s), STEPS_S[-1]))
