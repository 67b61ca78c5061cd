"""Progress is said where somebody listens, and work is the same where nobody does."""

import pytest

from phasewatch import progress


def test_a_listener_hears_the_beginning_and_every_part() -> None:
    heard: list[tuple[str, int, int]] = []
    with progress.shown(lambda *said: heard.append(said)):
        for part in progress.each("adding", [5, 6]):
            assert heard[-1][1] == part - 5
    assert heard == [("adding", 0, 2), ("adding", 1, 2), ("adding", 2, 2)]
    assert list(progress.each("adding", (1, 2))) == [1, 2] and len(heard) == 3


def test_a_failure_ends_listening_and_the_part_is_not_done() -> None:
    heard: list[int] = []
    with pytest.raises(ZeroDivisionError), progress.shown(lambda _, done, of: heard.append(done)):
        for part in progress.each("dividing", [1, 0]):
            1 / part
    assert heard == [0, 1]
    assert list(progress.each("dividing", [1])) == [1] and heard == [0, 1]
