"""A faulty network: a TCP proxy that cuts connections, drops responses and flips bits."""

import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass

FATES = ("cut", "swallow", "flip", "flip answer")
ANSWERS = 600
"""Bytes of answers within which those go wrong that go wrong: some three of them."""


class Faulty:
    """Between a sender and `port`; each connection goes wrong every so many bytes, up to `reach`.

    `cut` resets both sides in the middle of an upload; `swallow` lets the upload through and
    resets before the answer; the flips change one bit of a body. `fates` counts what was done.
    """

    def __init__(self, port: int, seed: int, reach: int) -> None:
        self.port = port
        self.fates: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._reach = reach
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """No more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                fate = self._random.choice(FATES)
                reach = self._reach if fate in ("cut", "flip") else ANSWERS
                fault = Fault(fate, self._random.randrange(reach), self._random.randrange(8))
                threading.Thread(target=self._carry, args=(near, fault), daemon=True).start()

    def _carry(self, near: socket.socket, fault: "Fault") -> None:
        with near, socket.socket() as far:
            try:
                far.connect(("127.0.0.1", self.port))
            except OSError:
                return
            for side in (near, far):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            in_response = fault.fate in ("swallow", "flip answer")
            ways = [
                (near, far, None if in_response else fault),
                (far, near, fault if in_response else None),
            ]
            pumps = [threading.Thread(target=self._pump, args=way) for way in ways]
            for pump in pumps:
                pump.start()
            for pump in pumps:
                pump.join()

    def _pump(self, one: socket.socket, other: socket.socket, fault: "Fault | None") -> None:
        """Everything from one side to the other, until the fault; closing is left to `_carry`."""
        with contextlib.suppress(OSError):
            while data := bytearray(one.recv(1 << 16)):
                at = fault.place(data) if fault else None
                if fault and at is not None:
                    self.fates[fault.fate] += 1
                    if fault.fate in ("cut", "swallow"):
                        other.sendall(data[:at] if fault.fate == "cut" else b"")
                        hang_up(one, other)
                        return
                    data[at] ^= 1 << fault.bit
                other.sendall(data)
            if not other.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
                other.shutdown(socket.SHUT_WR)


def hang_up(*sides: socket.socket) -> None:
    """Let both ends see a reset when they are closed, and whoever reads from them stop."""
    for side in sides:
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        side.shutdown(socket.SHUT_RD)


@dataclass
class Fault:
    """What goes wrong every so many bytes; flips leave heads alone, as they are no body."""

    fate: str
    every: int
    bit: int
    passed: int = 0

    def place(self, data: bytearray) -> int | None:
        """Where in the next bytes it is, if it is there."""
        head = 0
        if self.fate in ("flip", "flip answer") and data.startswith((b"PUT ", b"HTTP")):
            end = data.find(b"\r\n\r\n")
            head = end + 4 if end >= 0 else len(data)
        left = self.every - self.passed
        if left < len(data) - head:
            self.passed = 0
            return head + left
        self.passed += len(data) - head
        return None
