"""Which column names the machine of each row, and whether a column only tells series apart.

A name decides first. Without one, a column is asked about when the times of the rows are regular
within each of its values and not without it: then the file holds several series.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

import numpy as np

from phasewatch.adapters.suggest.columns.words import lexicon, of_quantity, stem, words
from phasewatch.episode import Floats

SURE = lexicon(
    """
    host hostname machine node vm computer agent endpoint workstation server asset nodename
    computername machinename vmname servername devicename hostid rechner serveur servidor maschine
    """
)
"""Words that name a machine."""

PART = re.compile(
    r"(/dev/)?((s|h|v|xv)d[a-z]{1,2}\d{0,2}|nvme\d\w*|(dm-|md|loop|sr|eth|em|wlan|br|bond)\d+"
    r"([.:]\d+)?|(ens|enp|eno)\d\w*|lo|br-\w+|(cpu|core|gpu)[ -]?(\d+|total)?)"
    r"|_?total|all|[a-z]:|-?\d{1,3}",
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
    r"(web|db|app|srv|server|host|node|vm|machine|worker|pc|client|pi|edge|master|ws|dc)[-_.]?\d+"
    r"|i-[0-9a-f]{8,17}",
    re.IGNORECASE,
)
"""Names of columns that are rather those of machines."""

STEM = re.compile(r"[^\W\d_]+[-_ ]?")
"""A word before a number."""

BETWEEN = re.compile(r"[\s./:|_]+")
"""What stands between a machine and a quantity in one name."""

SAMPLE = re.compile(r"(sample|run|session|recording|trace|job)(_?id)?", re.IGNORECASE)

NO_NAME = 9
"""The rank of a name that says nothing of machines."""

MOST_BLOCKS, LEAST_IN_BLOCK = 100, 10
"""Stretches of time with a value each, and rows of each, for values to be those of machines."""

NO_MACHINE = lexicon(
    """
    date day days weekday dow month week year hour version firmware release revision shift season
    country city language currency
    """
)
"""Words of a column whose value changes now and then, and names no machine."""

MOST_HOSTS = 10_000
"""With more values a column does not name machines."""


def named(columns: Sequence[str]) -> str:
    """Return the column that names a machine by its name, the surest first; empty for none."""
    ranked = [(rank(name), place) for place, name in enumerate(columns) if rank(name) < NO_NAME]
    return columns[min(ranked)[1]] if ranked else ""


def rank(name: str) -> int:
    """Return 0 to 8 for a name of machines, the surest first, and NO_NAME for another."""
    parts = words(name)
    said = [part for part in parts if part not in BESIDE]
    if not said:
        return NO_NAME
    beside = len(parts) - len(said)
    if said[-1] in SURE:
        # "hostname" before "agent.hostname", and a name before an address of the same machine.
        return min(len(said) - 1 + beside, 4) if len(said) <= 3 else NO_NAME
    if len(said) == 1 and said[0] in LIKELY:
        return 5 + min(beside, 3)
    return NO_NAME


def likely_only(name: str) -> bool:
    """Return whether a name may stand for a part of a machine as well, so that data must decide."""
    return rank(name) >= 5


def names_machine(column: str) -> bool:
    """Return whether a column has the name of a machine, with a unit behind it or not."""
    return NUMBERED.fullmatch(re.sub(r"[\s({\[:].*|%$", "", column)) is not None


def crossed(names: Sequence[str]) -> list[str]:
    """Return the words that begin or end every one of some names, each with the same others.

    As in web1.cpu, web1.rx, web2.cpu, web2.rx: the machines, which have the same quantities. Empty
    where there are none, where they are parts or quantities, and for axes such as x, y and z.
    """
    for place in (0, -1):
        rest: dict[str, set[str]] = {}
        for name in names:
            parts = BETWEEN.split(name)
            rest.setdefault(parts.pop(place), set()).add(" ".join(parts))
        same = {frozenset(found) for found in rest.values()}
        found = list(rest)
        if len(found) < 2 or len(same) > 1 or names_parts(found) or any(map(of_quantity, found)):
            continue
        (others,) = same
        axes = max(map(len, others)) == 1 or max(map(len, found)) == 1
        if all(map(names_machine, found)) or (len(others) > 1 and not axes):
            return found
    return []


def numbered(texts: Collection[str]) -> bool:
    """Return whether texts are one word with different numbers, as those of machines often are."""
    stems = {stem(text) for text in texts}
    return len(texts) > 1 and len(stems) == 1 and all(map(STEM.fullmatch, stems))


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
    """Return whether a column tells series apart: times are regular within each of its values.

    They are not regular over all rows, or the value changes from row to row: rows of machines that
    take turns are regular together, too. Each value has at least three rows.
    """
    rows = groups(cells)
    if not 2 <= len(rows) <= max(2, len(cells) // 3) or "" in rows:
        return False
    if not all(len(one) > 2 and regular(seconds[one]) for one in rows.values()):
        return False
    order = np.argsort(seconds, kind="stable")
    turns = sum(cells[a] != cells[b] for a, b in pairwise(order))
    return bool(turns > len(order) / 2)


def blocks(cells: Sequence[str], seconds: Floats) -> bool:
    """Return whether each of several values has one stretch of time to itself, of some rows.

    So it is where recordings of machines follow each other, while a state comes back.
    """
    order = np.argsort(seconds, kind="stable")
    turns = sum(cells[a] != cells[b] for a, b in pairwise(order))
    rows = groups(cells)
    few = 2 <= len(rows) <= MOST_BLOCKS and min(map(len, rows.values())) >= LEAST_IN_BLOCK
    return few and "" not in rows and turns == len(rows) - 1


def covers(cells: Sequence[str], seconds: Floats) -> bool:
    """Return whether each value of a column has rows at even times, be it several at one time."""
    rows = groups(cells)
    if not 2 <= len(rows) <= max(2, len(cells) // 3) or "" in rows:
        return False
    times = [np.unique(seconds[one]) for one in rows.values()]
    return all(len(one) > 2 and regular(one) for one in times)


def regular(seconds: Floats) -> bool:
    """Return whether times come at even intervals, without two at one time."""
    steps = np.diff(np.sort(seconds))
    if not len(steps) or not steps.all():
        return False
    low, usual, high = np.quantile(steps, [0.1, 0.5, 0.9])
    return bool(high - low <= usual)
