"""Reads several machines at an even rate, and yields what they say in the order of time.

Readings stand at absolute deadlines of the monotonic clock, so that they do not drift. A reading
whose deadline has passed is left out. Where the wall clock steps, every machine has a gap.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from phasewatch.attach.watch.watched import Event, Gap, Say, Watched
from phasewatch.errors import counted
from phasewatch.schema import NS

HZ = 2.0
STEP_NS = NS // 2
"""By how much the wall clock may move against the monotonic one from one reading to the next."""

BUSY_NS = 60 * NS
"""How often it is said at most that readings were left out."""


class Clock(Protocol):
    """The clocks that readings are stamped with, and a way to wait."""

    def wall_ns(self) -> int:
        """Return Unix time in ns."""

    def mono_ns(self) -> int:
        """Return the monotonic clock in ns."""

    def sleep_until(self, mono_ns: int) -> None:
        """Wait until the monotonic clock shows `mono_ns`."""


class SystemClock:
    """The clocks of this machine."""

    def wall_ns(self) -> int:
        """Return Unix time in ns."""
        return time.time_ns()

    def mono_ns(self) -> int:
        """Return the monotonic clock in ns."""
        return time.monotonic_ns()

    def sleep_until(self, mono_ns: int) -> None:
        """Wait until the monotonic clock shows `mono_ns`."""
        time.sleep(max(0, mono_ns - time.monotonic_ns()) / NS)


@dataclass
class _Lateness:
    """Readings that were left out, and when that was last said."""

    say: Say
    left_out: int = 0
    said_ns: int = -BUSY_NS

    def add(self, count: int, mono_ns: int) -> None:
        """Count readings that were left out, and say so now and then."""
        self.left_out += count
        if self.left_out and mono_ns - self.said_ns >= BUSY_NS:
            readings = counted(self.left_out, "reading")
            self.say(f"{readings} left out: this machine is too busy")
            self.left_out, self.said_ns = 0, mono_ns


def stream(
    machines: Sequence[Watched], clock: Clock, say: Say, hz: float = HZ, seconds: float = 0.0
) -> Iterator[Event]:
    """Yield the readings and gaps of some machines, for `seconds` or, where that is 0, for ever.

    It ends when no machine is left that can be measured again.
    """
    period = round(NS / hz)
    start = tick = clock.mono_ns()
    offset = clock.wall_ns() - start
    late = _Lateness(say)
    while not all(machine.over for machine in machines):
        clock.sleep_until(tick)
        mono, wall = clock.mono_ns(), clock.wall_ns()
        step, offset = wall - mono - offset, wall - mono
        if abs(step) > STEP_NS:
            say(f"the clock stepped by {step / NS:+.1f} s; windows begin anew")
            reason = f"the clock stepped by {step / NS:+.1f} s"
            yield from (Gap(machine.name, wall, reason) for machine in machines)
        for machine in machines:
            yield from machine.read(wall, mono)
        if seconds and mono - start >= seconds * NS:
            return
        behind = max(0, (clock.mono_ns() - tick) // period)
        late.add(behind, mono)
        tick += (1 + behind) * period
