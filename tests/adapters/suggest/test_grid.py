"""Steps that hold a row, and windows within the limits of a schema."""

import pytest

from phasewatch.adapters.suggest import grid
from phasewatch.schema import Grid


@pytest.mark.parametrize("every_s", [0.001, 0.5, 5.0, 6.7, 60.0, 1800.0, 3600.0, 86_400.0])
def test_grids_are_valid(every_s: float) -> None:
    for found in (grid.of_rows(every_s), grid.of_events(every_s)):
        valid = Grid(found.window_s, found.stride_s, found.step_s, found.hold_s)
        assert valid.steps >= 2


def test_a_step_holds_a_row_and_about_twenty_events() -> None:
    assert grid.of_rows(5.0).step_s == 5
    assert grid.of_rows(6.7).step_s == 10
    assert grid.of_events(0.5).step_s == 10
