"""The rows of each machine, and whether their times tell events, parts and quantities apart.

A table may have one row for each machine and time; or several, which differ in a column such as the
name of a disk or of the quantity, so that they must be pivoted, or joined; or a row for each event,
at irregular times. Times that are even within each machine tell these apart.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from phasewatch.adapters.suggest.columns import words
from phasewatch.adapters.suggest.columns.hosts import groups
from phasewatch.adapters.suggest.columns.words import lexicon
from phasewatch.adapters.suggest.sample import Sample
from phasewatch.episode import Floats, Ints

MOST_KEYS, MOST_SERIES = 3, 400
"""Columns that tell the rows of one time apart, and rows of one time, at most."""

REPEATED = 0.01
"""The share of rows with the time of the row before, from which on they are no accident."""

PART_WORDS = frozenset(
    ["device", "disk", "dev", "interface", "iface", "nic", "cpu", "core", "gpu", "mount", "fs",
     "partition", "volume", "queue", "numa", "socket", "mode", "state", "direction", "path"]
)  # fmt: skip
"""Words for the parts of a machine, and for the states in which something is measured."""

NAME_WORDS = lexicon(
    """
    name names field fields measurement metric metrics key variable parameter item counter tag
    quantity series signal channel type event attribute
    """
)
VALUE_WORDS = frozenset(["value", "values", "val", "reading", "measure", "result", "data"])
"""Words for the columns of a long table: what is measured, and its value."""


@dataclass(frozen=True)
class Series:
    """Rows of one machine in one part: the part's place and the rows in the order of time."""

    part: int
    host: str
    rows: Ints
    seconds: Floats


def by_host(sample: Sample, seconds: Sequence[Floats], host: str) -> list[Series]:
    """Return the rows of each machine in each part; of each part where no column names machines."""
    found = []
    for place, times in enumerate(seconds):
        rows = groups(sample.cells(host)[place]) if host else {"": list(range(len(times)))}
        for name, one in rows.items():
            chosen = np.array(one, dtype=np.int64)
            chosen = chosen[np.isfinite(times[chosen])]
            chosen = chosen[np.argsort(times[chosen], kind="stable")]
            if len(chosen):
                found.append(Series(place, name, chosen, times[chosen]))
    return found


def every_s(series: Iterable[Series]) -> float:
    """Return the usual seconds from one time to the next within a machine, 0 where all are one."""
    steps = np.concatenate([np.diff(np.unique(one.seconds)) for one in series] or [np.zeros(0)])
    return float(np.median(steps)) if len(steps) else 0.0


def even(series: Iterable[Series]) -> bool:
    """Return whether the different times of most machines come at even intervals."""
    found = []
    for one in series:
        steps = np.diff(np.unique(one.seconds))
        if len(steps) > 1:
            low, usual, high = np.quantile(steps, [0.1, 0.5, 0.9])
            found.append(high - low <= usual)
    return not found or sum(found) * 2 > len(found)


def repeated(series: Iterable[Series]) -> bool:
    """Return whether rows of one machine often have the time of another of its rows."""
    rows = times = 0
    for one in series:
        rows += len(one.seconds)
        times += len(np.unique(one.seconds))
    return rows - times > REPEATED * rows


def joinable(sample: Sample, series: Iterable[Series], numbers: Sequence[str]) -> bool:
    """Return whether rows of one machine and time never have a value in the same column.

    A column that never changes, such as the seconds between rows, does not count.
    """
    numbers = [name for name in numbers if len(set(sample.every(name)) - {""}) > 1]
    for one in series:
        _, place = np.unique(one.seconds, return_inverse=True)
        for name in numbers:
            cells = sample.cells(name)[one.part]
            filled = np.array([bool(cells[row]) for row in one.rows])
            if np.bincount(place[filled]).max(initial=0) > 1:
                return False
    return True


def keys(sample: Sample, series: Sequence[Series], candidates: Sequence[str]) -> tuple[str, ...]:
    """Return columns that tell the rows of one machine and time apart; empty where none do.

    Names of quantities come first, then the fewest other columns, those with the fewest values
    first. Each column has few values, which recur through the whole file.
    """
    first = sorted(candidates, key=lambda name: (not names_quantity(name), _values(sample, name)))
    chosen: list[str] = []
    for _ in range(MOST_KEYS):
        left = [name for name in first if name not in chosen]
        counted = [(_doubled(sample, series, (*chosen, name)), name) for name in left]
        if not counted:
            return ()
        best = min(counted, key=lambda one: one[0])
        if chosen and best[0] >= _doubled(sample, series, tuple(chosen)):
            return ()
        chosen.append(best[1])
        if best[0] == 0:
            return _with_siblings(sample, [name for name in first if name in chosen], candidates)
    return ()


def _with_siblings(
    sample: Sample, chosen: Sequence[str], candidates: Sequence[str]
) -> tuple[str, ...]:
    """Return columns with those of one name but for its number, as part_2 and part_3 of a path."""
    stems = {words.stem(name) for name in chosen} - {""}
    others = [name for name in sample.columns if words.stem(name) in stems]
    return (
        *(name for name in chosen if name not in others),
        *(name for name in others if name in candidates),
    )


def _values(sample: Sample, name: str) -> int:
    """Return the number of different texts of a column."""
    return len(set(sample.every(name)))


def _doubled(sample: Sample, series: Sequence[Series], names: tuple[str, ...]) -> int:
    """Return how many rows have machine, time and the texts of these columns in common."""
    doubled = 0
    for one in series:
        cells = [sample.cells(name)[one.part] for name in names]
        texts = [tuple(column[row] for column in cells) for row in one.rows]
        doubled += len(one.rows) - len(set(zip(one.seconds.tolist(), texts, strict=True)))
    return doubled


def names_quantity(name: str) -> bool:
    """Return whether a name is that of the column which says what a long table measures."""
    return bool(NAME_WORDS & set(words.words(name)))


def names_part(name: str) -> bool:
    """Return whether a name is that of a column of disks, CPUs or other parts of a machine."""
    return bool(PART_WORDS & set(words.words(name)))


def key_like(sample: Sample, name: str) -> bool:
    """Return whether the values of a column recur, so that it may tell series apart."""
    rows, values = len(sample.every(name)), _values(sample, name)
    return 2 <= values <= MOST_SERIES and values * 3 <= rows


def long_form(columns: Sequence[str], numbers: Sequence[str]) -> str:
    """Return the only column of values of a long table; empty where there are several columns."""
    found = [name for name in numbers if VALUE_WORDS & set(words.words(name))]
    return found[0] if len(found) == 1 and len(numbers) <= 4 and len(columns) > 2 else ""


def of_flows(columns: Iterable[str]) -> bool:
    """Return whether columns name both ends of a flow, as addresses and ports."""
    return sum(words.of_endpoint(name) for name in columns) >= 2


def of_events(columns: Iterable[str]) -> bool:
    """Return whether columns are those of a log of events, flows or alerts."""
    return sum(words.of_event(name) for name in columns) >= 2
