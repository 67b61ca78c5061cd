"""The source "netflow" of a machine's network interface: packets, or the kernel's counters alone.

Packets need CAP_NET_RAW. Without it, four of the twelve channels come from the interface's
counters, and eight are not measured.
"""

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from phasewatch.attach import packets
from phasewatch.attach.kernel import text
from phasewatch.attach.packets import BIN_NS, CHANNELS, GRACE_NS, Bins
from phasewatch.attach.probe import NOT_MEASURED, Probe, Row

COUNTED = ("pkts_out", "pkts_in", "bytes_out", "bytes_in")
"""The channels that an interface's counters have."""

MOST_BINS = 10
"""Bins that may be due at once; a wall clock further off has stepped, and counting begins anew."""

_CLONE_NEWNET = 0x40000000
_OUTWARD = {"pkts_out": "rx_packets", "pkts_in": "tx_packets"} | {
    "bytes_out": "rx_bytes",
    "bytes_in": "tx_bytes",
}
"""What a tap received came from the guest, so it went out of the machine."""

_INVERTED = {"pkts_out": "tx_packets", "pkts_in": "rx_packets"} | {
    "bytes_out": "tx_bytes",
    "bytes_in": "rx_bytes",
}


@contextlib.contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Enter the network namespace of a process while the block runs, unless it is our own.

    Raises PermissionError without CAP_SYS_ADMIN.
    """
    own, other = Path("/proc/self/ns/net"), Path(f"/proc/{pid}/ns/net")
    if own.stat().st_ino == other.stat().st_ino:
        yield
        return
    back, there = os.open(own, os.O_RDONLY), os.open(other, os.O_RDONLY)
    try:
        _enter(there)
        try:
            yield
        finally:
            _enter(back)
    finally:
        os.close(back)
        os.close(there)


def _enter(handle: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Packets(Probe):
    """The headers of the packets on an interface, counted in bins: `[12]` in CHANNELS order.

    `pid` is a process in whose network namespace the interface is, or 0; `inverted` says that the
    interface belongs to the machine itself, and is not the other end of its port.
    """

    source, channels = "netflow", CHANNELS

    def __init__(self, interface: str, pid: int = 0, inverted: bool = False) -> None:
        """Begin to count. Raises OSError, and PermissionError without CAP_NET_RAW."""
        self.interface, self.lost = interface, 0
        self._inverted = inverted
        with network_of(pid or os.getpid()):
            self._link: socket.socket = packets.listen(interface)
        self._bins = Bins.now()

    def read(self) -> list[float]:
        """Raise NotImplementedError: packets are read in rows, one a bin."""
        raise NotImplementedError

    def rows(self, wall_ns: int, mono_ns: int) -> list[Row]:
        """Return the bins that have closed since the last call. Raises OSError."""
        if not -BIN_NS <= wall_ns - self._bins.begin_ns <= MOST_BINS * BIN_NS:
            # What was not counted is no silence: bins across a step of the clock would be zeros.
            self._bins = self._begun_anew(wall_ns, mono_ns)
        packets.drain(self._link, self._bins, self._inverted)
        self._bins.until(wall_ns - GRACE_NS)
        self.lost += packets.dropped(self._link)
        done: list[Row] = [*self._bins.rows]
        self._bins.rows.clear()
        return done

    def _begun_anew(self, wall_ns: int, mono_ns: int) -> Bins:
        old = self._bins
        packets.drain(self._link, Bins.at(wall_ns, mono_ns), self._inverted)
        return Bins(wall_ns // BIN_NS * BIN_NS, wall_ns - mono_ns, seen=old.seen)

    def close(self) -> None:
        """Close the socket that packets come from."""
        self._link.close()


class Counters(Probe):
    """The kernel's counters of an interface: `[12]` in CHANNELS order, eight of them unknown."""

    source, channels = "netflow", CHANNELS

    def __init__(self, interface: str, reason: str, inverted: bool = False) -> None:
        """Prepare to read; `reason` says why packets are not counted. Raises OSError."""
        self._folder = f"/sys/class/net/{interface}/statistics"
        self._names = _INVERTED if inverted else _OUTWARD
        self._reason = reason
        self._last: dict[str, int] = {}
        self._count()

    @property
    def unmeasured(self) -> dict[str, str]:
        """The channels that need packets."""
        return {name: self._reason for name in CHANNELS if name not in COUNTED}

    def read(self) -> list[float]:
        """Return what was counted since the last call, NaN at the first. Raises OSError."""
        last, self._last = self._last, self._count()
        return [_since(last, self._last, channel) for channel in CHANNELS]

    def _count(self) -> dict[str, int]:
        return {
            channel: int(text(f"{self._folder}/{name}")) for channel, name in self._names.items()
        }


def _since(before: dict[str, int], now: dict[str, int], channel: str) -> float:
    """Return how much a counter has grown; NaN where it is unknown or has started over."""
    if channel not in before or now[channel] < before[channel]:
        return NOT_MEASURED
    return float(now[channel] - before[channel])


def probe(interface: str, pid: int = 0, inverted: bool = False) -> Probe:
    """Return a probe of an interface: packets where that is allowed, or else its counters.

    Raises OSError where neither can be had.
    """
    try:
        return Packets(interface, pid, inverted)
    except PermissionError:
        if pid and Path(f"/proc/{pid}/ns/net").stat().st_ino != _own_network():
            raise
        return Counters(interface, "packets need CAP_NET_RAW", inverted)


def _own_network() -> int:
    return Path("/proc/self/ns/net").stat().st_ino
