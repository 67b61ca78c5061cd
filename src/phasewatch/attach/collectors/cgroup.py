"""A control group, version 2: a container, a systemd unit or slice, the scope of a machine."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from phasewatch.attach import collector
from phasewatch.attach.collector import Target, missing_target
from phasewatch.attach.kernel import PTRACE, capable, pairs, pick, text
from phasewatch.attach.network import Namespace
from phasewatch.attach.pressure import Pressure
from phasewatch.attach.probe import NOT_MEASURED, Gone, Probe
from phasewatch.errors import Refused

ROOTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
"""Where the hierarchy of version 2 may be; the second where version 1 is mounted beside it."""

TIMES = {
    "usage": "usage_usec",
    "user": "user_usec",
    "system": "system_usec",
    "throttled": "throttled_usec",
}
LEVELS = ("anon", "file", "file_dirty", "pgfault", "pgmajfault")
IO = ("rbytes", "wbytes", "rios", "wios")


class _Files(Probe):
    """A probe of files in a group's folder, of which some may not be there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unmeasured: dict[str, str] = {}

    @property
    def unmeasured(self) -> dict[str, str]:
        """Channels that the last reading could not measure, each with the reason."""
        return dict(self._unmeasured)

    def _lacks(self, name: str, channels: tuple[str, ...]) -> None:
        reason = f"the group has no {name}: its controller is not enabled for it"
        self._unmeasured |= dict.fromkeys(channels, reason)

    def _number(self, name: str, channel: str) -> float:
        try:
            return float(text(self.folder / name))
        except FileNotFoundError:
            self._lacks(name, (channel,))
            return NOT_MEASURED

    def _refuse_gone(self) -> None:
        if not self.folder.is_dir():
            raise Gone(f"the group {self.folder} is gone")


class Processor(_Files):
    """Processor time and threads of the group: `[5]`."""

    source = "cpu"
    channels = (*TIMES, "tasks")

    def read(self) -> list[float]:
        """Return the counters now. Raises OSError when the group is gone."""
        self._unmeasured.clear()
        self._refuse_gone()
        found = pairs(self.folder / "cpu.stat")
        if TIMES["throttled"] not in found:
            self._lacks("limit on processor time", ("throttled",))
        return [*pick(found, TIMES.values()), self._number("pids.current", "tasks")]


class Memory(_Files):
    """Memory of the group: `[6]`."""

    source = "mem"
    channels = ("current", *LEVELS)

    def read(self) -> list[float]:
        """Return the levels and counters now. Raises OSError when the group is gone."""
        self._unmeasured.clear()
        self._refuse_gone()
        try:
            found = pairs(self.folder / "memory.stat")
        except FileNotFoundError:
            self._lacks("memory.stat", LEVELS)
            found = {}
        return [self._number("memory.current", "current"), *pick(found, LEVELS)]


class BlockIo(_Files):
    """Block I/O of the group, all disks added: `[4]`. A group without I/O has read zero bytes."""

    source = "io"
    channels = IO

    def read(self) -> list[float]:
        """Return the counters now. Raises OSError when the group is gone."""
        self._unmeasured.clear()
        self._refuse_gone()
        try:
            lines = text(self.folder / "io.stat").splitlines()
        except FileNotFoundError:
            self._lacks("io.stat", IO)
            return [NOT_MEASURED] * len(IO)
        words = [word.partition("=") for line in lines for word in line.split()[1:]]
        return [
            float(sum(int(value) for name, _, value in words if name == channel)) for channel in IO
        ]


class Collector(collector.Collector):
    """One control group of this host."""

    kind, schema_name = "cgroup", "cgroup"
    needs = "nothing for most files; the network of a container needs its user or CAP_SYS_PTRACE"
    blind = (
        "which process inside does what: all are added up",
        "the network of a group that shares the host's, such as most systemd units",
        "the contents and the ends of network connections",
    )

    @classmethod
    def lacks(cls) -> Sequence[str]:
        """Return what this machine and process lack."""
        version = any((root / "cgroup.controllers").exists() for root in ROOTS)
        found = [] if version else ["control groups of version 2: all of it"]
        return found if capable(PTRACE) else [*found, "CAP_SYS_PTRACE: networks of other users"]

    def __init__(self, target: Target) -> None:
        """Find the group by its path, or by the name of a unit or container.

        Raises Gone where there is none, and Refused for a target that fits several.
        """
        if not target.target:
            raise missing_target("cgroup", "a path, a unit such as nginx.service, or a container")
        folder = _folder(target.target)
        self.followed = target
        self.name = target.name or folder.name
        files = {name: f"{folder}/{name}.pressure" for name in ("cpu", "io", "memory")}
        self.probes = [Processor(folder), Memory(folder), BlockIo(folder), Pressure(files)]
        self.absent = {}
        self._add_network(folder)

    def _add_network(self, folder: Path) -> None:
        """Add the probe of the group's network where it has one that may be read."""
        reason = _why_no_network(folder)
        if reason:
            self.absent = {f"{Namespace.source}.{name}": reason for name in Namespace.channels}
        else:
            self.probes = [*self.probes, Namespace(lambda: f"/proc/{_first(folder)}/net")]


def _folder(name: str) -> Path:
    """Return the folder of a group. Raises Gone, and Refused where several fit."""
    for root in ROOTS:
        path = Path(name) if name.startswith("/") else root / name
        # Groups of version 1 have processes as well, and none of the files that are read here.
        if (path / "cgroup.controllers").exists():
            return path
    found = sorted(set(_fitting(name)))
    if not found:
        raise Gone(f"no control group of version 2 is named {name}")
    if len(found) > 1:
        raise Refused(
            f"cgroup {name}",
            f"fits {len(found)} groups, {', '.join(map(str, found[:3]))}",
            "one group",
            "Give the whole path.",
            code="target",
        )
    return found[0]


def _fitting(name: str) -> Iterator[Path]:
    """Yield the folders of groups that are named so, or as a container with an id that begins so.

    Docker names the scope of a container docker-ID.scope, Podman libpod-ID.scope; a container that
    is named otherwise is found by its id.
    """
    for root in ROOTS:
        if not (root / "cgroup.controllers").exists():
            continue
        for folder, _, _ in os.walk(root):
            if _fits(Path(folder).name, name):
                yield Path(folder)


def _fits(last: str, name: str) -> bool:
    """Return whether the last part of a group's path is that of a unit, or of a container's id."""
    if last in (name, f"{name}.service", f"{name}.scope", f"{name}.slice"):
        return True
    return len(name) >= 12 and last.partition("-")[2].startswith(name)


def _first(folder: Path) -> int:
    """Return the id of a process in the group or below it. Raises Gone where there is none."""
    for place, _, _ in os.walk(folder):
        ids = text(Path(place) / "cgroup.procs").split()
        if ids:
            return int(ids[0])
    raise Gone(f"the group {folder} has no process")


def _why_no_network(folder: Path) -> str:
    """Return why the network of a group is not measured; "" where it can be."""
    try:
        place = f"/proc/{_first(folder)}/ns/net"
        shared = os.stat(place).st_ino == os.stat("/proc/self/ns/net").st_ino
    except PermissionError as error:
        return f"{error.filename} needs root, or CAP_SYS_PTRACE"
    except OSError as error:
        return str(error)
    return "the group shares the network of the host" if shared else ""
