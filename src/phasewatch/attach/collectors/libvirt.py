"""A domain of libvirt, by its name: its process, and the disks and the port that libvirt knows."""

import importlib
import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any
from xml.etree import ElementTree

from phasewatch.attach import commandline
from phasewatch.attach.collector import Target, missing_target
from phasewatch.attach.guest import CONTENTS, INSIDE, Guest, one_of
from phasewatch.attach.probe import NOT_MEASURED, Gone, Probe
from phasewatch.attach.process import ProcessAccounts
from phasewatch.attach.qmp import QMP, UNSTABLE
from phasewatch.errors import Refused

SYSTEM = "qemu:///system"
SOCKET = "/run/libvirt/libvirt-sock-ro"
BLOCK = {
    "blk_rd_bytes": "rd.bytes",
    "blk_rd_ops": "rd.reqs",
    "blk_wr_bytes": "wr.bytes",
    "blk_wr_ops": "wr.reqs",
    "blk_flush_ops": "fl.reqs",
}
"""The channels of disks, with the ends of their names in domain statistics."""

_ACTIVE_STATS_BLOCK = 1 << 5
_NO_WAIT = 1 << 29


class Blocks(Probe):
    """The disks of a domain from its statistics, `[8]` in QMP order; three are never known."""

    source, channels = "qmp", QMP

    def __init__(self, connection: Any, domain: Any) -> None:
        self._connection, self._domain = connection, domain
        self._flushes = True

    @property
    def unmeasured(self) -> dict[str, str]:
        """The channels that libvirt does not report."""
        flushes = {} if self._flushes else {"blk_flush_ops": "libvirt reports no flushes"}
        return dict.fromkeys(UNSTABLE, "libvirt does not report it") | flushes

    def read(self) -> list[float]:
        """Return the counters now, `[8]`. Raises OSError when the domain is not running."""
        flags = _ACTIVE_STATS_BLOCK, _NO_WAIT
        try:
            ((_, found),) = self._connection.domainListGetStats([self._domain], *flags)
        # libvirt-python may be absent, so its error class has no name here.
        except Exception as error:
            raise Gone(str(error)) from error
        values = [added(found, ending) for ending in BLOCK.values()]
        self._flushes = values[-1] is not None
        known = [NOT_MEASURED if value is None else float(value) for value in values]
        return [*known, *[NOT_MEASURED] * len(UNSTABLE)]


def added(found: Mapping[str, object], ending: str) -> int | None:
    """Return the sum of a statistic over all disks; None where no disk has it."""
    pattern = re.compile(rf"block\.\d+\.{re.escape(ending)}")
    values = [value for name, value in found.items() if pattern.fullmatch(name)]
    return sum(int(str(value)) for value in values) if values else None


class Collector(Guest):
    """One running domain of libvirt's QEMU driver."""

    kind = "libvirt"
    options = frozenset({"connect", "interface", "network"})
    needs = (
        "the group libvirt; CAP_NET_RAW for packets; the user of the process, or CAP_SYS_PTRACE, "
        "for the bytes it writes"
    )
    blind = (
        INSIDE,
        "virtqueues and the emulator's TLB flushes, which libvirt does not report",
        CONTENTS,
    )

    @classmethod
    def lacks(cls) -> Sequence[str]:
        """Return what this process lacks: the library, the daemon's socket, and capabilities."""
        found = [] if find_spec("libvirt") else ["libvirt-python: all of it"]
        if not os.access(SOCKET, os.R_OK | os.W_OK):
            found.append(f"access to {SOCKET}: all of it")
        return [*found, *super().lacks()]

    def __init__(self, target: Target) -> None:
        """Find the domain. Raises Gone where it does not run, and Refused for a bad target."""
        name = target.target
        if not name:
            raise missing_target("libvirt", "the name of a domain, as `virsh list` prints it")
        self._connection, domain = _domain(target.connect or SYSTEM, name)
        self._begin(target.name or name, _pid(name, domain.UUIDString()), target)
        self._add(ProcessAccounts(self.pid))
        self._add(Blocks(self._connection, domain))
        self._add_network(target, lambda: _interface(domain.XMLDesc(0)))

    def close(self) -> None:
        """Let go of the connection and of what the probes hold open."""
        super().close()
        self._connection.close()


def _domain(uri: str, name: str) -> tuple[Any, Any]:
    """Return a read-only connection and a running domain. Raises Gone, and Refused."""
    try:
        library: Any = importlib.import_module("libvirt")
    except ImportError as error:
        raise Refused(
            f"libvirt {name}",
            "libvirt-python is not installed",
            "its module libvirt",
            "Install Debian's python3-libvirt, or libvirt-dev and pip install libvirt-python.",
            code="library",
        ) from error
    library.registerErrorHandler(lambda *_: None, None)
    try:
        connection = library.openReadOnly(uri)
        domain = connection.lookupByName(name)
    except library.libvirtError as error:
        raise Gone(f"{uri}: {error}") from error
    if not domain.isActive():
        raise Gone(f"the domain {name} is not running")
    return connection, domain


def _pid(name: str, uuid: str) -> int:
    """Return the id of a domain's process, by the `-uuid` of its command line. Raises Gone."""
    for pid, line in commandline.machines():
        if uuid in commandline.values(line, "-uuid"):
            return pid
    raise Gone(f"no QEMU process of the domain {name} may be seen here")


def _interface(description: str) -> str:
    """Return the only network interface in a domain's XML. Raises OSError."""
    # The description comes from libvirt's own daemon, which is trusted with the guest anyway.
    root = ElementTree.fromstring(description)
    found = [one.get("dev", "") for one in root.findall("./devices/interface/target")]
    return one_of([name for name in found if name], "interface")
