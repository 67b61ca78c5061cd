"""A machine and clocks of the tests' own: collectors fail when a test says so, and time is free."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from phasewatch.attach import collector
from phasewatch.attach.collector import Target
from phasewatch.attach.probe import Gone, Probe
from phasewatch.attach.watch.watched import Watched
from phasewatch.schema import NS

WALL = 1_790_000_000 * NS


@dataclass
class FakeClock:
    """Clocks that move when somebody waits; `step_ns` is added to the wall clock."""

    now_ns: int = 7 * NS
    step_ns: int = 0
    late_ns: Callable[[int], int] = field(default=lambda tick: 0)

    def wall_ns(self) -> int:
        return WALL + self.now_ns + self.step_ns

    def mono_ns(self) -> int:
        return self.now_ns

    def sleep_until(self, mono_ns: int) -> None:
        self.now_ns = max(self.now_ns, mono_ns) + self.late_ns(mono_ns)


class FakeProbe(Probe):
    """A source of running totals; `fail` raises what a test wants."""

    source = "proc"
    channels: ClassVar[Sequence[str]] = ("vcpu_run", "rss")

    def __init__(self, source: str = "proc", channels: Sequence[str] = ("vcpu_run", "rss")) -> None:
        self.source, self.channels = source, channels  # type: ignore[misc]
        self.fail: Exception | None = None
        self.absent: dict[str, str] = {}
        self.values = [0.0] * len(channels)
        self.closed = False

    @property
    def unmeasured(self) -> dict[str, str]:
        return dict(self.absent)

    def read(self) -> list[float]:
        if self.fail:
            raise self.fail
        self.values = [value + 10.0 for value in self.values]
        return [
            float("nan") if name in self.absent else value
            for name, value in zip(self.channels, self.values, strict=True)
        ]

    def close(self) -> None:
        self.closed = True


class FakeCollector(collector.Collector):
    kind, schema_name, needs = "fake", "vm46", "nothing"
    blind = ("the far side of the moon",)

    def __init__(self, target: Target, probes: Sequence[Probe] = ()) -> None:
        self.name = target.name or "box"
        self.followed = target
        self.probes = probes or [FakeProbe()]
        self.absent = {"qmp.vq_net_rx": "nobody counts it"}


@dataclass
class Box:
    """A machine that tests switch off and on again; `said` has all lines, `opened` collectors."""

    name: str = "box"
    running: bool = True
    probes: Callable[[], Sequence[Probe]] = field(default=lambda: [FakeProbe()])
    said: list[str] = field(default_factory=list)
    opened: list[FakeCollector] = field(default_factory=list)

    def watched(self) -> Watched:
        return Watched(Target(kind="fake", name=self.name, network="packets"), self.say, self.open)

    def say(self, line: str) -> None:
        self.said.append(line)

    def open(self, target: Target) -> FakeCollector:
        if not self.running:
            raise Gone("no box")
        self.opened.append(FakeCollector(target, self.probes()))
        return self.opened[-1]

    @property
    def probe(self) -> FakeProbe:
        """The first probe of the machine as it was last opened."""
        found = self.opened[-1].probes[0]
        assert isinstance(found, FakeProbe)
        return found

    def stop(self) -> None:
        self.running = False
        self.probe.fail = Gone("it has ended")
