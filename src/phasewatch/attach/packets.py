"""Packets on one network interface, counted into bins of half a second.

The kernel hands over the first `SNAP` bytes of a packet at most, which hold its headers; they are
counted at once, and nothing of a packet is kept. A bin without packets is a row of zeros; an
interface that was not captured has no rows at all.
"""

import contextlib
import ctypes
import socket
import struct
import time
from dataclasses import dataclass, field

BIN_NS = 500_000_000
SNAP = 128
GRACE_NS = 60_000_000
"""How long a bin stays open after its end for packets whose time stamp lies in it."""

MOST_FLOWS = 1 << 16
"""Flows that are remembered, about 20 MB; one that was forgotten counts as new when it returns."""

CHANNELS = (
    "pkts_out",
    "pkts_in",
    "bytes_out",
    "bytes_in",
    "syn_out",
    "synack_in",
    "rst_in",
    "fin_out",
    "flows_new",
    "flows_active",
    "uniq_dst",
    "uniq_dport",
)

_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_AUXDATA = 8
_PACKET_OUTGOING = 4
_ETH_P_ALL = 3
_RETURN_CONSTANT = 6
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_TCP, _UDP = 6, 17
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"

Row = tuple[int, int, tuple[float, ...]]
"""A bin's end on the wall and the monotonic clock in ns, and its counts in CHANNELS order."""

Flow = tuple[int, bytes, int, int]
"""Protocol, address of the other end, port of this end, port of the other end."""


@dataclass
class Bins:
    """Packets counted into bins of half a second that begin at the wall clock's half seconds.

    `begin_ns` is where the open bin begins, `mono_offset_ns` the wall clock minus the monotonic
    clock, `rows` the closed bins. The other fields hold what the open bin has counted; `seen` holds
    the last `MOST_FLOWS` flows of all bins.
    """

    begin_ns: int
    mono_offset_ns: int
    rows: list[Row] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    seen: dict[Flow, None] = field(default_factory=dict)
    active: set[Flow] = field(default_factory=set)
    targets: set[bytes] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)

    @classmethod
    def now(cls) -> "Bins":
        """Return bins from the present half second on, whose earlier packets are not counted."""
        return cls.at(time.time_ns(), time.monotonic_ns())

    @classmethod
    def at(cls, wall_ns: int, mono_ns: int) -> "Bins":
        """Return bins from the half second on in which `wall_ns` lies."""
        return cls(wall_ns // BIN_NS * BIN_NS, wall_ns - mono_ns)

    def until(self, t_ns: int) -> None:
        """Close every bin that ends at or before `t_ns`."""
        while self.begin_ns + BIN_NS <= t_ns:
            self._close()

    def add(self, frame: memoryview | bytes, length: int, outward: bool, t_ns: int) -> None:
        """Count one frame of `length` bytes, of which `frame` is at least the head."""
        self.until(t_ns)
        way = "out" if outward else "in"
        self._up(f"pkts_{way}")
        self._up(f"bytes_{way}", length)
        kind = bytes(frame[12:14])
        if kind == _IPV4 and len(frame) >= 34:
            at, protocol = 14 + (frame[14] & 15) * 4, frame[23]
            self._packet(frame, at, protocol, (frame[26:30], frame[30:34]), outward)
        elif kind == _IPV6 and len(frame) >= 54:
            self._packet(frame, 54, frame[20], (frame[22:38], frame[38:54]), outward)

    def _packet(
        self,
        frame: memoryview | bytes,
        at: int,
        protocol: int,
        ends: tuple[memoryview | bytes, memoryview | bytes],
        outward: bool,
    ) -> None:
        """Count an IP packet from and to `ends`, whose transport header begins at `at`."""
        source, target = bytes(ends[0]), bytes(ends[1])
        if outward:
            self.targets.add(target)
        if protocol in (_TCP, _UDP) and len(frame) >= at + 14:
            self._transport(protocol, bytes(frame[at : at + 14]), (source, target), outward)

    def _transport(
        self, protocol: int, head: bytes, ends: tuple[bytes, bytes], outward: bool
    ) -> None:
        source, target = struct.unpack_from("!HH", head)
        if outward:
            self.ports.add(target)
        near, far = (source, target) if outward else (target, source)
        flow = (protocol, ends[1] if outward else ends[0], near, far)
        self.active.add(flow)
        if flow not in self.seen:
            self._remember(flow)
            self._up("flows_new")
        if protocol == _TCP:
            self._tcp(head[13], outward)

    def _remember(self, flow: Flow) -> None:
        self.seen[flow] = None
        if len(self.seen) > MOST_FLOWS:
            del self.seen[next(iter(self.seen))]

    def _tcp(self, flags: int, outward: bool) -> None:
        if outward and flags & _SYN and not flags & _ACK:
            self._up("syn_out")
        if outward and flags & _FIN:
            self._up("fin_out")
        if not outward and flags & _SYN and flags & _ACK:
            self._up("synack_in")
        if not outward and flags & _RST:
            self._up("rst_in")

    def _up(self, channel: str, by: int = 1) -> None:
        self.counts[channel] = self.counts.get(channel, 0) + by

    def _close(self) -> None:
        self.counts["flows_active"] = len(self.active)
        self.counts["uniq_dst"] = len(self.targets)
        self.counts["uniq_dport"] = len(self.ports)
        self.begin_ns += BIN_NS
        values = tuple(float(self.counts.get(channel, 0)) for channel in CHANNELS)
        self.rows.append((self.begin_ns, self.begin_ns - self.mono_offset_ns, values))
        for collected in (self.counts, self.active, self.targets, self.ports):
            collected.clear()


def listen(interface: str) -> socket.socket:
    """Return a socket that receives the first `SNAP` bytes of each packet of an interface.

    Raises OSError where there is no such interface, and PermissionError without CAP_NET_RAW.
    """
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        cut = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN_CONSTANT, 0, 0, SNAP))
        program = struct.pack("HP", 1, ctypes.addressof(cut))
        link.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        link.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        link.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        with contextlib.suppress(PermissionError):
            link.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
        link.bind((interface, _ETH_P_ALL))
        link.setblocking(False)
    except BaseException:
        link.close()
        raise
    return link


