"""The link without privileges: a user-space switch that is the only network of one guest.

QEMU sends and receives Ethernet frames on a Unix datagram socket. A child process replies to ARP
for 10.77.0.1-9 and stands in for the sink of `network` with a minimal TCP: it accepts bytes in
order, never sends beyond the window, and does not retransmit. It opens no connection and ignores
UDP. Nothing leaves the machine, since no network device exists. `link` chooses the tap where the
kernel allows it, and the switch elsewhere.
"""

import contextlib
import functools
import select
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from phasewatch.attach.packets import BIN_NS, Bins, Row
from phasewatch.errors import Refused
from phasewatch.lab.network import HOSTS, PORTS, Child, Tap, Traffic, quiet_child

FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16
SEGMENT = 1400
WINDOW = 65_535
MOST_CONVERSATIONS = 4096
OURS = bytes.fromhex("525400770001")
ADDRESSES = {bytes((10, 77, 0, number)) for number in HOSTS}


class Switch:
    """A link with the methods of `network.Tap`, always captured and never live.

    Raises Refused when its child process does not start.
    """

    kind = "user-space switch"

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="phasewatch-"))
        near, far = self._folder / "switch", self._folder / "guest"
        self.device = (
            f"dgram,id=n0,local.type=unix,local.path={far},remote.type=unix,remote.path={near}"
        )
        work = functools.partial(_serve, near=str(near), far=str(far))
        try:
            self._child = Child(functools.update_wrapper(work, _serve))
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def watch(self) -> None:
        """Do nothing: the switch counts packets from its start."""

    def new_rows(self) -> list[Row]:
        """Return no rows: the switch sends them when it stops."""
        return []

    def finish(self) -> Traffic:
        """Stop the switch and return its traffic. Raises Refused when it has ended early."""
        traffic = self._child.finish()
        if not isinstance(traffic, Traffic):
            raise Refused(
                "lab network: switch",
                "ended before the recording did",
                "a switch that outlives the machine",
                "Run it again.",
                code="lab_network",
            )
        return traffic

    def kill(self) -> None:
        """End the switch; what it counted is lost."""
        self._child.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def link(log: Callable[[str], None], watching: bool = True, live: bool = False) -> Tap | Switch:
    """Return the tap, or the switch where no tap is allowed, about which `log` is given a line.

    `watching` and `live` are those of `Tap`. Raises Refused when neither link can be had.
    """
    try:
        return Tap(watching, live)
    except Refused as refused:
        # A switch carries every packet itself, so its capture cannot begin late.
        if refused.code != "lab_network" or not watching:
            raise
        log(f"no tap ({refused.problem}): the network is a user-space switch")
        return Switch()


@dataclass
class Conversation:
    """One TCP connection of the guest with the sink.

    `expected` is the guest's next sequence number; `sent` and `acked` are counts of the sink's
    sequence numbers, `window` the guest's window in bytes. `left` bytes of a download are still to
    be sent; `head` is the request as far as it has arrived.
    """

    port: int
    expected: int
    sent: int = 1
    acked: int = 1
    window: int = 0
    left: int = 0
    head: bytes = b""
    requested: bool = False
    closing: bool = False

    def take(self, data: bytes) -> bytes:
        """Take the guest's next bytes and return the immediate reply; a GET begins a download."""
        if self.requested:
            return b""
        self.head += data[:64]
        if b"\n" not in self.head and len(self.head) < 64:
            return b""
        self.requested = True
        words = self.head.split(b"\n")[0].split()
        if len(words) == 2 and words[0] == b"GET" and words[1].isdigit():
            self.left, self.closing = min(int(words[1]), 1 << 24), True
        return b"here\n" if words[:1] == [b"HELLO"] else b""

    def segments(self) -> Iterator[bytes]:
        """Yield the segments of the download for which the window has room."""
        while self.left and self.sent - self.acked + SEGMENT <= self.window:
            size = min(SEGMENT, self.left)
            self.left -= size
            yield bytes(size)


