"""Scripts drawn from spaces, and what looks the same under two labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewatch.lab.script import ambiguous, draw, sample

SPACE = """
60% execution spawn rate=2~20 payload_s=4..12
discovery scan rate=0.5..2 hosts=2..9 port_to=40|200|1024
benign idle
"""


@given(st.text(max_size=8))
def test_a_draw_is_within_its_ranges_and_the_same_again(seed: str) -> None:
    script = draw(SPACE, seed)
    assert script == draw(SPACE, seed)
    drawn = sample(script)
    assert [line.program for line in drawn.lines[-1:]] == ["idle"]
    scan = drawn.lines[-2]
    assert 0.5 <= scan.setting("rate", 0) <= 2
    assert scan.setting("hosts", 0) in range(2, 10)
    assert scan.setting("port_to", 0) in (40, 200, 1024)
    if len(drawn.lines) == 3:
        assert 2 <= drawn.lines[0].setting("rate", 0) <= 20


def test_chances_and_alternatives_are_all_drawn() -> None:
    scripts = [sample(draw(SPACE, str(number))) for number in range(200)]
    assert 90 < sum(len(drawn.lines) == 3 for drawn in scripts) < 150
    assert {drawn.lines[-2].setting("port_to", 0) for drawn in scripts} == {40, 200, 1024}


def test_a_log_uniform_draw_has_its_middle_at_the_geometric_mean() -> None:
    rates = [sample(draw("discovery walk rate=1.0~100.0", str(n))).lines[0] for n in range(400)]
    below = sum(line.setting("rate", 0) < 10 for line in rates)
    assert 160 < below < 240


@pytest.mark.parametrize("value", ["9..3", "0~5", "x..y"])
def test_an_invalid_range_raises(value: str) -> None:
    with pytest.raises(ValueError):
        draw(f"discovery walk rate={value}", "1")


@pytest.mark.parametrize(
    ("program", "seconds", "same"),
    [
        ("heartbeat period_s=3", 20, True),
        ("beacon period_s=3 task_n=0", 60, True),
        ("beacon period_s=3 task_n=2", 20, False),
        ("beacon period_s=30 task_n=2", 20, True),
        ("beacon", 20, True),
        ("tasking period_s=30", 20, False),
        ("tasking task=0", 20, True),
        ("checkin period_s=3", 20, False),
        ("idle", 20, False),
    ],
)
def test_calls_without_a_following_task_are_ambiguous(
    program: str, seconds: float, same: bool
) -> None:
    assert ambiguous(program, seconds) is same
