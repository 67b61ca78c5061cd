"""The machine itself, through /proc: a server or a Raspberry Pi that watches itself."""

import os
import platform
import re
from collections.abc import Sequence

from phasewatch.attach import collector
from phasewatch.attach.collector import Target
from phasewatch.attach.kernel import pairs, pick, text
from phasewatch.attach.network import Namespace
from phasewatch.attach.pressure import Pressure
from phasewatch.attach.probe import Probe
from phasewatch.errors import Refused

PROC = "/proc"
TIMES = {"user": 0, "nice": 1, "system": 2, "iowait": 4, "softirq": 6}
"""The channels of the line `cpu` of /proc/stat, with their places in it."""

COUNTS = {
    "intr": "intr",
    "ctxt": "ctxt",
    "forks": "processes",
    "running": "procs_running",
    "blocked": "procs_blocked",
}
LEVELS = {"free": "MemFree", "cached": "Cached", "anon": "AnonPages", "dirty": "Dirty"}
EVENTS = {
    "pgfault": "pgfault",
    "pgmajfault": "pgmajfault",
    "swap_in": "pswpin",
    "swap_out": "pswpout",
}
DISK = {"rd_ops": 3, "rd_sectors": 5, "wr_ops": 7, "wr_sectors": 9, "busy_ms": 12}
"""The channels of a line of /proc/diskstats, with their places in it."""

_PART = re.compile(r"(?:loop|ram|zram|dm-|md|sr|fd)\d+|(?:sd|vd|xvd|hd)[a-z]+\d+|\w+\dp\d+")
"""Devices that are parts of others, or hold no disk: what they count is counted elsewhere."""


class Processors(Probe):
    """All processors together, from /proc/stat: `[10]`."""

    source = "cpu"
    channels = (*TIMES, *COUNTS)

    def read(self) -> list[float]:
        """Return the counters now. Raises OSError."""
        lines = (line.split() for line in text(f"{PROC}/stat").splitlines())
        found = {words[0]: words[1:] for words in lines if words}
        times = [float(found["cpu"][place]) for place in TIMES.values()]
        return [*times, *(float(found[name][0]) for name in COUNTS.values())]


class Memory(Probe):
    """Memory from /proc/meminfo and /proc/vmstat: `[8]`."""

    source = "mem"
    channels = (*LEVELS, *EVENTS)

    def read(self) -> list[float]:
        """Return the levels in KiB and the counters now. Raises OSError."""
        levels = pick(pairs(f"{PROC}/meminfo"), LEVELS.values())
        return [*levels, *pick(pairs(f"{PROC}/vmstat"), EVENTS.values())]


class Disks(Probe):
    """All whole disks together, from /proc/diskstats: `[5]`."""

    source = "disk"
    channels = tuple(DISK)

    def read(self) -> list[float]:
        """Return the counters now. Raises OSError."""
        rows = (line.split() for line in text(f"{PROC}/diskstats").splitlines())
        whole = [row for row in rows if len(row) > 12 and not _PART.fullmatch(row[2])]
        return [float(sum(int(row[place]) for row in whole)) for place in DISK.values()]


class Collector(collector.Collector):
    """The machine that runs Phasewatch."""

    kind, schema_name = "host", "host"
    needs = "nothing: every user may read what it reads"
    blind = (
        "what an adversary who owns the machine hides from /proc",
        "which process does what: all are added up",
        "the contents and the ends of network connections",
    )

    @classmethod
    def lacks(cls) -> Sequence[str]:
        """Return what this kernel lacks."""
        known = os.path.exists(f"{PROC}/pressure/cpu")
        return [] if known else ["psi=1 on the kernel's command line: pressure"]

    def __init__(self, target: Target) -> None:
        """Watch this machine. Raises Refused for a target, since there is only one."""
        if target.target:
            raise Refused(
                f"host {target.target}",
                "takes no target",
                "the machine that runs phasewatch",
                "Leave it out; run phasewatch on the machine to watch.",
                code="target",
            )
        self.followed = target
        self.name = target.name or platform.node() or "host"
        files = {name: f"{PROC}/pressure/{name}" for name in ("cpu", "io", "memory")}
        net = Namespace(lambda: f"{PROC}/net")
        self.probes = (Processors(), Memory(), Disks(), net, Pressure(files))
        self.absent = {}