class Wire:
    """The switch itself: takes the guest's frames, sends it others, and counts both in `bins`."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.bins = Bins.now()
        self._send = send
        self._conversations: dict[tuple[bytes, int, int], Conversation] = {}

    def frame(self, frame: bytes) -> None:
        """Take one Ethernet frame from the guest; anything but ARP and TCP is only counted."""
        self.bins.add(frame, len(frame), True, time.time_ns())
        if frame[12:14] == b"\x08\x06":
            self._arp(frame)
        elif frame[12:14] == b"\x08\x00" and frame[30:34] in ADDRESSES and frame[23] == 6:
            self._tcp(frame)

    def _out(self, frame: bytes) -> None:
        self.bins.add(frame, len(frame), False, time.time_ns())
        self._send(frame)

    def _arp(self, frame: bytes) -> None:
        target = frame[38:42]
        if frame[20:22] == b"\x00\x01" and target in ADDRESSES:
            reply = frame[14:20] + b"\x00\x02" + OURS + target + frame[22:32]
            self._out(frame[6:12] + OURS + b"\x08\x06" + reply)

    def _tcp(self, frame: bytes) -> None:
        start = 14 + (frame[14] & 15) * 4
        source, port, sequence, acknowledged, offset, flags, window = struct.unpack_from(
            "!HHIIBBH", frame, start
        )
        end = 14 + int.from_bytes(frame[16:18], "big")
        data = frame[start + (offset >> 4) * 4 : end]
        key = (frame[30:34], source, port)
        if flags & RST:
            self._conversations.pop(key, None)
        elif flags & SYN:
            self._open(frame, key, sequence, window)
        elif key not in self._conversations:
            self._send_segment(frame, key, RST, acknowledged, 0)
        else:
            conversation = self._conversations[key]
            conversation.acked, conversation.window = max(conversation.acked, acknowledged), window
            self._receive(frame, key, sequence, data, bool(flags & FIN))

    def _open(self, frame: bytes, key: tuple[bytes, int, int], sequence: int, window: int) -> None:
        if key[2] not in PORTS or len(self._conversations) >= MOST_CONVERSATIONS:
            self._send_segment(frame, key, RST | ACK, 0, sequence + 1)
            return
        self._conversations[key] = Conversation(key[2], sequence + 1, window=window)
        self._send_segment(frame, key, SYN | ACK, 0, sequence + 1)

    def _receive(
        self, frame: bytes, key: tuple[bytes, int, int], sequence: int, data: bytes, fin: bool
    ) -> None:
        """Accept bytes in order; acknowledge anything else with the number that is expected."""
        conversation = self._conversations[key]
        if sequence == conversation.expected & 0xFFFFFFFF:
            conversation.expected += len(data) + int(fin)
            reply = conversation.take(data) if data else b""
            if reply:
                self._send_data(frame, key, conversation, reply, PUSH)
        elif not data and not fin:
            return
        if data or fin:
            self._send_segment(frame, key, ACK, conversation.sent, conversation.expected)
        for segment in conversation.segments():
            self._send_data(frame, key, conversation, segment, PUSH)
        if fin or (conversation.closing and not conversation.left):
            self._send_data(frame, key, conversation, b"", FIN)
            conversation.sent, conversation.closing = conversation.sent + 1, False
        if fin:
            del self._conversations[key]

    def _send_data(
        self,
        frame: bytes,
        key: tuple[bytes, int, int],
        conversation: Conversation,
        data: bytes,
        flag: int,
    ) -> None:
        self._send_segment(frame, key, flag | ACK, conversation.sent, conversation.expected, data)
        conversation.sent += len(data)

    def _send_segment(
        self,
        frame: bytes,
        key: tuple[bytes, int, int],
        flags: int,
        sequence: int,
        acknowledged: int,
        data: bytes = b"",
    ) -> None:
        ours, source, port = key
        theirs = frame[26:30]
        numbers = (sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF, 5 << 4, flags, WINDOW, 0, 0)
        segment = struct.pack("!HHIIBBHHH", port, source, *numbers) + data
        pseudo = ours + theirs + struct.pack("!BBH", 0, 6, len(segment))
        total = checksum(pseudo + segment)
        segment = segment[:16] + total.to_bytes(2, "big") + segment[18:]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, 6, 0)
        total = checksum(head + ours + theirs)
        head = head[:10] + total.to_bytes(2, "big") + ours + theirs
        self._out(frame[6:12] + OURS + b"\x08\x00" + head + segment)


def checksum(data: bytes) -> int:
    """Return the Internet checksum of bytes (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _serve(pipe: Connection, near: str, far: str) -> None:
    """Child process: switch frames until a message stops it, then send the rows."""
    quiet_child()
    near_end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    near_end.bind(near)

    def send(frame: bytes) -> None:
        # QEMU does not listen before it has started, nor after it has ended.
        with contextlib.suppress(OSError):
            near_end.sendto(frame, far)

    wire = Wire(send)
    pipe.send("ready")
    while not pipe.poll():
        ready, _, _ = select.select([near_end.fileno(), pipe.fileno()], [], [], BIN_NS / 1e9)
        if near_end.fileno() in ready:
            wire.frame(near_end.recv(1 << 16))
        wire.bins.until(time.time_ns())
    pipe.send(Traffic(tuple(wire.bins.rows), 0))
