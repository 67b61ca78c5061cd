"""One machine under watch: its readings, and what is said when they fail and when they return.

A machine that ends is looked for until it returns. What was not measured is a `Gap`, after which
windows begin anew; it is never filled.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from phasewatch.attach import collector
from phasewatch.attach.collector import Collector, Target
from phasewatch.attach.probe import Gone, Probe
from phasewatch.errors import Refused
from phasewatch.schema import NS

RETRY_NS = 2 * NS
"""How often a machine that is away is looked for."""

SILENT_READINGS = 3
"""Failures in a row after which a source is said to be missing; fewer are no news."""

REOPEN_READINGS = 20
"""Failures in a row after which the machine is opened again: its interface may be another."""


@dataclass(frozen=True)
class Reading:
    """A row of one source of a machine: channels by full name, NaN for one not measured."""

    machine: str
    source: str
    names: tuple[str, ...]
    t_wall_ns: int
    t_mono_ns: int
    values: Sequence[float]


@dataclass(frozen=True)
class Gap:
    """Something was not measured before `t_wall_ns`: windows may not reach back across it."""

    machine: str
    t_wall_ns: int
    reason: str


Event = Reading | Gap
Say = Callable[[str], None]


def _opened(target: Target) -> Collector:
    """Return the collector of a target, opened. Raises Gone, and Refused."""
    return collector.checked(target)(target)


@dataclass
class _Failures:
    """How often a probe has failed in a row, since when, why, and whether that was said."""

    count: int = 0
    since_ns: int = 0
    reason: str = ""
    said: bool = False


@dataclass
class Watched:
    """A machine under watch. `say` is given one line for everything that a person should know.

    `over` is true when the machine has ended and cannot return.
    """

    target: Target
    say: Say
    opened: Callable[[Target], Collector] = _opened
    over: bool = False
    _collector: Collector | None = None
    _name: str = ""
    _away_ns: int = 0
    _retry_ns: int = 0
    _failures: dict[str, _Failures] = field(default_factory=dict)
    _unmeasured: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """The machine's name, or what it is looked for by while it was never there."""
        return self._name or self.target.name or self.target.target or self.target.kind

    def open(self, wall_ns: int, mono_ns: int) -> Collector:
        """Find the machine and read it once, so that the next reading has rates.

        Raises Gone where it is not there, and Refused for a bad target.
        """
        found = self._collector = self.opened(self.target)
        self._name = found.name
        self.read(wall_ns, mono_ns)
        return found

    def missing(self) -> dict[str, str]:
        """Return the channels that are not measured now, by full name, each with the reason."""
        if self._collector is None:
            return {}
        found = dict(self._unmeasured or {})
        for probe in self._collector.probes:
            if probe.source in self._failures:
                reason = self._failures[probe.source].reason
                found |= {f"{probe.source}.{name}": reason for name in probe.channels}
        return found

    def read(self, wall_ns: int, mono_ns: int) -> list[Event]:
        """Return what the sources of the machine have now; nothing while it is away."""
        if self._collector is None:
            return self._look(wall_ns, mono_ns)
        found: list[Event] = []
        try:
            for probe in self._collector.probes:
                found += self._read(probe, wall_ns, mono_ns)
            found += [Gap(self._name, until_ns, why) for until_ns, why in self._collector.gaps()]
            # Readings of a machine elsewhere come many at once, and a gap stands before the rest.
            found.sort(key=lambda event: (event.t_wall_ns, isinstance(event, Reading)))
        except Gone as gone:
            self._leave(str(gone), mono_ns)
            return found
        self._say_channels(self._collector)
        if any(one.count >= REOPEN_READINGS for one in self._failures.values()):
            found += self._again(wall_ns)
        return found

    def close(self) -> None:
        """Let go of the machine."""
        if self._collector is not None:
            self._collector.close()
            self._collector = None

    def _read(self, probe: Probe, wall_ns: int, mono_ns: int) -> list[Event]:
        """Return the rows of one probe that have a value; a failure is counted. Raises Gone."""
        try:
            rows = probe.rows(wall_ns, mono_ns)
        except Gone:
            raise
        except (OSError, ValueError, KeyError, IndexError) as error:
            self._failed(probe.source, _reason(error), mono_ns)
            return []
        if rows:
            self._worked(probe.source, mono_ns)
        names = tuple(f"{probe.source}.{channel}" for channel in probe.channels)
        known = [row for row in rows if any(map(math.isfinite, row[2]))]
        return [Reading(self._name, probe.source, names, *row) for row in known]

    def _failed(self, source: str, reason: str, mono_ns: int) -> None:
        state = self._failures.setdefault(source, _Failures(since_ns=mono_ns))
        state.count, state.reason = state.count + 1, reason
        if state.count == SILENT_READINGS and not state.said:
            state.said = True
            self.say(f"{self.name}: {source} is not measured any more: {reason}")

    def _worked(self, source: str, mono_ns: int) -> None:
        state = self._failures.pop(source, None)
        if state is not None and state.said:
            seconds = (mono_ns - state.since_ns) / NS
            self.say(f"{self.name}: {source} is measured again, after {seconds:.0f} s")

    def _say_channels(self, opened: Collector) -> None:
        """Say which channels have ceased to be measured, and which are measured again."""
        now, before = opened.unmeasured(), self._unmeasured
        self._unmeasured = now
        if before is None:
            return
        for name in sorted(now.keys() - before.keys()):
            self.say(f"{self.name}: {name} is not measured any more: {now[name]}")
        for name in sorted(before.keys() - now.keys()):
            self.say(f"{self.name}: {name} is measured now")

    def _leave(self, reason: str, mono_ns: int) -> None:
        """Close a machine that has ended, and begin to look for it."""
        followed = self._collector.followed if self._collector else None
        self.over = followed is None
        self.target = followed or self.target
        then = "it has no name to look for" if self.over else "nothing is measured until it returns"
        self.say(f"{self.name}: {reason}; {then}")
        self.close()
        self._away_ns, self._retry_ns = mono_ns, mono_ns + RETRY_NS
        self._failures.clear()

    def _look(self, wall_ns: int, mono_ns: int) -> list[Event]:
        """Look for a machine that is away, every now and then; its return ends a gap."""
        if self.over or mono_ns < self._retry_ns:
            return []
        self._retry_ns = mono_ns + RETRY_NS
        try:
            self._collector = self.opened(self.target)
        except (OSError, Refused):
            return []
        self._name = self._name or self._collector.name
        seconds = (mono_ns - self._away_ns) / NS
        self.say(f"{self.name}: is measured again, after {seconds:.0f} s")
        return [Gap(self._name, wall_ns, f"away for {seconds:.0f} s")]

    def _again(self, wall_ns: int) -> list[Event]:
        """Open the machine again, since a source of it has failed for long."""
        for state in self._failures.values():
            state.count = SILENT_READINGS
        try:
            opened = self.opened(self.target)
        except (OSError, Refused):
            return []
        self.close()
        self._collector = opened
        return [Gap(self._name, wall_ns, "opened again")]


def _reason(error: Exception) -> str:
    """Return an error as the end of a line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def measured(reading: Reading) -> dict[str, float]:
    """Return the values that were measured, by channel."""
    pairs = zip(reading.names, reading.values, strict=True)
    return {name: value for name, value in pairs if math.isfinite(value)}
