"""A guest of QEMU, found by process id, name, or QMP socket: plain QEMU, Proxmox, or any other."""

from pathlib import Path

from phasewatch.attach import collector, commandline, interface, qmp
from phasewatch.attach.collector import Target, missing_target
from phasewatch.attach.packets import CHANNELS
from phasewatch.attach.probe import Gone, Probe
from phasewatch.attach.process import ProcessAccounts
from phasewatch.attach.qmp import QMP, Hypervisor, vcpu_threads
from phasewatch.errors import Refused


class Collector(collector.Collector):
    """One QEMU process of this host, and its monitor and network port where they can be had."""

    kind, schema_name = "qemu", "vm46"
    options = frozenset({"qmp", "interface", "network", "unstable"})
    needs = (
        "CAP_NET_RAW for packets; the user of the process, or CAP_SYS_PTRACE, for the bytes it "
        "writes and to find its interface; access to its QMP socket for the disks"
    )
    blind = (
        "the inside of the guest: no agent is asked",
        "the network of a guest on QEMU's user-mode network, which has no interface",
        "the contents of packets",
    )

    def __init__(self, target: Target) -> None:
        """Find the process. Raises Gone where there is none, and Refused for a bad target."""
        self.pid = find(target.target)
        line = commandline.words(self.pid)
        self.name = target.name or commandline.name(line) or f"qemu-{self.pid}"
        self.followed = _followed(target, commandline.name(line))
        self.absent = {f"guest.{channel.name.partition('.')[2]}": "no agent runs in the guest"
                       for channel in self.schema().channels_of("guest")}  # fmt: skip
        socket = _monitor(target, line)
        vcpus = self._vcpus(socket)
        self.probes = [ProcessAccounts(self.pid, vcpus)]
        self._add_devices(socket, target.unstable)
        self._add_network(target, line)

    def _vcpus(self, socket: Path | None) -> frozenset[int]:
        try:
            if socket is not None:
                with qmp.monitor(socket) as client:
                    return vcpu_threads(client)
        except OSError:
            pass
        return frozenset()

    def _add_devices(self, socket: Path | None, unstable: bool) -> None:
        if socket is None:
            self._lacks("qmp", QMP, "QEMU has no QMP socket: start it with -qmp unix:PATH,server")
            return
        try:
            with qmp.monitor(socket) as client:
                client.execute("query-blockstats")
            probe = Hypervisor(lambda: qmp.monitor(socket), unstable)
        except OSError as error:
            self._lacks("qmp", QMP, f"the QMP socket {socket}: {error.strerror or error}")
        else:
            self.probes = [*self.probes, probe]

    def _add_network(self, target: Target, line: list[str]) -> None:
        if target.network == "off":
            self._lacks("netflow", CHANNELS, "switched off")
            return
        try:
            self.probes = [*self.probes, self._port(target, line)]
        except OSError as error:
            self._lacks("netflow", CHANNELS, error.strerror or str(error))

    def _port(self, target: Target, line: list[str]) -> Probe:
        """Return the probe of the guest's port. Raises OSError where there is none."""
        name = target.interface or self._interface(line)
        inverted = name.startswith("macvtap")
        if target.network == "counters":
            return interface.Counters(name, "packets are switched off", inverted)
        return interface.probe(name, self.pid, inverted)

    def _interface(self, line: list[str]) -> str:
        """Return the guest's only network interface. Raises OSError."""
        found = commandline.named_taps(line)
        try:
            found = found or commandline.interfaces(self.pid)
        except PermissionError as error:
            reason = "needs the user of the process, or CAP_SYS_PTRACE; or name its --interface"
            raise PermissionError(error.errno, f"/proc/{self.pid}/fd {reason}") from error
        if len(found) != 1:
            what = f"{len(found)} interfaces ({', '.join(found)})" if found else "no tap interface"
            raise OSError(f"the guest has {what}; name one with --interface")
        return found[0]

    def _lacks(self, source: str, channels: tuple[str, ...], reason: str) -> None:
        self.absent |= {f"{source}.{name}": reason for name in channels}


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
