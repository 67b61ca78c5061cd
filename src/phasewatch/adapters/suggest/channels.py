"""Which columns become channels: their names, kinds and units; and why others do not."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from phasewatch.adapters.numerals import Numerals
from phasewatch.adapters.suggest import time_columns
from phasewatch.adapters.suggest.columns import kinds, labels, numbers, units, words
from phasewatch.adapters.suggest.columns.kinds import Guess
from phasewatch.adapters.suggest.columns.words import lexicon
from phasewatch.adapters.suggest.sample import Sample
from phasewatch.adapters.suggest.series import Series
from phasewatch.episode import Floats

SOURCE = "table"
"""The name of the source in a draft."""

IDENTIFIES = lexicon(
    """
    id ids uid uuid guid pid ppid tid port ports serial hash inode idx seq mac ip addr
    """
)
"""Words of numbers that name something where rows are samples."""

MOST_QUANTITIES = 300
"""Quantities of a long table, at most."""


@dataclass(frozen=True)
class Channel:
    """A channel of a draft, and the column or quantity that it is taken from; empty for rows."""

    column: str
    kind: Guess
    unit: str = "1"
    optional: bool = False
    where: tuple[str, str] | None = None
    """The column and the text of the rows that are counted, where not all are."""
    number: int = 1
    """2 and more for further channels whose columns would give them the same name."""

    @property
    def name(self) -> str:
        """The name of the channel within its source."""
        said = self.where[1] if self.where else self.column
        plain = re.sub(r"^-(?=\d)", "minus_", said.lower()).replace("%", "pct_")
        name = re.sub(r"[^a-z0-9_]+", "_", plain).strip("_") or "rows"
        return f"{name}_{self.number}" if self.number > 1 else name


@dataclass
class Columns:
    """The columns of numbers of a sample, part by part, and what was found about the others."""

    numbers: dict[str, list[Floats]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    missing: dict[str, None] = field(default_factory=dict)
    percent: set[str] = field(default_factory=set)
    """Columns in which a percent sign follows each number."""


def read(sample: Sample, names: Sequence[str], numerals: Numerals) -> Columns:
    """Return columns as numbers where all their cells are, and the words that mean missing."""
    found = Columns()
    for name in names:
        cells = sample.every(name)
        values, missing = numbers.values(cells, numerals)
        if values is None:
            found.texts.append(name)
            continue
        found.missing.update(dict.fromkeys(missing))
        if any(cell.endswith("%") for cell in cells):
            found.percent.add(name)
        if gone := numbers.sentinel(cells, values):
            found.missing[gone] = None
            values = np.where(values == float(gone), np.nan, values)
        ends = np.cumsum([len(part.table) for part in sample.parts])
        found.numbers[name] = np.split(values, ends[:-1])
    return found


def of_columns(
    sample: Sample, columns: Columns, series: Sequence[Series], events: bool
) -> tuple[list[Channel], list[str]]:
    """Return the channels among the columns of numbers, and a remark on each other one."""
    chosen: list[Channel] = []
    remarks: list[str] = []
    constant: list[str] = []
    for name, parts in columns.numbers.items():
        values = [parts[one.part][one.rows] for one in series]
        if numbers.constant(values) and not (events and _amount(name, values)):
            constant.append(name)
        elif why := _left_out(name, values, events):
            remarks.append(f"left out, {why}: {name}")
        else:
            kind = "event" if events else kinds.kind(name, values)
            optional = not sample.everywhere(name)
            unit = "%" if name in columns.percent else units.of_name(name)
            chosen.append(Channel(name, kind, unit, optional))
    if constant:
        remarks.append(f"left out, constant for each machine and file: {', '.join(constant)}")
    return apart(chosen), remarks


def _left_out(name: str, values: Sequence[Floats], events: bool) -> str:
    """Return why a column of numbers is no channel; empty where it is one."""
    known = [one[np.isfinite(one)] for one in values]
    if labels.holds_answer(name):
        return "its name says that it holds the answer"
    if time_columns.rank_of(name) < 2 and _like_clock(known):
        return "a second time column"
    if "uptime" in words.words(name):
        return "the time since boot"
    whole = all((one == np.round(one)).all() for one in known)
    if not events:
        parts = words.words(name)
        if whole and (IDENTIFIES & set(parts) or parts[-1:] == ["p"]):
            return "an identifier"
        return "the number of the row" if _counts_rows(known) else ""
    if words.identifier(name) and not words.extensive(name):
        return "an identifier"
    if not words.extensive(name):
        return "nothing says that its values add up over events"
    if kinds.cumulative(values) and not words.of_one_flow(name):
        return "a running total among events, which must not be summed"
    if any((one < 0).any() for one in known):
        return "below 0, so that its values do not add up over events"
    return ""


def _amount(name: str, values: Sequence[Floats]) -> bool:
    """Return whether every event has one amount above 0, whose sum in a bin changes."""
    return words.extensive(name) and any((one[np.isfinite(one)] > 0).any() for one in values)


def _like_clock(known: Sequence[Floats]) -> bool:
    """Return whether numbers are as large as Unix times."""
    return any(len(one) and float(np.median(one)) > 9e8 for one in known)


def _counts_rows(known: Sequence[Floats]) -> bool:
    """Return whether numbers count rows: from 0 or 1, by one from row to row."""
    return all(len(one) > 2 and one[0] in (0, 1) and (np.diff(one) == 1).all() for one in known)


def of_quantities(
    columns: Columns, series: Sequence[Series], names: Sequence[Sequence[str]],
    values: Sequence[str],
) -> tuple[list[Channel], list[str]]:  # fmt: skip
    """Return a channel for each quantity of a long table, and remarks.

    `names` are the quantity of each row, part by part; `values` the columns that hold the values.
    """
    found: dict[str, list[Floats]] = {}
    for quantity, column, one in _rows_of_quantities(series, names, values):
        part = columns.numbers[column][one.part]
        key = f"{quantity}.{column}" if len(values) > 1 else quantity
        numbers_of = part[one.rows]
        if np.isfinite(numbers_of).any():
            found.setdefault(key, []).append(numbers_of)
    constant = [name for name, series_of in found.items() if numbers.constant(series_of)]
    chosen = [
        Channel(name, kinds.kind(name, series_of), units.of_name(name))
        for name, series_of in found.items()
        if name not in constant
    ]
    remarks = [f"left out, constant: {', '.join(constant[:12])}"] if constant else []
    answers = [one.column for one in chosen if labels.holds_answer(one.column)]
    if answers:
        remarks.append(f"left out, its name says that it holds the answer: {', '.join(answers)}")
    return apart([one for one in chosen if one.column not in answers][:MOST_QUANTITIES]), remarks


def _rows_of_quantities(
    series: Sequence[Series], names: Sequence[Sequence[str]], values: Sequence[str]
) -> Iterator[tuple[str, str, Series]]:
    """Yield each quantity, each column of values, and the rows of one machine that hold it."""
    for one in series:
        texts = np.array(names[one.part], dtype=object)[one.rows]
        for quantity in dict.fromkeys(texts):
            chosen = texts == quantity
            part = Series(one.part, one.host, one.rows[chosen], one.seconds[chosen])
            for column in values:
                yield str(quantity), column, part


def apart(chosen: Sequence[Channel]) -> list[Channel]:
    """Return channels with a number each where their columns would give them one name."""
    seen: Counter[str] = Counter()
    found = []
    for one in chosen:
        seen[one.name] += 1
        found.append(replace(one, number=seen[one.name]))
    return found
