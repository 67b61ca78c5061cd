"""The lab's isolated network: one link between a guest and a sink, without a route out.

The link consists of an unnamed network namespace, which ends with the processes in it; a tap device
with the addresses 10.77.0.1-9; a sink that receives what the guest sends, serves its requests and
visits its web server; and packet counts in bins of half a second. A bin without packets is a row
of zeros; a link that was not captured has no rows at all.
"""

import asyncio
import contextlib
import ctypes
import multiprocessing
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from phasewatch.attach.packets import BIN_NS, GRACE_NS, Bins, Row, drain, dropped, listen
from phasewatch.errors import Refused

HOSTS = range(1, 10)
GUEST = "10.77.0.100"
PORTS = (80, 443, 8080, 4444, 5000)
DISCARD = 9999
TIME = 123
SERVICE = 8000
"""The port on which a guest that plays a web server listens."""

MOST_VISITS = 50.0
"""Largest number of visits a second by the sink."""

MAC = "52:54:00:77:00:64"
TAP = "tap0"
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1

NICE = -15
"""The nice level of a machine and of its sink: ahead of what runs at an ordinary priority."""

REALTIME = 1
"""Their real-time priority, for a recording that has one."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Traffic:
    """What a link carried: a row a bin, and how many packets the kernel could not hand over."""

    rows: tuple[Row, ...]
    dropped: int


def die_with_parent(sign: int = signal.SIGKILL) -> None:
    """Have the kernel send `sign` to this process when the one that started it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, sign)


def take_priority(nice: int, realtime: bool = False) -> None:
    """Give this process a nice level and, with `realtime`, a real-time priority, where allowed.

    Children inherit both; `yield_priority` puts a child just behind its parent.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    if realtime:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REALTIME + 1))


def yield_priority(nice: int) -> None:
    """Take a nice level and, where the parent is real-time, the priority behind the parent's."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        if os.sched_getscheduler(0) == os.SCHED_RR:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REALTIME))


# ---------------------------------------------------------------- counting


