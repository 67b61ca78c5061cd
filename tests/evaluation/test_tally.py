"""What counts as a false incident and as a phase noticed: the definitions of decision 43."""

from dataclasses import replace

import numpy as np
import pytest

from phasewatch import alarm
from phasewatch.alarm import AlarmRule, Trace
from phasewatch.evaluation import tally
from phasewatch.evaluation.predictions import Predictions
from phasewatch.evaluation.tally import Tally
from phasewatch.windowing import Windows

STRIDE_S = 5.0
SURE = AlarmRule(1.0, 0.0, -8.0, 8.0, 8.5, 0.5, 1.0)
"""Open exactly while a window is more probably hostile than not, by half a nat."""


def made(y: list[int], logit: list[float], since: list[float], purity: list[float]) -> Predictions:
    """One episode under the classes benign, discovery and impact; `logit` is that of discovery."""
    count = len(y)
    flat = np.zeros((count, 1), np.float32)
    name = np.full(count, "e1")
    windows = Windows(
        x=flat[:, :, None],
        opening=flat,
        past=flat[:, :, None],
        y=np.array(y),
        purity=np.array(purity),
        since_s=np.array(since),
        t_ns=(1e18 + np.arange(count) * STRIDE_S * 1e9).astype(np.int64),
        episode=name,
        host=name,
        sample=name,
        profile=name,
        campaign=name,
    )
    logits = np.stack([np.zeros(count), np.array(logit), np.full(count, -20.0)], axis=1)
    return Predictions("f", "m", "realistic", "unseen", windows, logits)


def attack(logit: list[float]) -> Predictions:
    """Discovery from 3 s before the end of window 2 until 2 s before that of window 4."""
    return made(
        [0, 0, 1, 1, 0, 0, 0, 0, 0],
        logit,
        [15.0, 20.0, 3.0, 8.0, 2.0, 7.0, 12.0, 17.0, 22.0],
        [1.0, 1.0, 0.3, 0.8, 0.2, 0.7, 1.0, 1.0, 1.0],
    )


def counted(one: Predictions) -> Tally:
    (course,) = tally.courses(one, 1.0, STRIDE_S)
    return tally.tally(course, alarm.trace([SURE], course.windows))


LOW, HIGH = -3.0, 3.0


def test_the_opening_and_what_is_long_past_are_calm() -> None:
    (course,) = tally.courses(attack([LOW] * 9), 1.0, STRIDE_S)
    assert np.flatnonzero(course.calm).tolist() == [0, 1, 8]
    (phase,) = course.phases
    # Windows 4 and 5 still hold time of it.
    assert (phase.phase, phase.first, phase.end) == (1, 2, 6)
    assert phase.began_s == 7.0


@pytest.mark.parametrize(
    ("place", "false", "noticed"),
    [(0, 1, 0), (1, 1, 0), (2, 0, 1), (3, 0, 1), (4, 0, 1), (5, 0, 1), (6, 0, 0), (8, 1, 0)],
)
def test_where_an_incident_opens_decides(place: int, false: int, noticed: int) -> None:
    found = counted(attack([HIGH if one == place else LOW for one in range(9)]))
    assert (found.false[0], int(found.noticed.sum())) == (false, noticed)
    assert found.calm == 3


def test_a_false_incident_notices_nothing_however_long_it_lasts() -> None:
    found = counted(attack([HIGH] * 9))
    assert (found.false[0], found.noticed.sum(), found.open_calm[0]) == (1, 0, 3)
    assert np.isnan(found.delay_s).all()


def test_the_delay_runs_from_the_beginning_to_the_first_window_that_notices() -> None:
    assert counted(attack([LOW, LOW, HIGH, HIGH] + [LOW] * 5)).delay_s[0, 0] == 3.0
    assert counted(attack([LOW] * 4 + [HIGH] + [LOW] * 4)).delay_s[0, 0] == 13.0


def test_an_incident_is_named_by_its_phase() -> None:
    one = attack([LOW, LOW, HIGH, HIGH] + [LOW] * 5)
    assert counted(one).named.tolist() == [[True]]
    other = Predictions("f", "m", "realistic", "unseen", one.windows, one.logits[:, [0, 2, 1]])
    found = counted(other)
    assert (found.noticed.tolist(), found.named.tolist()) == ([[True]], [[False]])


def test_an_open_incident_needs_a_window_of_each_phase_that_speaks_for_it() -> None:
    y, since = [0, 1, 1, 0, 0, 1, 1], [20.0, 3, 8, 3, 8, 3, 8]
    one = made(y, [LOW, HIGH, HIGH, LOW, LOW, LOW, LOW], since, [1.0, 0.3, 0.8, 0.3, 0.8, 0.3, 0.8])
    (course,) = tally.courses(one, 1.0, STRIDE_S)
    always = np.ones((1, 7), np.bool_)
    always[0, 0] = False
    found = tally.tally(course, Trace(always.astype(np.float64), always, np.ones((1, 7), np.int64)))
    assert found.noticed.tolist() == [[True, False]]
    assert found.false[0] == 0


def test_a_long_episode_without_a_hostile_phase_is_a_benign_day() -> None:
    long, short = (
        made([0] * n, [LOW] * n, [15.0 + 5 * k for k in range(n)], [1.0] * n) for n in (120, 119)
    )
    assert tally.courses(long, 1.0, STRIDE_S)[0].benign_day(STRIDE_S)
    assert not tally.courses(short, 1.0, STRIDE_S)[0].benign_day(STRIDE_S)
    assert not tally.courses(attack([LOW] * 9), 1.0, 1000.0)[0].benign_day(1000.0)


def test_episodes_are_counted_together() -> None:
    one, two = attack([LOW] * 9), attack([LOW, LOW, HIGH, HIGH] + [LOW] * 4 + [HIGH])
    found = tally.tally_all(
        [tally.courses(each, 1.0, STRIDE_S)[0] for each in (one, two)], [SURE, SURE]
    )
    assert found.false.tolist() == [1, 1]
    assert found.noticed.tolist() == [[False, True]] * 2
    assert found.episode.tolist() == [0, 1]
    assert found.calm == 6


def marked(one: Predictions, rows: list[int]) -> Predictions:
    """The same predictions with ambiguous windows."""
    ambiguous = np.isin(np.arange(len(one.windows.y)), rows)
    return replace(one, windows=replace(one.windows, ambiguous=ambiguous))


def test_an_incident_that_opens_in_ambiguous_time_is_not_false() -> None:
    found = counted(marked(attack([LOW, HIGH] + [LOW] * 7), [1]))
    assert (found.false[0], found.calm) == (0, 2)


def test_ambiguous_windows_notice_no_phase_and_a_wholly_ambiguous_phase_is_left_out() -> None:
    one = attack([LOW, LOW, HIGH, LOW, HIGH] + [LOW] * 4)
    assert counted(marked(one, [2])).delay_s.tolist() == [[13.0]]
    assert counted(marked(one, [2, 4])).noticed.tolist() == [[False]]
    assert counted(marked(one, [2, 3])).noticed.shape == (1, 0)
