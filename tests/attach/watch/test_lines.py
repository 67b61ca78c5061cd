"""Lines are those that `watch` reads."""

import json
import math

from phasewatch.attach.watch.lines import line
from phasewatch.attach.watch.watched import Gap, Reading

READING = Reading("box", "proc", ("proc.rss", "proc.utime", "proc.x"), 9, 4, [5.0, math.nan, 0.5])


def test_what_was_not_measured_is_left_out_and_totals_are_whole() -> None:
    value = json.loads(line(READING))
    assert value == {
        "source": "proc",
        "t_wall_ns": 9,
        "t_mono_ns": 4,
        "values": {"proc.rss": 5, "proc.x": 0.5},
    }
    assert '"proc.rss": 5,' in line(READING)


def test_lines_of_several_machines_name_theirs() -> None:
    assert json.loads(line(READING, many=True))["machine"] == "box"
    gap = json.loads(line(Gap("box", 9, "away for 3 s"), many=True))
    assert gap == {"machine": "box", "gap": "away for 3 s", "t_wall_ns": 9}
