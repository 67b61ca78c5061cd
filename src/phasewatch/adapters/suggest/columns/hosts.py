"""Which column names the machine of each row, and whether a column only tells series apart.

A name decides first. Without one, a column is asked about when the times of the rows are regular
within each of its values and not without it: then the file holds several series.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from phasewatch.adapters.suggest.columns.words import lexicon, words
from phasewatch.episode import Floats

SURE = lexicon(
    """
    host hostname machine node vm computer agent endpoint workstation server asset nodename
    computername machinename vmname servername devicename hostid
    """
)
"""Words that name a machine."""

PART = re.compile(
    r"(/dev/)?(sd|hd|vd|xvd|nvme|dm-|md|loop|sr|eth|ens|enp|eno|em|wlan|lo|br|bond|cpu|core|gpu)"
    r"[a-z0-9:p_-]*|_?total|all|[a-z]:|-?[0-9]{1,3}",
    re.IGNORECASE,
)
"""Names of disks, network interfaces and CPUs: parts of a machine."""

LIKELY = lexicon(
    """
    device instance board domain dom guest system sensor
    """
)
"""Words that may name a machine, or a disk, a queue, a part of it."""

BESIDE = lexicon(
    """
    id name identifier uuid ip addr address key label tag fqdn no number
    """
)
"""Words that may stand beside those above."""

NUMBERED = re.compile(
    r"(web|db|app|srv|server|host|node|vm|machine|worker|pc|client|pi|edge|master|ws|dc)[-_.]?\d+",
    re.IGNORECASE,
)
"""Names of columns that are rather those of machines."""

SAMPLE = re.compile(r"(sample|run|session|recording|trace|job)(_?id)?", re.IGNORECASE)

MOST_HOSTS = 10_000
"""With more values a column does not name machines."""


def named(columns: Sequence[str]) -> str:
    """Return the column that names a machine by its name, the surest first; empty for none."""
    ranked = [(rank, place) for place, name in enumerate(columns) if (rank := _rank(name)) < 9]
    return columns[min(ranked)[1]] if ranked else ""


def _rank(name: str) -> int:
    """Return 0 to 8 for a name of machines, the surest first, and 9 for another name."""
    parts = words(name)
    said = [part for part in parts if part not in BESIDE]
    if not said:
        return 9
    beside = len(parts) - len(said)
    if said[-1] in SURE:
        # "hostname" before "agent.hostname", and a name before an address of the same machine.
        return min(len(said) - 1 + beside, 4) if len(said) <= 3 else 9
    if len(said) == 1 and said[0] in LIKELY:
        return 5 + min(beside, 3)
    return 9


def likely_only(name: str) -> bool:
    """Return whether a name may stand for a part of a machine as well, so that data must decide."""
    return _rank(name) >= 5


def names_parts(cells: Iterable[str]) -> bool:
    """Return whether texts name disks, interfaces or CPUs rather than machines."""
    return all(PART.fullmatch(cell) for cell in set(cells) - {""})


def sample(columns: Sequence[str]) -> str:
    """Return the last column that names a recording by its name; empty for none."""
    found = [name for name in columns if SAMPLE.fullmatch(name.rpartition(".")[2])]
    return found[-1] if found else ""


def groups(cells: Sequence[str]) -> dict[str, list[int]]:
    """Return the rows of each value of a column."""
    found: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        found.setdefault(cell, []).append(row)
    return found


def separates(cells: Sequence[str], seconds: Floats) -> bool:
    """Return whether the times are regular within each value of a column, and not over all rows.

    Each value has at least three rows, and no value has two rows with one time.
    """
    rows = groups(cells)
    if not 2 <= len(rows) <= max(2, len(cells) // 3) or regular(seconds):
        return False
    return all(len(one) > 2 and regular(seconds[one]) for one in rows.values())


def regular(seconds: Floats) -> bool:
    """Return whether times come at even intervals, without two at one time."""
    steps = np.diff(np.sort(seconds))
    if not len(steps) or not steps.all():
        return False
    low, usual, high = np.quantile(steps, [0.1, 0.5, 0.9])
    return bool(high - low <= usual)
