"""The four telemetry sources: the host's kernel, QEMU, the guest's agent and the network link.

Counters are recorded raw and cumulative. Every row has the wall clock and the monotonic clock of
its reading in ns; a row of the guest has the guest's monotonic clock, and a wall clock that is
computed from it by a mapping fitted to pings.
"""

import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from phasewatch.episode import Samples
from phasewatch.lab.machine import Machine
from phasewatch.lab.network import BIN_NS, CHANNELS, Traffic
from phasewatch.schema import NS

HZ = 2.0
PROC = (
    "vcpu_run",
    "vcpu_wait",
    "other_run",
    "utime",
    "stime",
    "vcpu_cs_vol",
    "vcpu_cs_invol",
    "other_cs_vol",
    "minflt",
    "rss",
    "write_bytes",
    "threads",
)
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
QMP = (
    "blk_rd_bytes",
    "blk_rd_ops",
    "blk_wr_bytes",
    "blk_wr_ops",
    "blk_flush_ops",
    "vq_net_rx",
    "vq_net_tx",
    "jit_tlb_flushes",
)

_BLOCK = (
    "rd_bytes",
    "rd_operations",
    "wr_bytes",
    "wr_operations",
    "flush_operations",
)
_FLUSHES = re.compile(r"^TLB (?:full|partial|elided) flushes\s+(\d+)", re.MULTILINE)
_SWITCHES = re.compile(r"^(?:non)?voluntary_ctxt_switches:\s+(\d+)", re.MULTILINE)
_VIRTQUEUE = 1 << 16


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


class Probe(ABC):
    """A source of telemetry that is read at each reading; `PROBES` lists the ones of the lab.

    Its readings have a value for each of `channels`.
    """

    source: ClassVar[str]
    channels: ClassVar[Sequence[str]]

    @abstractmethod
    def __init__(self, machine: Machine) -> None:
        """Attach to a booted machine."""

    @abstractmethod
    def read(self) -> list[float]:
        """Return the values now. Raises OSError when there are none."""


class Proc(Probe):
    """The host kernel's accounts of the QEMU process, `[12]` in PROC order.

    What a thread had used when it ended still counts: I/O threads come and go, and a sum over the
    living threads alone would decrease.
    """

    source, channels = "proc", PROC

    def __init__(self, machine: Machine) -> None:
        self._folder = Path(f"/proc/{machine.process.pid}")
        self._living: dict[str, tuple[int, ...]] = {}
        self._gone = [0, 0, 0, 0, 0]
        self._is_vcpu: dict[str, bool] = {}

    def read(self) -> list[float]:
        """Return the accounts now, `[12]`. Raises OSError when the process is gone."""
        threads = dict(self._threads())
        for thread, last in self._living.items():
            if thread not in threads and not self._is_vcpu.get(thread):
                self._gone = [gone + used for gone, used in zip(self._gone, last, strict=True)]
        self._living = threads
        vcpu = self._sum(threads, True)
        other = [a + b for a, b in zip(self._sum(threads, False), self._gone, strict=True)]
        # The name of a process may hold blanks and brackets, so count from the last bracket.
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        minflt, utime, stime, count = (int(fields[place]) for place in (7, 11, 12, 17))
        rss = int((self._folder / "statm").read_text().split()[1])
        accounts = (self._folder / "io").read_text().split()
        written = int(accounts[accounts.index("write_bytes:") + 1])
        times = [vcpu[0], vcpu[1], other[0], utime, stime, vcpu[2], vcpu[3], other[2]]
        return [float(value) for value in (*times, minflt, rss, written, count)]

    def _threads(self) -> list[tuple[str, tuple[int, ...]]]:
        found: list[tuple[str, tuple[int, ...]]] = []
        for folder in (self._folder / "task").iterdir():
            try:
                run, wait, slices = map(int, (folder / "schedstat").read_text().split())
                status = (folder / "status").read_text()
                self._name(folder.name, status)
            except (FileNotFoundError, ProcessLookupError):
                continue
            voluntary, forced = map(int, _SWITCHES.findall(status))
            found.append((folder.name, (run, wait, voluntary, forced, slices)))
        return found

    def _name(self, thread: str, status: str) -> None:
        if thread not in self._is_vcpu:
            name = status.splitlines()[0].partition(":")[2].strip()
            self._is_vcpu[thread] = name.startswith("CPU ") and name.endswith("/TCG")

    def _sum(self, threads: dict[str, tuple[int, ...]], vcpu: bool) -> list[int]:
        rows = [used for thread, used in threads.items() if self._is_vcpu[thread] is vcpu]
        return [sum(column) for column in zip(*rows, strict=True)] if rows else [0] * 5


class Hypervisor(Probe):
    """The counters of QEMU's devices and translator, `[8]` in QMP order."""

    source, channels = "qmp", QMP

    def __init__(self, machine: Machine) -> None:
        self._qmp = machine.qmp
        devices = self._qmp.execute("x-query-virtio")
        self._net = next(entry["path"] for entry in devices if entry["name"] == "virtio-net")
        self._last = [0, 0]
        self._total = [0, 0]

    def read(self) -> list[float]:
        """Return the counters now, `[8]`. Raises OSError when QEMU does not respond."""
        disk = next(entry["stats"] for entry in self._qmp.execute("query-blockstats"))
        queues = [self._queue(number) for number in (0, 1)]
        text = self._qmp.execute("x-query-jit")["human-readable-text"]
        flushes = sum(map(int, _FLUSHES.findall(text)))
        return [float(value) for value in (*(disk[name] for name in _BLOCK), *queues, flushes)]

    def _queue(self, number: int) -> int:
        """Return how many buffers a queue has used; QEMU's index has 16 bits and starts over."""
        status = self._qmp.execute("x-query-virtio-queue-status", path=self._net, queue=number)
        index = int(status["used-idx"])
        self._total[number] += (index - self._last[number]) % _VIRTQUEUE
        self._last[number] = index
        return self._total[number]


PROBES: tuple[type[Probe], ...] = (Proc, Hypervisor)
"""What every recording reads."""


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
