"""Readings at even times, through clock steps, delays and ends, in constant memory."""

import tracemalloc
from itertools import islice

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attach.fakes import Box, FakeClock

from phasewatch.attach.watch.stream import SystemClock, stream
from phasewatch.attach.watch.watched import Gap, Reading
from phasewatch.schema import NS


def times(box: Box, clock: FakeClock, seconds: float) -> list[int]:
    watched = box.watched()
    watched.open(clock.wall_ns(), clock.mono_ns())
    events = stream([watched], clock, box.say, seconds=seconds)
    return [event.t_mono_ns for event in events if isinstance(event, Reading)]


def test_readings_stand_at_half_seconds() -> None:
    found = times(Box(), FakeClock(), 10.0)
    assert len(found) == 21 and set(np.diff(found)) == {NS // 2}


@given(st.lists(st.integers(0, 3 * NS), min_size=40, max_size=40))
def test_delays_leave_readings_out_and_never_shift_the_others(delays: list[int]) -> None:
    remaining = iter(delays)
    box = Box()
    clock = FakeClock(late_ns=lambda tick: next(remaining, 0))
    start = clock.now_ns
    watched = box.watched()
    watched.open(clock.wall_ns(), clock.mono_ns())
    late = []
    for event in stream([watched], clock, box.say, seconds=300.0):
        assert isinstance(event, Reading)
        late.append(event.t_mono_ns - start)
    assert late[len(delays) :] and all(t % (NS // 2) == 0 for t in late[len(delays) :])
    assert sorted(late) == late
    assert len([line for line in box.said if "left out" in line]) <= 3


@given(st.integers(-(10**6), 10**6).filter(lambda seconds: abs(seconds) > 0))
def test_a_clock_that_steps_is_said_and_leaves_a_gap(seconds: int) -> None:
    box, clock = Box(), FakeClock()
    watched = box.watched()
    watched.open(clock.wall_ns(), clock.mono_ns())
    events = stream([watched], clock, box.say)
    before = list(islice(events, 4))
    clock.step_ns = seconds * NS
    gap, after = islice(events, 2)
    assert all(isinstance(event, Reading) for event in before)
    assert isinstance(gap, Gap) and gap.reason == f"the clock stepped by {seconds:+.1f} s"
    assert after.t_wall_ns == clock.wall_ns()
    assert box.said == [f"the clock stepped by {seconds:+.1f} s; windows begin anew"]
    assert all(isinstance(event, Reading) for event in islice(events, 6))


def test_a_clock_that_is_slewed_is_no_step() -> None:
    box, clock = Box(), FakeClock()
    watched = box.watched()
    watched.open(clock.wall_ns(), clock.mono_ns())
    for event in islice(stream([watched], clock, box.say), 200):
        clock.step_ns += NS // 100
        assert isinstance(event, Reading)
    assert box.said == []


def test_the_stream_ends_when_no_machine_can_return() -> None:
    box, clock = Box(), FakeClock()
    watched = box.watched()
    watched.open(clock.wall_ns(), clock.mono_ns())
    events = stream([watched], clock, box.say)
    next(events)
    box.opened[-1].followed = None
    box.stop()
    assert list(events) == []


def test_a_machine_that_is_away_does_not_stop_the_others() -> None:
    boxes, clock = [Box("one"), Box("two")], FakeClock()
    watched = [box.watched() for box in boxes]
    for one in watched:
        one.open(clock.wall_ns(), clock.mono_ns())
    events = stream(watched, clock, boxes[0].say)
    boxes[0].stop()
    assert {event.machine for event in islice(events, 20)} == {"two"}
    boxes[0].running = True
    assert {event.machine for event in islice(events, 20)} == {"one", "two"}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 3)), max_size=12))
def test_whatever_fails_rates_never_cross_a_gap(failures: list[tuple[int, int]]) -> None:
    """Between two gaps the totals only grow, and a machine that returned begins with a gap."""
    box, clock = Box(), FakeClock()
    watched = box.watched()
    watched.open(clock.wall_ns(), clock.mono_ns())
    events = stream([watched], clock, box.say, seconds=600.0)
    last, plan = 0.0, dict(failures)
    for count, event in enumerate(events):
        if isinstance(event, Gap):
            last = 0.0
            continue
        assert event.values[0] > last
        last = event.values[0]
        fault = plan.get(count)
        box.probe.fail = OSError("busy") if fault == 1 else None
        clock.step_ns += 5 * NS if fault == 2 else 0
        if fault == 3:
            box.stop()
            box.running = True


def test_a_watch_of_hours_takes_no_more_memory_than_its_first() -> None:
    """Six hours of simulated time with failures every few minutes: what is held does not grow."""
    box, clock = Box(), FakeClock()
    watched = box.watched()
    watched.open(clock.wall_ns(), clock.mono_ns())
    tracemalloc.start()
    held = []
    for count, _ in enumerate(stream([watched], clock, lambda line: None, seconds=6 * 3600.0)):
        if count % 600 == 0:
            box.stop()
            box.running = True
        box.said.clear()
        del box.opened[:-1]
        if count % 7200 == 5000:
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert len(held) >= 5 and held[-1] < held[0] + 5_000


def test_the_clocks_of_this_machine_move_on() -> None:
    clock = SystemClock()
    before = clock.mono_ns()
    clock.sleep_until(before + 1_000_000)
    assert clock.mono_ns() > before and clock.wall_ns() > 10**18
