"""QEMU's machine protocol (QMP): a client, and what it reports of disks, queues and translator."""

import json
import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

from phasewatch.attach.probe import NOT_MEASURED, Probe

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
UNSTABLE = ("vq_net_rx", "vq_net_tx", "jit_tlb_flushes")
"""The channels that only QEMU's unstable commands (`x-query-…`, QEMU 7.2 or later) report."""

BLOCK = (
    "rd_bytes",
    "rd_operations",
    "wr_bytes",
    "wr_operations",
    "flush_operations",
)
ANSWER_S = 10.0
PATIENCE_S = 0.25
"""How long a reading waits for a monitor that another program may be using."""

_FLUSHES = re.compile(r"^TLB (?:full|partial|elided) flushes\s+(\d+)", re.MULTILINE)
_VIRTQUEUE = 1 << 16


class QmpError(OSError):
    """QEMU reported an error for a command."""


class Qmp:
    """A client of QEMU's machine protocol (QMP), one command at a time."""

    def __init__(self, channel: socket.socket, answer_s: float = ANSWER_S) -> None:
        self._channel = channel
        self._channel.settimeout(answer_s)
        self._file: IO[bytes] = channel.makefile("rb")

    def close(self) -> None:
        """Close the connection; QEMU serves the next client only then."""
        self._file.close()
        self._channel.close()

    def greet(self) -> str:
        """Complete the QMP handshake and return QEMU's version."""
        hello = json.loads(self._file.readline())
        self.execute("qmp_capabilities")
        version = hello["QMP"]["version"]["qemu"]
        return f"{version['major']}.{version['minor']}.{version['micro']}"

    def execute(self, name: str, handle: int = -1, **arguments: object) -> Any:
        """Execute one command and return its result.

        `handle` is a file descriptor to pass with the command, or -1. Raises OSError when QEMU
        does not respond, and QmpError when it reports an error.
        """
        request = json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n"
        if handle >= 0:
            socket.send_fds(self._channel, [request], [handle])
        else:
            self._channel.sendall(request)
        while True:
            line = self._file.readline()
            if not line:
                raise OSError(f"QMP closed during {name}")
            response = json.loads(line)
            if "return" in response:
                return response["return"]
            if "error" in response:
                raise QmpError(f"QMP {name}: {response['error'].get('desc')}")


Monitor = Callable[[], AbstractContextManager[Qmp]]
"""Opens a monitor for one reading."""


@contextmanager
def monitor(path: Path) -> Iterator[Qmp]:
    """Yield a client of the monitor at a Unix socket, for as short as possible.

    QEMU serves one client of a socket at a time, so a client that stays would lock out the programs
    that manage the machine. Raises OSError where QEMU does not answer within `PATIENCE_S`.
    """
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client = Qmp(channel, PATIENCE_S)
    try:
        channel.connect(str(path))
        client.greet()
        yield client
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"{path} is no QMP monitor") from error
    finally:
        client.close()


def owner(path: Path) -> int:
    """Return the id of the process that listens on a Unix socket. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(PATIENCE_S)
        channel.connect(str(path))
        credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("iII", credentials)[0])


class Hypervisor(Probe):
    """The counters of QEMU's devices and translator, `[8]` in QMP order.

    Counters of several disks or network cards are added up. Without `unstable`, QEMU is asked
    nothing but `query-blockstats`.
    """

    source, channels = "qmp", QMP

    def __init__(self, opened: Monitor, unstable: bool = True) -> None:
        self._opened = opened
        self._unmeasured = dict.fromkeys(
            UNSTABLE, "only QEMU's unstable commands report it, which --unstable asks"
        )
        self._jit = unstable
        self._last: dict[tuple[str, int], int] = {}
        self._total = [0, 0]
        self._cards = self._found() if unstable else []
        if unstable:
            self._unmeasured = {}
        if unstable and not self._cards:
            self._unmeasured = dict.fromkeys(UNSTABLE[:2], "no virtio network card")

    @property
    def unmeasured(self) -> dict[str, str]:
        """Channels that QEMU does not report here, each with the reason."""
        return dict(self._unmeasured)

    def _found(self) -> list[str]:
        """Return the paths of the virtio network cards."""
        with self._opened() as client:
            devices = client.execute("x-query-virtio")
        return [str(entry["path"]) for entry in devices if entry["name"] == "virtio-net"]

    def read(self) -> list[float]:
        """Return the counters now, `[8]`. Raises OSError when QEMU does not respond."""
        with self._opened() as client:
            disks = [entry["stats"] for entry in client.execute("query-blockstats")]
            block = [float(sum(disk[name] for disk in disks)) for name in BLOCK]
            return [*block, *self._queues(client), self._flushes(client)]

    def _queues(self, client: Qmp) -> list[float]:
        """Return how many buffers the receive and the transmit queues have used.

        QEMU's index has 16 bits and starts over.
        """
        if not self._cards:
            return [NOT_MEASURED, NOT_MEASURED]
        for card in self._cards:
            for queue in (0, 1):
                status = client.execute("x-query-virtio-queue-status", path=card, queue=queue)
                index, last = int(status["used-idx"]), self._last.get((card, queue), 0)
                self._total[queue] += (index - last) % _VIRTQUEUE
                self._last[card, queue] = index
        return [float(total) for total in self._total]

    def _flushes(self, client: Qmp) -> float:
        if not self._jit:
            return NOT_MEASURED
        try:
            text = client.execute("x-query-jit")["human-readable-text"]
        except QmpError as error:
            self._jit, self._unmeasured["jit_tlb_flushes"] = False, str(error)
            return NOT_MEASURED
        return float(sum(map(int, _FLUSHES.findall(text))))


def vcpu_threads(client: Qmp) -> frozenset[int]:
    """Return the ids of the vCPU threads. Raises OSError."""
    return frozenset(int(one["thread-id"]) for one in client.execute("query-cpus-fast"))
