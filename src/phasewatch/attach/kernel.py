"""Reads the text files of the kernel: /proc, /sys and cgroups.

A file is a few lines that the kernel writes when it is read. Functions raise OSError where there is
no such file or it may not be read, and return only what the file has.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from phasewatch.attach.probe import NOT_MEASURED

NET_RAW, PTRACE = 13, 19
"""The numbers of CAP_NET_RAW and CAP_SYS_PTRACE in the kernel."""


def text(path: str | Path) -> str:
    """Return the content of a file. Raises OSError."""
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def capable(bit: int) -> bool:
    """Return whether this process has a capability in effect, by its number in the kernel."""
    found = pairs_of(text("/proc/self/status"))
    return bool(int(found.get("CapEff", "0"), 16) >> bit & 1)


def pairs_of(lines: str) -> dict[str, str]:
    """Return the lines `name: value` of a text, as /proc/PID/status has them."""
    parts = (line.partition(":") for line in lines.splitlines())
    return {name: value.strip() for name, _, value in parts}


def pairs(path: str | Path) -> dict[str, int]:
    """Return the lines `name value` of a file, as memory.stat and /proc/vmstat have them."""
    words = (line.split() for line in text(path).splitlines())
    return {row[0].rstrip(":"): int(row[1]) for row in words if len(row) > 1 and row[1].isdigit()}


def pressure(path: str | Path) -> dict[str, int]:
    """Return the stalled time in µs of a pressure file, by "some" and "full"."""
    rows = (line.split() for line in text(path).splitlines())
    return {row[0]: int(row[-1].partition("=")[2]) for row in rows if row}


def tables(path: str | Path) -> dict[str, int]:
    """Return /proc/net/snmp as counters by protocol and name, such as "Tcp.ActiveOpens"."""
    lines = [line.split() for line in text(path).splitlines()]
    found: dict[str, int] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        protocol = names[0].rstrip(":")
        found |= {
            f"{protocol}.{name}": int(value)
            for name, value in zip(names[1:], values[1:], strict=True)
        }
    return found


def sockets(path: str | Path) -> dict[str, int]:
    """Return /proc/net/sockstat as counts by protocol and name, such as "TCP.inuse"."""
    found: dict[str, int] = {}
    for line in text(path).splitlines():
        protocol, _, rest = line.partition(":")
        words = rest.split()
        found |= {
            f"{protocol}.{name}": int(value)
            for name, value in zip(words[::2], words[1::2], strict=False)
        }
    return found


def interfaces(path: str | Path) -> dict[str, dict[str, int]]:
    """Return the counters of /proc/net/dev by interface: rx and tx bytes and packets."""
    found = {}
    for line in text(path).splitlines()[2:]:
        name, _, rest = line.partition(":")
        words = rest.split()
        places = {"rx_bytes": 0, "rx_pkts": 1, "tx_bytes": 8, "tx_pkts": 9}
        found[name.strip()] = {one: int(words[place]) for one, place in places.items()}
    return found


def total(rows: Iterable[Mapping[str, int]], names: Iterable[str]) -> dict[str, int]:
    """Return the sums over some rows of counters, by name; a row without a name adds nothing."""
    kept = list(rows)
    return {name: sum(row.get(name, 0) for row in kept) for name in names}


def pick(found: Mapping[str, int], names: Iterable[str]) -> list[float]:
    """Return the values of some names in their order, NaN for one that the file does not have."""
    return [float(found[name]) if name in found else NOT_MEASURED for name in names]
