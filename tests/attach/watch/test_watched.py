"""A machine that ends, returns, loses a source or a permission: one line each, and a gap."""

import math

import pytest
from tests.attach.fakes import Box, FakeProbe

from phasewatch.attach.probe import Gone
from phasewatch.attach.watch.watched import REOPEN_READINGS, SILENT_READINGS, Gap, Reading, measured
from phasewatch.errors import Refused
from phasewatch.schema import NS

STEP = NS // 2


def test_readings_carry_full_names_and_both_clocks() -> None:
    box = Box()
    watched = box.watched()
    watched.open(5, 3)
    (reading,) = watched.read(7, 4)
    assert reading == Reading("box", "proc", ("proc.vcpu_run", "proc.rss"), 7, 4, [20.0, 20.0])
    assert box.said == [] and watched.name == "box"


def test_a_machine_that_ends_is_said_once_and_returns_after_a_gap() -> None:
    box = Box()
    watched = box.watched()
    watched.open(0, 0)
    box.stop()
    events = [event for tick in range(1, 21) for event in watched.read(tick * STEP, tick * STEP)]
    assert events == []
    assert box.said == ["box: it has ended; nothing is measured until it returns"]
    assert box.probe.closed
    box.running = True
    events = [event for tick in range(21, 31) for event in watched.read(tick * STEP, tick * STEP)]
    assert isinstance(events[0], Gap) and events[0].reason == "away for 10 s"
    assert all(isinstance(event, Reading) for event in events[1:]) and len(events) > 3
    assert box.said[1:] == ["box: is measured again, after 10 s"]


def test_a_machine_that_cannot_return_is_over() -> None:
    box = Box()
    watched = box.watched()
    watched.open(0, 0)
    box.opened[-1].followed = None
    box.stop()
    watched.read(STEP, STEP)
    box.running = True
    assert watched.over and watched.read(9 * NS, 9 * NS) == []
    assert box.said == ["box: it has ended; it has no name to look for"]


def test_a_machine_is_looked_for_by_what_it_is_followed_by() -> None:
    box = Box()
    watched = box.watched()
    watched.open(0, 0)
    followed = watched.target.model_copy(update={"target": "by-name"})
    box.opened[-1].followed = followed
    box.stop()
    watched.read(STEP, STEP)
    assert watched.target == followed and not watched.over


def test_a_source_that_fails_is_said_after_a_few_readings_and_again_when_it_is_back() -> None:
    box = Box()
    watched = box.watched()
    watched.open(0, 0)
    box.probe.fail = PermissionError(13, "Permission denied", "/proc/9/io")
    for tick in range(1, SILENT_READINGS):
        assert watched.read(tick * STEP, tick * STEP) == []
    assert box.said == []
    for tick in range(SILENT_READINGS, SILENT_READINGS + 5):
        watched.read(tick * STEP, tick * STEP)
    assert box.said == ["box: proc is not measured any more: /proc/9/io: Permission denied"]
    assert watched.missing()["proc.rss"] == "/proc/9/io: Permission denied"
    box.probe.fail = None
    assert len(watched.read(10 * NS, 10 * NS)) == 1
    assert box.said[1:] == ["box: proc is measured again, after 10 s"]
    assert "proc.rss" not in watched.missing()


def test_one_failed_reading_is_no_news() -> None:
    box = Box()
    watched = box.watched()
    watched.open(0, 0)
    for tick in range(1, 40):
        box.probe.fail = OSError("busy") if tick % 2 else None
        watched.read(tick * STEP, tick * STEP)
    assert box.said == []


def test_a_source_that_fails_for_long_is_opened_again() -> None:
    box = Box(probes=lambda: [FakeProbe("netflow", ("pkts_in",)), FakeProbe()])
    watched = box.watched()
    watched.open(0, 0)
    first = box.probe
    first.fail = OSError("the interface is gone")
    events = [
        event
        for tick in range(1, REOPEN_READINGS + 3)
        for event in watched.read(tick * STEP, tick * STEP)
    ]
    gaps = [event for event in events if isinstance(event, Gap)]
    assert [gap.reason for gap in gaps] == ["opened again"] and len(box.opened) == 2
    assert first.closed and not box.probe.closed
    assert box.said[-1].startswith("box: netflow is measured again")


def test_channels_that_come_and_go_are_named_with_the_reason() -> None:
    box = Box()
    watched = box.watched()
    watched.open(0, 0)
    assert watched.missing() == {"qmp.vq_net_rx": "nobody counts it"}
    box.probe.absent = {"rss": "not allowed"}
    (reading,) = watched.read(STEP, STEP)
    assert isinstance(reading, Reading) and math.isnan(reading.values[1])
    assert measured(reading) == {"proc.vcpu_run": 20.0}
    box.probe.absent = {}
    watched.read(2 * STEP, 2 * STEP)
    assert box.said == [
        "box: proc.rss is not measured any more: not allowed",
        "box: proc.rss is measured now",
    ]


def test_a_row_without_a_value_is_no_reading() -> None:
    box = Box()
    watched = box.watched()
    watched.open(0, 0)
    box.probe.absent = {"rss": "no", "vcpu_run": "no"}
    assert watched.read(STEP, STEP) == []


def test_a_machine_that_is_not_there_is_gone_and_a_bad_target_refused() -> None:
    box = Box(running=False)
    with pytest.raises(Gone):
        box.watched().open(0, 0)

    watched = Box().watched()
    watched.opened = lambda target: (_ for _ in ()).throw(Refused("a", "b", "c", "d"))
    with pytest.raises(Refused):
        watched.open(0, 0)