def _capture(pipe: Connection) -> None:
    """Child process: count what passes the tap until a message stops it, then send the rows.

    It captures nothing before the order "watch", or "stream", with which it also sends the rows of
    every bin as soon as the bin is closed.
    """
    quiet_child()
    pipe.send("ready")
    order = pipe.recv()
    if order not in ("watch", "stream"):
        return
    link = listen(TAP)
    bins = Bins.now()
    poller = select.poll()
    poller.register(link, select.POLLIN)
    poller.register(pipe, select.POLLIN)
    stopped, sent = False, 0
    while not stopped:
        due_ns = bins.begin_ns + BIN_NS + GRACE_NS - time.time_ns()
        ready = {handle for handle, _ in poller.poll(max(0, due_ns // 1_000_000 + 1))}
        stopped = pipe.fileno() in ready
        drain(link, bins)
        bins.until(time.time_ns() - GRACE_NS)
        if order == "stream" and sent < len(bins.rows):
            pipe.send(bins.rows[sent:])
            sent = len(bins.rows)
    pipe.send(Traffic(tuple(bins.rows), dropped(link)))


# ---------------------------------------------------------------- the sink


async def _respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a connection of the guest: `GET n`, `PUT`, `HELLO`, `CALL rate`, or a flood's bytes."""
    try:
        words = (await asyncio.wait_for(reader.readline(), 30)).split()
        if words[:1] == [b"GET"]:
            await _send(writer, min(int(words[1]), 1 << 24))
        elif words[:1] == [b"CALL"]:
            await _visit(reader, min(float(words[1]), MOST_VISITS))
        else:
            if words[:1] == [b"HELLO"]:
                writer.write(b"here\n")
            while await asyncio.wait_for(reader.read(1 << 16), 30):
                pass
    except (OSError, ValueError, IndexError, TimeoutError):
        writer.transport.abort()
    finally:
        writer.close()


async def _send(writer: asyncio.StreamWriter, left: int) -> None:
    """Send `left` bytes of a fixed pattern."""
    block = bytes(range(256)) * 64
    while left > 0:
        writer.write(block[:left])
        left -= len(block)
        await writer.drain()


async def _visit(reader: asyncio.StreamReader, rate: float) -> None:
    """Visit the guest's web server about `rate` times a second while `reader` stays open.

    The guest is the only address to which the sink ever connects.
    """
    open_ended = asyncio.ensure_future(reader.read())
    chance = random.Random(rate)
    visits: set[asyncio.Task[None]] = set()
    while not open_ended.done() and rate > 0:
        await asyncio.wait([open_ended], timeout=chance.expovariate(rate))
        if len(visits) < 16 and not open_ended.done():
            visits.add(asyncio.ensure_future(_one_visit(f"10.77.0.{chance.choice(HOSTS)}")))
        visits = {visit for visit in visits if not visit.done()}


async def _one_visit(source: str) -> None:
    """Send one request from the address `source` and read the response to its end."""
    with contextlib.suppress(OSError, TimeoutError):
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(GUEST, SERVICE, local_addr=(source, 0)), 5
        )
        try:
            writer.write(b"GET / HTTP/1.0\r\n\r\n".ljust(200))
            while await asyncio.wait_for(reader.read(1 << 16), 10):
                pass
        finally:
            writer.close()


class _Clock(asyncio.DatagramProtocol):
    """A time server whose response is the first 48 bytes of the request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport (asyncio)."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Respond to a request (asyncio)."""
        self._transport.sendto(data[:48], address)


async def _serve(pipe: Connection) -> None:
    for port in PORTS:
        await asyncio.start_server(_respond, "0.0.0.0", port, backlog=1024)
    # One endpoint for each address: a response must come from the address of the request.
    for number in HOSTS:
        await asyncio.get_running_loop().create_datagram_endpoint(
            _Clock, local_addr=(f"10.77.0.{number}", TIME)
        )
    # This socket is never read: the kernel drops what does not fit, and no reset goes back.
    discard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    discard.bind(("0.0.0.0", DISCARD))
    pipe.send("ready")
    while not pipe.poll():
        await asyncio.sleep(0.25)
    discard.close()


def _sink(pipe: Connection) -> None:
    """Child process: serve the guest's connections until a message stops it."""
    quiet_child()
    yield_priority(NICE)
    asyncio.run(_serve(pipe))


def quiet_child() -> None:
    """Make this child ignore the terminal's signals; the recorder ends its children itself."""
    die_with_parent()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.SIG_IGN)


# ---------------------------------------------------------------- the link


class Child:
    """A helper process and the pipe to it, through which it reports that it is ready.

    Raises Refused when it does not start.
    """

    def __init__(self, work: Callable[[Connection], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other,), daemon=True)
        self.process.start()
        other.close()
        if not self.pipe.poll(30) or self._receive() != "ready":
            self.kill()
            raise _broken(work.__name__.strip("_"), "did not start")

    def finish(self) -> object:
        """Stop the process and return the result that it sends last; None when it is gone."""
        result: object = []
        try:
            self.pipe.send("stop")
            # Rows that were streamed are part of the result as well.
            while isinstance(result, list):
                result = self._receive() if self.pipe.poll(10) else None
        except OSError:
            result = None
        self.kill()
        return result

    def new_rows(self) -> list[Row]:
        """Return the rows streamed since the last call; none from a process that streams none."""
        rows: list[Row] = []
        with contextlib.suppress(OSError):
            while self.pipe.poll():
                more = self._receive()
                if not isinstance(more, list):
                    break
                rows += more
        return rows

    def kill(self) -> None:
        """End the process at once; a result that it has not sent is lost."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def _receive(self) -> object:
        with contextlib.suppress(EOFError, OSError):
            return self.pipe.recv()
        return None


class Tap:
    """The link as a tap device in a network namespace that only this process is in.

    It is captured from the start if `watching`, and its rows are streamed if `live`. Raises Refused
    with code "lab_network" where the kernel does not allow it.
    """

    kind = "tap"
    device = f"tap,id=n0,ifname={TAP},script=no,downscript=no,vnet_hdr=off"

    def __init__(self, watching: bool = True, live: bool = False) -> None:
        self._order = "stream" if live else "watch"
        _isolate()
        _configure()
        self._sink = Child(_sink)
        try:
            self._capture = Child(_capture)
        except BaseException:
            self._sink.kill()
            raise
        if watching:
            self.watch()

    def watch(self) -> None:
        """Start the capture; packets from before it are not counted."""
        self._capture.pipe.send(self._order)

    def new_rows(self) -> list[Row]:
        """Return the rows of the bins closed since the last call; none unless the link is live."""
        return self._capture.new_rows()

    def finish(self) -> Traffic:
        """Stop the link and return its traffic. Raises Refused when the capture has ended early."""
        traffic = self._capture.finish()
        self._sink.kill()
        if not isinstance(traffic, Traffic):
            raise _broken("capture", "ended before the recording did")
        return traffic

    def kill(self) -> None:
        """End the helper processes; what they counted is lost."""
        self._capture.kill()
        self._sink.kill()


def _isolate() -> None:
    """Move this process to a new network namespace; without root, inside a user namespace."""
    user, group = os.getuid(), os.getgid()
    flags = _CLONE_NEWNET if user == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    if _libc.unshare(flags):
        reason = os.strerror(ctypes.get_errno())
        raise _broken("namespace", f"refused by the kernel ({reason})")
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _configure() -> None:
    # A new namespace inherits the host's setting, and a host may well be a router.
    for name, value in (("ipv4/ip_forward", "0"), ("ipv6/conf/default/disable_ipv6", "1")):
        path = Path("/proc/sys/net") / name
        if path.exists():
            path.write_text(value)
    _ip("tuntap", "add", "dev", TAP, "mode", "tap")
    for number in HOSTS:
        _ip("address", "add", f"10.77.0.{number}/24", "dev", TAP)
    _ip("link", "set", TAP, "up")


def _ip(*words: str) -> None:
    command = shutil.which("ip", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if command is None:
        raise Refused("lab network", "ip is missing", "iproute2", "apt-get install iproute2")
    done = subprocess.run([command, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise _broken("ip " + " ".join(words), done.stderr.strip() or "failed")


def _broken(where: str, problem: str) -> Refused:
    return Refused(
        f"lab network: {where}",
        problem,
        "a private network namespace with a tap device",
        "Run as root, with /dev/net/tun present.",
        code="lab_network",
    )
