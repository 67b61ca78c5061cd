"""What the command line and the open files of a QEMU process say about its machine."""

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from phasewatch.attach.kernel import text

PROC = Path("/proc")
_NAME = re.compile(r"(?:^|,)guest=([^,]+)")


def words(pid: int) -> list[str]:
    """Return the command line of a process; empty for a kernel thread. Raises OSError."""
    return [word for word in text(PROC / str(pid) / "cmdline").split("\0") if word]


def machines() -> Iterator[tuple[int, list[str]]]:
    """Yield the id and the command line of every QEMU system emulator that may be seen."""
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = words(int(entry.name))
        except OSError:
            continue
        if line and is_emulator(line):
            yield int(entry.name), line


def is_emulator(line: list[str]) -> bool:
    """Return whether a command line is that of a QEMU system emulator, under any of its names."""
    program = Path(line[0]).name
    return program.startswith("qemu-system-") or program in ("kvm", "qemu-kvm")


def values(line: list[str], option: str) -> list[str]:
    """Return the values of an option such as "-name", which may stand several times."""
    return [after for word, after in pairwise(line) if word == option]


def name(line: list[str]) -> str:
    """Return the name of a machine, "" for one without: `-name X`, or `-name guest=X,…`."""
    for value in values(line, "-name"):
        found = _NAME.search(value)
        return found[1] if found else value.partition(",")[0]
    return ""


def fields(value: str) -> dict[str, str]:
    """Return the fields `key=value` of an option, of which a first word alone is under "".

    A later word alone is a field that is on, as QEMU takes it.
    """
    first, *others = value.split(",")
    key, equals, rest = first.partition("=")
    found = {key if equals else "": rest if equals else key}
    for part in others:
        key, equals, rest = part.partition("=")
        found[key] = rest if equals else "on"
    return found


def monitors(line: list[str]) -> list[Path]:
    """Return the Unix sockets on which QEMU listens as a QMP monitor."""
    found = [
        word.removeprefix("unix:").partition(",")[0]
        for word in values(line, "-qmp")
        if word.startswith("unix:")
    ]
    controls = {
        one.get("chardev", one.get("", ""))
        for one in map(fields, values(line, "-mon"))
        if one.get("mode") == "control"
    }
    for one in map(fields, values(line, "-chardev")):
        # One that does not listen connects to a program of its own, as Proxmox' second does.
        if one.get("id") in controls and "path" in one and _listens(one):
            found.append(one["path"])
    return [Path(path) for path in found]


def _listens(chardev: dict[str, str]) -> bool:
    return chardev.get("server", "off") not in ("off", "no")


def interfaces(pid: int) -> list[str]:
    """Return the tap interfaces that a process holds open. Raises PermissionError.

    The kernel lists the interface of an open /dev/net/tun in fdinfo, whoever opened it.
    """
    found = []
    folder = PROC / str(pid) / "fd"
    for handle in sorted(os.listdir(folder), key=int):
        try:
            device = os.readlink(folder / handle)
            if device == "/dev/net/tun":
                found.append(_tap(text(PROC / str(pid) / "fdinfo" / handle)))
            elif re.fullmatch(r"/dev/tap\d+", device):
                found.append(_by_number(int(device.removeprefix("/dev/tap"))))
        except FileNotFoundError:
            continue
    return list(dict.fromkeys(name for name in found if name))


def _tap(fdinfo: str) -> str:
    found = re.search(r"^iff:\s*(\S+)", fdinfo, re.MULTILINE)
    return found[1] if found else ""


def _by_number(number: int) -> str:
    """Return the interface with a number, as macvtap devices are named by it."""
    for folder in Path("/sys/class/net").iterdir():
        if int(text(folder / "ifindex")) == number:
            return folder.name
    return ""


def named_taps(line: list[str]) -> list[str]:
    """Return the tap interfaces that the command line names: `-netdev tap,…,ifname=X`."""
    devices = [*values(line, "-netdev"), *values(line, "-nic"), *values(line, "-net")]
    found = [one for one in map(fields, devices) if one.get("type", one.get("")) == "tap"]
    return [one["ifname"] for one in found if one.get("ifname", "no") != "no"]
