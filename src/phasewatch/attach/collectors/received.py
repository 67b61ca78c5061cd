"""A machine elsewhere: `attach --to` sends its samples, and `receive --samples` keeps them here."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from phasewatch import schema
from phasewatch.attach import collector
from phasewatch.attach.collector import Target, missing_target
from phasewatch.attach.probe import NOT_MEASURED, Gone, Probe, Row
from phasewatch.errors import Refused
from phasewatch.io import journal
from phasewatch.schema import NS, Schema

SCHEMAS = ("host", "cgroup", "vm46")
"""What a sender's lines may be of: the schemas of the other collectors."""

SILENT_NS = 5 * NS
"""A time without a line after which windows begin anew."""

BLOCK = 1 << 20
LOOKED_AT = 1 << 18
"""Bytes at the end of a journal that are looked at to find out whose lines it has."""

Line = dict[str, Any]


class Tail:
    """The lines of one machine that are added to a journal in `folder`, from now on."""

    def __init__(self, folder: Path, machine: str) -> None:
        self._folder, self._machine = folder, machine
        self._offset = end_of(folder)
        self._last_ns = 0
        self.rows: dict[str, list[Line]] = defaultdict(list)
        self.gaps: list[tuple[int, str]] = []

    def read(self) -> None:
        """Sort the new lines by their source. Raises OSError."""
        start = min(journal.found(self._folder), default=0)
        if self._offset < start:
            self._offset = start
            self.gaps.append((self._last_ns, "lines were removed before they were read"))
        while data := journal.read(self._folder, self._offset, BLOCK):
            self._offset += len(data)
            for line in parsed(data, self._machine):
                self._take(line)

    def _take(self, line: Line) -> None:
        now_ns = line["t_wall_ns"]
        if "gap" in line:
            self.gaps.append((now_ns, str(line["gap"])))
        else:
            self.rows[line["source"]].append(line)
            silent_ns = now_ns - self._last_ns
            if self._last_ns and silent_ns > SILENT_NS:
                self.gaps.append((now_ns, f"silent for {silent_ns / NS:.0f} s"))
        self._last_ns = max(self._last_ns, now_ns)


class Part(Probe):
    """One source of a machine elsewhere; the first of its parts reads for all."""

    def __init__(self, tail: Tail, source: str, channels: Sequence[str]) -> None:
        self.source, self.channels = source, channels  # type: ignore[misc]
        self._tail = tail
        self._absent: frozenset[str] = frozenset()

    @property
    def unmeasured(self) -> dict[str, str]:
        """The channels that the last line of the source did not have."""
        return dict.fromkeys(sorted(self._absent), "the sender does not measure it")

    def read(self) -> list[float]:
        """Raise OSError: a machine elsewhere is not read, its lines are."""
        raise OSError("a machine elsewhere is not read")

    def rows(self, wall_ns: int, mono_ns: int) -> list[Row]:
        """Return the rows that came since the last call, with the clocks of the sender."""
        self._tail.read()
        found = [self._row(line) for line in self._tail.rows.pop(self.source, [])]
        if found:
            pairs = zip(self.channels, found[-1][2], strict=True)
            self._absent = frozenset(name for name, value in pairs if math.isnan(value))
        return found

    def _row(self, line: Line) -> Row:
        values = [line["values"].get(f"{self.source}.{name}") for name in self.channels]
        known = [NOT_MEASURED if value is None else float(value) for value in values]
        wall_ns: int = line["t_wall_ns"]
        mono_ns: int = line.get("t_mono_ns", wall_ns)
        return wall_ns, mono_ns, known


class Collector(collector.Collector):
    """One machine whose lines a receiver keeps in a folder of this machine."""

    kind, schema_name = "received", "vm46"
    needs = "the folder in which `phasewatch receive --samples` keeps the lines of its host"
    blind = (
        "whether a sender tells the truth: its token says only who sends",
        "what was lost before it was sent, but for the gap that it leaves",
    )

    def __init__(self, target: Target) -> None:
        """Follow the lines of a machine. Raises Gone where there are none, and Refused."""
        folder, machine = place(target)
        self.followed, self.absent = target, {}
        self.name = target.name or machine
        layout = self.schema_of(target)
        self._tail = Tail(folder, machine)
        self.probes = tuple(
            Part(self._tail, source, [one.name.partition(".")[2] for one in channels])
            for source in layout.sources
            if (channels := layout.channels_of(source))
        )

    @classmethod
    def schema_of(cls, target: Target) -> Schema:
        """Return the schema that has all channels of the machine's last lines. Raises Refused."""
        folder, machine = place(target)
        lines = parsed(last_lines(folder), machine)
        names = {name for line in lines for name in line.get("values", ())}
        for candidate in map(schema.shipped, SCHEMAS):
            if names <= set(candidate.names):
                return candidate
        raise Refused(
            f"received {target.target}",
            f"has channels of no schema, such as {sorted(names)[0]}",
            f"those of {', '.join(SCHEMAS)}",
            "Use the same release here and there.",
            code="target",
        )

    def gaps(self) -> Sequence[tuple[int, str]]:
        """Return what interrupted the lines since the last call."""
        found, self._tail.gaps = self._tail.gaps, []
        return found


def place(target: Target) -> tuple[Path, str]:
    """Return the folder of a target and the machine in it. Raises Gone, and Refused.

    A target is the folder of a host, with the machine behind it where a host sends several.
    """
    if not target.target:
        raise missing_target("received", "the folder of a host, below that of receive --samples")
    path = Path(target.target)
    if path.is_dir():
        folder, wanted = path, ""
    else:
        folder, wanted = path.parent, path.name
    machines = {line["machine"] for line in parsed(last_lines(folder))}
    if not machines or (wanted and wanted not in machines):
        raise Gone(f"no line of {wanted or 'a machine'} has come to {folder} lately")
    if not wanted and len(machines) > 1:
        raise Refused(
            f"received {folder}",
            f"has the machines {', '.join(sorted(machines))}",
            f"one of them, such as {folder / min(machines)}",
            "Name the machine behind the folder.",
            code="target",
        )
    return folder, wanted or machines.pop()


def end_of(folder: Path) -> int:
    """Return the offset at which a journal ends now."""
    sizes = journal.found(folder)
    last = max(sizes, default=0)
    return last + sizes.get(last, 0)


def last_lines(folder: Path) -> bytes:
    """Return the last whole lines of a journal, none where there is none."""
    end = end_of(folder)
    start = max(min(journal.found(folder), default=0), end - LOOKED_AT)
    found = b""
    while data := journal.read(folder, start + len(found), LOOKED_AT):
        found += data
    return found


def parsed(data: bytes, machine: str = "") -> Iterator[Line]:
    """Yield the lines that can be used, of one machine or of all; others are left out.

    A sender may be of another release, or lie: a line that is no sample and no gap is none.
    """
    for text in data.splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if usable(line) and line["machine"] == (machine or line["machine"]):
            yield line


def usable(line: object) -> bool:
    """Return whether a value is a sample of a machine, or a gap."""
    if not isinstance(line, dict) or not isinstance(line.get("machine"), str):
        return False
    if not is_time(line.get("t_wall_ns")) or not is_time(line.get("t_mono_ns", 0)):
        return False
    values = line.get("values")
    if "gap" in line or not isinstance(values, dict) or not isinstance(line.get("source"), str):
        return "gap" in line
    return all(one is None or is_number(one) for one in values.values())


def is_number(value: object) -> bool:
    """Return whether a value is a number that a sample may have."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**64)


def is_time(value: object) -> bool:
    """Return whether a value is a time in nanoseconds."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
