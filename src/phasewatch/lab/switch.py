"""The link without privileges: a user-space switch that is the whole network of one guest.

QEMU sends and receives Ethernet frames on a Unix datagram socket. A child process answers ARP for
10.77.0.1-9 and stands in for the sink of `network` with a minimal TCP: it takes bytes in order,
never sends beyond the window, and does not retransmit. It opens no connection and answers no UDP.
Nothing leaves the machine, since no network device exists. `link` chooses: the tap where the kernel
allows it, else this.
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

from phasewatch.errors import Refused
from phasewatch.lab.network import (
    BIN_NS,
    HOSTS,
    PORTS,
    Bins,
    Child,
    Row,
    Tap,
    Traffic,
    quiet_child,
)

FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16
SEGMENT = 1400
WINDOW = 65_535
MOST_CONVERSATIONS = 4096
OURS = bytes.fromhex("525400770001")
# UDP, the discard port too, is taken and forgotten.
ADDRESSES = {bytes((10, 77, 0, number)) for number in HOSTS}


class Switch:
    """The same surface as `network.Tap`."""

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
        """It always does."""

    def told(self) -> list[Row]:
        """Nothing: it tells what passed when it stops."""
        return []

    def finish(self) -> Traffic:
        """Stop, and give what passed; raises Refused when the switch is gone."""
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


def link(say: Callable[[str], None], watching: bool = True, telling: bool = False) -> Tap | Switch:
    """The best link this process may have; says so when it is not the tap."""
    try:
        return Tap(watching, telling)
    except Refused as refused:
        # A switch carries every packet itself: it cannot start to look later.
        if refused.code != "lab_network" or not watching:
            raise
        say(f"no tap ({refused.problem}): the network is a user-space switch")
        return Switch()


@dataclass
class Conversation:
    """One TCP connection of the guest with the sink."""

    port: int
    expected: int
    sent: int = 1
    acked: int = 1
    window: int = 0
    left: int = 0
    head: bytes = b""
    asked: bool = False
    closing: bool = False

    def take(self, data: bytes) -> bytes:
        """The guest's next bytes; gives what is said at once, and notes what is to be sent."""
        if self.asked:
            return b""
        self.head += data[:64]
        if b"\n" not in self.head and len(self.head) < 64:
            return b""
        self.asked = True
        words = self.head.split(b"\n")[0].split()
        if len(words) == 2 and words[0] == b"GET" and words[1].isdigit():
            self.left, self.closing = min(int(words[1]), 1 << 24), True
        return b"here\n" if words[:1] == [b"HELLO"] else b""

    def segments(self) -> Iterator[bytes]:
        """What the window still has room for."""
        while self.left and self.sent - self.acked + SEGMENT <= self.window:
            size = min(SEGMENT, self.left)
            self.left -= size
            yield bytes(size)


class Wire:
    """Frames in, frames out, counted on the way."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.bins = Bins.now()
        self._send = send
        self._talks: dict[tuple[bytes, int, int], Conversation] = {}

    def frame(self, frame: bytes) -> None:
        """One frame from the guest."""
        self.bins.add(frame, len(frame), True, time.time_ns())
        if frame[12:14] == b"\x08\x06":
            self._arp(frame)
        elif frame[12:14] == b"\x08\x00" and frame[30:34] in ADDRESSES and frame[23] == 6:
            self._tcp(frame)

    def _out(self, frame: bytes) -> None:
        self.bins.add(frame, len(frame), False, time.time_ns())
        self._send(frame)

    def _arp(self, frame: bytes) -> None:
        asked = frame[38:42]
        if frame[20:22] == b"\x00\x01" and asked in ADDRESSES:
            answer = frame[14:20] + b"\x00\x02" + OURS + asked + frame[22:32]
            self._out(frame[6:12] + OURS + b"\x08\x06" + answer)

    def _tcp(self, frame: bytes) -> None:
        start = 14 + (frame[14] & 15) * 4
        source, port, sequence, acknowledged, offset, flags, window = struct.unpack_from(
            "!HHIIBBH", frame, start
        )
        end = 14 + int.from_bytes(frame[16:18], "big")
        data = frame[start + (offset >> 4) * 4 : end]
        key = (frame[30:34], source, port)
        if flags & RST:
            self._talks.pop(key, None)
        elif flags & SYN:
            self._open(frame, key, sequence, window)
        elif key not in self._talks:
            self._say(frame, key, RST, acknowledged, 0)
        else:
            talk = self._talks[key]
            talk.acked, talk.window = max(talk.acked, acknowledged), window
            self._hear(frame, key, sequence, data, bool(flags & FIN))

    def _open(self, frame: bytes, key: tuple[bytes, int, int], sequence: int, window: int) -> None:
        if key[2] not in PORTS or len(self._talks) >= MOST_CONVERSATIONS:
            self._say(frame, key, RST | ACK, 0, sequence + 1)
            return
        self._talks[key] = Conversation(key[2], sequence + 1, window=window)
        self._say(frame, key, SYN | ACK, 0, sequence + 1)

    def _hear(
        self, frame: bytes, key: tuple[bytes, int, int], sequence: int, data: bytes, fin: bool
    ) -> None:
        """Bytes in order are taken; anything else is answered by what is expected."""
        talk = self._talks[key]
        if sequence == talk.expected & 0xFFFFFFFF:
            talk.expected += len(data) + int(fin)
            said = talk.take(data) if data else b""
            if said:
                self._speak(frame, key, talk, said, PUSH)
        elif not data and not fin:
            return
        if data or fin:
            self._say(frame, key, ACK, talk.sent, talk.expected)
        for segment in talk.segments():
            self._speak(frame, key, talk, segment, PUSH)
        if fin or (talk.closing and not talk.left):
            self._speak(frame, key, talk, b"", FIN)
            talk.sent, talk.closing = talk.sent + 1, False
        if fin:
            del self._talks[key]

    def _speak(
        self, frame: bytes, key: tuple[bytes, int, int], talk: Conversation, data: bytes, flag: int
    ) -> None:
        self._say(frame, key, flag | ACK, talk.sent, talk.expected, data)
        talk.sent += len(data)

    def _say(
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
        whole = checksum(head + ours + theirs)
        head = head[:10] + whole.to_bytes(2, "big") + ours + theirs
        self._out(frame[6:12] + OURS + b"\x08\x00" + head + segment)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _serve(pipe: Connection, near: str, far: str) -> None:
    """Child process: switch until told to stop, then hand over the rows."""
    quiet_child()
    near_end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    near_end.bind(near)

    def send(frame: bytes) -> None:
        # Until QEMU listens, and after it ended, there is nobody to send to.
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
