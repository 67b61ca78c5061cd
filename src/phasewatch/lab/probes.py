"""The four telemetry sources: the host's kernel, QEMU, the guest's agent and the network link.

Counters are recorded raw and cumulative. Every row has the wall clock and the monotonic clock of
its reading in ns; a row of the guest has the guest's monotonic clock, and a wall clock that is
computed from it by a mapping fitted to pings.
"""

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from phasewatch.attach.packets import BIN_NS, CHANNELS
from phasewatch.attach.process import ProcessAccounts
from phasewatch.attach.qmp import Hypervisor
from phasewatch.episode import Samples
from phasewatch.lab.machine import Machine
from phasewatch.lab.network import Traffic
from phasewatch.schema import NS

HZ = 2.0
GUEST = (
    "cpu_user",
    "cpu_sys",
    "cpu_iowait",
    "intr",
    "ctxt",
    "forks",
    "mem_free",
    "cached",
    "dirty",
    "rd_sectors",
    "wr_sectors",
    "tx_pkts",
    "tcp_active",
    "tcp_inuse",
)


@dataclass
class Rows:
    """The rows of one source as they come in."""

    source: str
    channels: Sequence[str]
    t_wall_ns: list[int] = field(default_factory=list)
    t_mono_ns: list[int] = field(default_factory=list)
    values: list[Sequence[float]] = field(default_factory=list)
    dropped: int = 0

    def add(self, t_wall_ns: int, t_mono_ns: int, values: Sequence[float]) -> None:
        """Append a row: wall clock and monotonic clock in ns, and a value for each channel."""
        self.t_wall_ns.append(t_wall_ns)
        self.t_mono_ns.append(t_mono_ns)
        self.values.append(values)

    def take(self, read: Callable[[], Sequence[float]]) -> None:
        """Append a reading of a probe; one that fails is counted as dropped and adds no row."""
        wall, mono = time.time_ns(), time.monotonic_ns()
        try:
            values = read()
        except (OSError, ValueError, KeyError, IndexError):
            self.dropped += 1
            return
        self.add(wall, mono, values)

    def samples(self, begin_ns: int, end_ns: int) -> Samples:
        """Return the rows from `begin_ns` to `end_ns` on the wall clock, both inclusive."""
        wall = np.array(self.t_wall_ns, np.int64)
        keep = (wall >= begin_ns) & (wall <= end_ns)
        values = np.array(self.values, np.float64).reshape(len(wall), len(self.channels))
        names = tuple(f"{self.source}.{channel}" for channel in self.channels)
        mono = np.array(self.t_mono_ns, np.int64)
        return Samples(names, wall[keep], mono[keep], values[keep], HZ)


class Proc(ProcessAccounts):
    """The host kernel's accounts of a machine that the lab has booted."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.process.pid)


class Devices(Hypervisor):
    """The counters of QEMU's devices and translator, over the connection that booted it."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(lambda: contextlib.nullcontext(machine.qmp))


PROBES: tuple[type[Proc] | type[Devices], ...] = (Proc, Devices)
"""What every recording reads of the machine it has booted."""


@dataclass
class Clock:
    """The guest's monotonic clock against the host's wall clock, measured by pings."""

    pings: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, sent_ns: int, received_ns: int, guest_ns: int) -> None:
        """Add a ping: the wall clock when it was sent and when the reply came, and the guest's."""
        self.pings.append((sent_ns, received_ns, guest_ns))

    def fit(self) -> "Mapping":
        """Fit a straight line to the quickest quarter of the pings, at least eight of them."""
        rows = np.array(self.pings, np.int64)
        order = np.argsort(rows[:, 1] - rows[:, 0])
        best = rows[order[: max(8, len(rows) // 4)]]
        middle = best[:, 0] + (best[:, 1] - best[:, 0]) // 2
        origin = int(best[:, 2].min())
        base = int((middle - best[:, 2]).min())
        x = (best[:, 2] - origin).astype(np.float64)
        y = (middle - best[:, 2] - base).astype(np.float64)
        span = float(x.max() - x.min())
        drift, offset = np.polyfit(x, y, 1) if span > 20 * NS else (0.0, float(np.median(y)))
        residual = float(np.percentile(np.abs(y - offset - drift * x), 95))
        fitted = Mapping(origin, base, float(offset), float(drift), residual)
        return replace(fitted, misfit_ns=self._misfit(fitted))

    def _misfit(self, mapping: "Mapping") -> float:
        """Return by how many ns the worst ping violates the mapping.

        The guest reads its clock at some time between the sending and the reply (Cristian 1989), so
        the mapped reading must lie between the two, however slow the ping was.
        """
        return max(
            float(max(sent - mapping.wall(guest), mapping.wall(guest) - received, 0))
            for sent, received, guest in self.pings
        )


@dataclass(frozen=True)
class Mapping:
    """The line wall = guest + base + offset + drift * (guest - origin), in ns.

    `residual_ns` is the 95th percentile of the distances between the line and the pings it is
    fitted to; `misfit_ns` is by how much the worst of all pings violates it, 0 for none.
    """

    origin_ns: int
    base_ns: int
    offset_ns: float
    drift: float
    residual_ns: float
    misfit_ns: float = 0.0

    def wall(self, guest_ns: int) -> int:
        """Return the wall clock at a reading of the guest's clock, both in ns."""
        return (
            guest_ns
            + self.base_ns
            + round(self.offset_ns + self.drift * (guest_ns - self.origin_ns))
        )


@dataclass
class Agent:
    """The agent's lines; they stay on the guest's clock until the mapping is known."""

    lines: list[dict[str, int]] = field(default_factory=list)
    damaged: int = 0

    def add(self, line: str) -> None:
        """Add a line of JSON; a damaged one is counted instead."""
        try:
            row = json.loads(line)
            self.lines.append({name: int(row[name]) for name in ("seq", "mono_ns", *GUEST)})
        except (ValueError, KeyError, TypeError, RecursionError):
            self.damaged += 1

    def rows(self, mapping: Mapping) -> Rows:
        """Return the rows of the source "guest"; gaps in the sequence numbers count as dropped."""
        rows = Rows("guest", GUEST)
        for line in self.lines:
            values = [float(line[name]) for name in GUEST]
            rows.add(mapping.wall(line["mono_ns"]), line["mono_ns"], values)
        if self.lines:
            span = self.lines[-1]["seq"] - self.lines[0]["seq"] + 1
            rows.dropped = span - len(self.lines)
        return rows


def netflow(traffic: Traffic) -> Rows:
    """Return the rows of the source "netflow": one a bin of half a second, timed at its end."""
    assert BIN_NS * HZ == NS
    rows = Rows("netflow", CHANNELS, dropped=traffic.dropped)
    for t_wall_ns, t_mono_ns, values in traffic.rows:
        rows.add(t_wall_ns, t_mono_ns, values)
    return rows