def drain(link: socket.socket, bins: Bins, inverted: bool = False) -> None:
    """Count the packets that have arrived on a socket of `listen`.

    What the host receives from the interface is outward: a tap's or a veth's other end sent it.
    With `inverted` it is inward, as on an interface of the machine itself. Raises OSError when the
    interface is gone.
    """
    frame = bytearray(SNAP)
    view = memoryview(frame)
    with contextlib.suppress(BlockingIOError):
        while True:
            size, ancillary, _, address = link.recvmsg_into([frame], 256, socket.MSG_TRUNC)
            length, t_ns = _length_and_time(ancillary, size)
            outward = (address[2] != _PACKET_OUTGOING) is not inverted
            bins.add(view[: min(size, SNAP)], length, outward, t_ns)


def _length_and_time(ancillary: list[tuple[int, int, bytes]], size: int) -> tuple[int, int]:
    """Return the length of a packet before it was cut, and the kernel's time stamp in ns."""
    length, t_ns = size, 0
    for _, kind, data in ancillary:
        if kind == _SO_TIMESTAMPNS and len(data) == 16:
            seconds, rest = struct.unpack("qq", data)
            t_ns = seconds * 1_000_000_000 + rest
        elif kind == _PACKET_AUXDATA and len(data) >= 8:
            length = struct.unpack_from("II", data)[1]
    return length, t_ns or time.time_ns()


def dropped(link: socket.socket) -> int:
    """Return how many packets the kernel could not hand over since the last call."""
    statistics = link.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
    return int(struct.unpack("II", statistics)[1])
