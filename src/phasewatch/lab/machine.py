"""One emulated machine: QEMU's command line for a host, its start, its channels and its end.

The channels (QMP, the agent's port, the control port) are socket pairs and the disk is an unlinked
file, so a machine leaves nothing in the file system, however its recorder ends. A machine that does
not boot raises Refused with the last line of its console.
"""

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

from phasewatch.attach.qmp import Qmp
from phasewatch.errors import Refused
from phasewatch.lab.hosts import Host
from phasewatch.lab.image import Image
from phasewatch.lab.network import GUEST, MAC, NICE, die_with_parent, yield_priority

AGENT_HZ = 2
BOOT_S = 120.0
CONSOLES = {"x86_64": "ttyS0", "aarch64": "ttyAMA0", "arm": "ttyAMA0"}
PACKAGES = {"x86_64": "qemu-system-x86", "aarch64": "qemu-system-arm", "arm": "qemu-system-arm"}


class Lines:
    """A stream socket that is read line by line without waiting."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.channel.setblocking(False)
        self._rest = b""

    def fileno(self) -> int:
        """Return the file descriptor, with which `select` waits for this channel."""
        return self.channel.fileno()

    def read(self) -> list[str]:
        """Return the complete lines that have arrived. Raises EOFError when the machine is gone."""
        with contextlib.suppress(BlockingIOError):
            while part := self.channel.recv(1 << 16):
                self._rest += part
            raise EOFError
        *lines, self._rest = self._rest.split(b"\n")
        return [line.decode("ascii", "replace") for line in lines if line]

    def send(self, line: str) -> None:
        """Send one line; the channels carry a few bytes a second and are never full."""
        self.channel.send(line.encode() + b"\n")


class Machine:
    """A started machine: `process`, `qmp`, and the lines of `agent` and `control`."""

    def __init__(
        self,
        host: Host,
        image: Image,
        disk: Path,
        link: str,
        jitter: float = 0.0,
        state: Path | None = None,
    ) -> None:
        """Start QEMU on a copy of `disk`, from the `state` that `save` wrote with it if given.

        `link` is the network device for QEMU's -netdev, `jitter` the agent's, in percent of its
        period. Raises Refused when QEMU is not installed.
        """
        self.host = host
        self.restored = state is not None
        self.qemu = ""
        self._console = _nameless()
        self._disk = _copy(disk)
        pairs = [socket.socketpair() for _ in range(3)]
        qmp, agent, control = (near for near, _ in pairs)
        far = [other for _, other in pairs]
        try:
            with contextlib.ExitStack() as stack:
                handles = [end.fileno() for end in far] + [self._disk.fileno()]
                words = command(host, image, link, jitter, handles)
                if state:
                    handles.append(stack.enter_context(state.open("rb")).fileno())
                    words += ["-incoming", f"fd:{handles[-1]}"]
                self.process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=self._console,
                    stderr=self._console,
                    pass_fds=handles,
                    preexec_fn=_child,
                )
        except FileNotFoundError as error:
            raise Refused(
                f"host {host.name}",
                f"{error.filename} is missing",
                "QEMU's system emulator",
                f"apt-get install {PACKAGES[host.arch]}",
                code="qemu_missing",
            ) from error
        finally:
            for other in far:
                other.close()
        self.qmp = Qmp(qmp)
        self.agent = Lines(agent)
        self.control = Lines(control)

    def boot(self) -> None:
        """Wait for a line from the guest's control port and one from its agent. Raises Refused."""
        deadline = time.monotonic() + BOOT_S
        waiting = selectors.DefaultSelector()
        for channel in (self.agent, self.control):
            waiting.register(channel, selectors.EVENT_READ, channel)
        try:
            self.qemu = self.qmp.greet()
            if self.restored:
                self._wait_for("query-status", "paused", deadline)
                self.qmp.execute("cont")
            self.control.send("ping boot")
            while waiting.get_map():
                for key, _ in waiting.select(1.0):
                    if key.data.read():
                        waiting.unregister(key.data)
                if time.monotonic() > deadline:
                    raise self.refused(f"did not boot in {BOOT_S:g} s")
        except (EOFError, OSError, ValueError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
            raise self.refused("ended while booting") from error
        finally:
            waiting.close()

    def save(self, state: Path, disk: Path) -> None:
        """Stop the machine and save its state and disk; it stays stopped. Raises Refused."""
        try:
            self.qmp.execute("stop")
            with state.open("wb") as file:
                self.qmp.execute("getfd", file.fileno(), fdname="state")
                self.qmp.execute("migrate", uri="fd:state")
                self._wait_for("query-migrate", "completed", time.monotonic() + BOOT_S)
            self._disk.seek(0)
            with disk.open("wb") as file:
                _copy_sparse(self._disk, file)
        except (OSError, ValueError) as error:
            raise self.refused(f"could not be saved ({error})") from error

    def _wait_for(self, query: str, status: str, deadline: float) -> None:
        """Repeat a QMP query until it reports `status`; `deadline` is on the monotonic clock."""
        while (found := self.qmp.execute(query).get("status")) != status:
            if found in ("failed", "internal-error") or time.monotonic() > deadline:
                raise OSError(f"{query} reports {found}")
            time.sleep(0.02)

    def request(self, line: str, seconds: float) -> str:
        """Send one line to the control port and return the reply, which may take `seconds`.

        Raises Refused when the guest ends, reports an error or does not reply in time.
        """
        self.control.send(line)
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as waiting:
            waiting.register(self.control, selectors.EVENT_READ)
            while time.monotonic() < deadline:
                waiting.select(0.5)
                try:
                    replies = self.control.read()
                except (EOFError, OSError) as error:
                    raise self.refused(f"ended at {line.split()[0]!r}") from error
                if replies and replies[-1].startswith("error"):
                    raise self.refused(f"guest: {replies[-1]}")
                if replies:
                    return replies[-1]
        raise self.refused(f"guest did not reply to {line!r} in {seconds:g} s")

    def refused(self, problem: str) -> Refused:
        """Return the Refused for a failure of this machine, with the last line of its console."""
        return Refused(
            f"host {self.host.name}",
            f"{problem}; last console line: {self.last_line()!r}",
            f"a running {self.host.arch} guest",
            "Try again; docs/lab.md lists the hosts that boot.",
            code="machine",
        )

    def last_line(self) -> str:
        """Return the last line of the guest's console or of QEMU's error output; "" for none."""
        size = self._console.seek(0, os.SEEK_END)
        self._console.seek(max(0, size - 4096))
        text = self._console.read().decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def kill(self) -> None:
        """End the machine at once; its disk is lost."""
        self.process.kill()
        self.process.wait()
        self._console.close()
        self._disk.close()


def command(host: Host, image: Image, link: str, jitter: float, handles: list[int]) -> list[str]:
    """Return QEMU's command line for a host.

    `handles` are the file descriptors of QMP, agent, control port and disk, in this order. `jitter`
    is how far a reading of the agent may be off its time, in percent of its period.

    The disk is `unsafe`: its flushes are counted but not passed on, since it is thrown away anyway
    and a slow disk of the recording host would otherwise stop the guest for seconds.
    """
    qmp, agent, control, disk = handles
    kernel = (
        f"console={CONSOLES[host.arch]} loglevel=4 panic=-1 ip4={GUEST}/24 "
        f"agent_hz={AGENT_HZ} agent_jitter={jitter:g} {host.kernel}"
    )
    bus = "device" if host.bus == "mmio" else host.bus
    rom = "" if host.bus == "mmio" else ",romfile="
    words = f"""
        qemu-system-{host.arch} -name lab-{host.name},debug-threads=on
        -accel tcg,thread=multi,tb-size=128 -machine {host.machine} -cpu {host.cpu}
        -nodefaults -no-user-config -display none -no-reboot
        -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
        -m {host.memory_mb} -smp {host.vcpus}
        -chardev stdio,id=console,signal=off -serial chardev:console
        -chardev socket,id=monitor,fd={qmp} -mon chardev=monitor,mode=control
        -device virtio-serial-{bus}
        -chardev socket,id=agent,fd={agent} -device virtserialport,chardev=agent,name=lab.agent
        -chardev socket,id=control,fd={control} -device virtserialport,chardev=control,name=lab.ctl
        -netdev {link} -device virtio-net-{bus},netdev=n0,mac={MAC}{rom}
        -drive file=/proc/self/fd/{disk},if=none,id=d0,format=raw,cache=unsafe
        -device virtio-blk-{bus},drive=d0
    """.split()
    boot = ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", kernel.strip()]
    return words + boot


def installed(arch: str) -> bool:
    """Return whether QEMU's emulator for `arch` is installed."""
    return shutil.which(f"qemu-system-{arch}") is not None


def _child() -> None:
    """Prepare the child for QEMU: it ends with the recorder and has priority over other work."""
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield_priority(NICE)


def _copy(disk: Path) -> IO[bytes]:
    """Return an unlinked copy of a disk."""
    copy = _nameless()
    with disk.open("rb") as source:
        _copy_sparse(source, copy)
    return copy


def _copy_sparse(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy a file, with holes where there are zeros."""
    while block := source.read(1 << 16):
        if any(block):
            target.write(block)
        else:
            target.seek(len(block), os.SEEK_CUR)
    target.truncate()
    target.flush()


def _nameless() -> IO[bytes]:
    """Return a file that the kernel removes when its last user closes it."""
    return tempfile.TemporaryFile()
