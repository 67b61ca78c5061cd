"""A guest of QEMU, found by process id, name, or QMP socket: plain QEMU, Proxmox, or any other."""

from pathlib import Path

from phasewatch.attach import commandline, qmp
from phasewatch.attach.collector import Target, missing_target
from phasewatch.attach.guest import CONTENTS, INSIDE, Guest, one_of
from phasewatch.attach.probe import Gone
from phasewatch.attach.process import ProcessAccounts
from phasewatch.attach.qmp import QMP, Hypervisor, vcpu_threads
from phasewatch.errors import Refused

OPENING_S = 5.0
"""How long the beginning of a watch waits for a monitor that another program may be using."""


class Collector(Guest):
    """One QEMU process of this host, and its monitor and network port where they can be had."""

    kind = "qemu"
    options = frozenset({"qmp", "interface", "network", "unstable"})
    needs = (
        "CAP_NET_RAW for packets; the user of the process, or CAP_SYS_PTRACE, for the bytes it "
        "writes and to find its interface; access to its QMP socket for the disks"
    )
    blind = (
        INSIDE,
        "the network of a guest on QEMU's user-mode network, which has no interface",
        CONTENTS,
    )

    def __init__(self, target: Target) -> None:
        """Find the process. Raises Gone where there is none, and Refused for a bad target."""
        pid = find(target.target)
        line = commandline.words(pid)
        name = commandline.name(line)
        self._begin(target.name or name or f"qemu-{pid}", pid, _followed(target, name))
        socket = _monitor(target, line)
        self._add(ProcessAccounts(pid, _vcpus(socket)))
        self._add_devices(socket, target.unstable)
        self._add_network(target, lambda: _interface(pid, line))

    def _add_devices(self, socket: Path | None, unstable: bool) -> None:
        if socket is None:
            self._lacks("qmp", QMP, "QEMU has no QMP socket: start it with -qmp unix:PATH,server")
            return
        try:
            with qmp.monitor(socket, OPENING_S) as client:
                client.execute("query-blockstats")
            self._add(Hypervisor(lambda: qmp.monitor(socket), unstable))
        except OSError as error:
            self._lacks("qmp", QMP, f"the QMP socket {socket}: {error.strerror or error}")


def _vcpus(socket: Path | None) -> frozenset[int]:
    """Return the ids of the vCPU threads; none where QEMU does not say, as names may do."""
    if socket is None:
        return frozenset()
    try:
        with qmp.monitor(socket, OPENING_S) as client:
            return vcpu_threads(client)
    except OSError:
        return frozenset()


def _interface(pid: int, line: list[str]) -> str:
    """Return the guest's only network interface. Raises OSError."""
    found = commandline.named_taps(line)
    try:
        found = found or commandline.interfaces(pid)
    except PermissionError as error:
        reason = "needs the user of the process, or CAP_SYS_PTRACE; or name its --interface"
        raise PermissionError(error.errno, f"/proc/{pid}/fd {reason}") from error
    return one_of(found, "tap interface")


def _followed(target: Target, name: str) -> Target | None:
    """Return what a guest that restarts is found by: its id is another one then."""
    if not target.target.isdigit():
        return target
    return target.model_copy(update={"target": name}) if name else None


def find(target: str) -> int:
    """Return the id of the QEMU process that a target means: an id, a path, or a name.

    Raises Gone where there is none, and Refused for one that is none or fits several.
    """
    if not target:
        names = sorted(commandline.name(line) or str(pid) for pid, line in commandline.machines())
        found = f": {', '.join(names)}" if names else ""
        raise missing_target("qemu", f"a process id, a QMP socket, or the name of a guest{found}")
    if "/" in target:
        return _at_socket(Path(target))
    if target.isdigit():
        return _with_id(int(target))
    return _named(target)


def _at_socket(path: Path) -> int:
    try:
        return qmp.owner(path)
    except OSError as error:
        raise Gone(f"no QEMU listens on {path} ({error.strerror or error})") from error


def _with_id(pid: int) -> int:
    try:
        line = commandline.words(pid)
    except FileNotFoundError as error:
        raise Gone(f"there is no process {pid}") from error
    if not line or not commandline.is_emulator(line):
        what = line[0] if line else "a thread of the kernel"
        remedy = "Give the id of a qemu-system-… process."
        raise Refused(f"qemu {pid}", f"is {what}", "a QEMU process", remedy, code="target")
    return pid


def _named(name: str) -> int:
    found = [pid for pid, line in commandline.machines() if commandline.name(line) == name]
    if not found:
        raise Gone(f"no QEMU process is named {name}")
    if len(found) > 1:
        raise Refused(
            f"qemu {name}",
            f"fits {len(found)} processes, {', '.join(map(str, found))}",
            "one process",
            "Give the process id.",
            code="target",
        )
    return found[0]


def _monitor(target: Target, line: list[str]) -> Path | None:
    """Return the QMP socket to ask: the one that was named, or the last that QEMU listens on.

    Proxmox's own is the first of two, and programs that manage machines use the first as well.
    """
    if target.qmp:
        return Path(target.qmp)
    if "/" in target.target:
        return Path(target.target)
    listed = commandline.monitors(line)
    return listed[-1] if listed else None
