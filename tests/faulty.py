"""A line that cuts, resets, swallows answers and flips bits: a TCP proxy on this machine."""

import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from urllib.parse import urlsplit

FATES = ("clean", "cut", "swallow", "flip", "flip answer")


class Faulty:
    """Between a sender and `port`; each connection is clean, or goes wrong at a random byte.

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
                at, bit = self._random.randrange(self._reach), self._random.randrange(8)
                threading.Thread(
                    target=self._carry, args=(near, fate, at, bit), daemon=True
                ).start()

    def _carry(self, near: socket.socket, fate: str, at: int, bit: int) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        except OSError:
            reset(near)
            return
        for side in (near, far):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        up = threading.Thread(target=self._pump, args=(near, far, fate, at, bit), daemon=True)
        up.start()
        back = {"swallow": "swallow", "flip answer": "flip"}.get(fate, "clean")
        self._pump(far, near, back, at % 600, bit)
        up.join(10)
        near.close()
        far.close()

    def _pump(self, one: socket.socket, other: socket.socket, fate: str, at: int, bit: int) -> None:
        """Everything from one side to the other, until the fault at byte `at` of bodies."""
        with contextlib.suppress(OSError):
            while data := bytearray(one.recv(1 << 16)):
                begin = data.find(b"\r\n\r\n") + 4 if fate == "flip" else 0
                if begin == 3:
                    begin = 0 if not data.startswith((b"PUT ", b"HTTP")) else len(data)
                if fate != "clean" and at < len(data) - begin:
                    self.fates[fate] += 1
                    if fate in ("cut", "swallow"):
                        if fate == "cut":
                            other.sendall(data[:at])
                        reset(one)
                        reset(other)
                        return
                    data[begin + at] ^= 1 << bit
                    fate = "clean"
                at -= max(0, len(data) - begin)
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


def reset(side: socket.socket) -> None:
    """Hang up with a reset, so that what was under way is lost."""
    with contextlib.suppress(OSError):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        side.shutdown(socket.SHUT_RD)
    side.close()


def port_of(url: str) -> int:
    """The port of an address."""
    return urlsplit(url).port or 0
