"""The first rows of some files of a source, by which its schema and mapping are drafted."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from phasewatch.adapters.reading import opening
from phasewatch.adapters.reading.table import Table
from phasewatch.adapters.suggest.columns import labels
from phasewatch.errors import Refused, counted

FILES, ROWS = 12, 20_000
"""Files that are read, spread evenly over all of them, and rows of each."""

HOST_IN_HEADER = re.compile(r"^\\\\([^\\]+)\\")
"""What Windows' performance monitor writes before the name of each quantity: the machine."""

OBJECTS = ("json", "jsonl")
"""Formats in which a row may lack columns that others have."""


@dataclass(frozen=True)
class Part:
    """The first rows of one file, and its path relative to the source."""

    name: str
    table: Table

    @property
    def columns(self) -> frozenset[str]:
        """The names of its columns."""
        return frozenset(self.table.columns)


@dataclass(frozen=True)
class Sample:
    """The parts of a source that share their columns; `names` are the paths of all its files.

    `columns` are those of any part, in order. `others` are parts with other columns, and
    `unreadable` says what was wrong with files that could not be read. `header_host` tells whether
    the names of columns began with the machine, which is taken off.
    """

    source: Path
    names: tuple[str, ...]
    parts: tuple[Part, ...]
    columns: tuple[str, ...]
    others: tuple[Part, ...] = ()
    unreadable: tuple[str, ...] = ()
    header_host: bool = False
    _texts: dict[str, list[list[str]]] = field(default_factory=dict)
    _counts: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def first(self) -> Table:
        """The rows of the first file."""
        return self.parts[0].table

    def cells(self, column: str) -> list[list[str]]:
        """Return the texts of a column, part by part; empty where a part lacks it."""
        if column not in self._texts:
            self._texts[column] = [
                [cell.strip() for cell in part.table.columns[column]]
                if column in part.columns
                else [""] * len(part.table)
                for part in self.parts
            ]
        return self._texts[column]

    def every(self, column: str) -> list[str]:
        """Return the texts of a column of all parts, one after the other."""
        return [cell for cells in self.cells(column) for cell in cells]

    def examples(self, column: str) -> str:
        """Return the number of different texts of a column, and the first three."""
        texts = sorted({" ".join(cell[:40].split()) for cell in self.every(column)} - {""})
        if not texts:
            return "empty"
        return f"{len(texts)}: {', '.join(texts[:3])}{', …' if texts[3:] else ''}"

    @property
    def complete(self) -> bool:
        """Whether the sample holds all rows of all files."""
        return len(self.names) == len(self.parts) and all(one.table.complete for one in self.parts)

    @cached_property
    def unchanging(self) -> tuple[str, ...]:
        """The columns that hold one text throughout the sample, though it is not complete."""
        if self.complete:
            return ()
        texts = {name: set(self.every(name)) for name in self.columns}
        one = [name for name, cells in texts.items() if len(cells) == 1 and cells != {""}]
        return tuple(name for name in one if not labels.is_number(next(iter(texts[name]))))

    def whole(self, column: str, most: int) -> Counter[str]:
        """Count the different texts of a column in all rows of all files, up to about `most`.

        Rows beyond the sample are read for it, but of this column and the unchanging ones alone.
        Files without it do not count.
        """
        if column not in self._counts:
            if self.complete:
                self._counts[column] = Counter(self.every(column))
            else:
                self._count({column, *self.unchanging}, column, most)
        return self._counts[column]

    def _count(self, columns: set[str], column: str, most: int) -> None:
        """Count the texts of some columns, until one has more than `most`."""
        found: dict[str, Counter[str]] = {name: Counter() for name in columns}
        for one in opening.find(self.source):
            if one.name not in self.names or len(found[column]) > most:
                continue
            try:
                opened = opening.open_table(one)
                for batch in opened.batches(columns & set(opened.layout.names)):
                    for name, cells in batch.columns.items():
                        found[name] += _texts(cells)
            except Refused:
                continue
        self._counts.update(found)

    def everywhere(self, column: str) -> bool:
        """Return whether every part has a column."""
        return all(column in part.columns for part in self.parts)


def read(source: Path) -> Sample:
    """Return a sample of a table or a folder of tables.

    A file that cannot be read is told, unless it is the only one. Raises Refused.
    """
    inputs = opening.find(source)
    if not inputs:
        raise Refused(source, "holds no table", "files with rows, or a folder", "Check the path.")
    found: list[Part] = []
    unreadable: list[str] = []
    for one in inputs[:: -(-len(inputs) // FILES)]:
        try:
            found.append(Part(one.name, _distinct(opening.sample(one, rows=ROWS))))
        except Refused as error:
            if len(inputs) == 1:
                raise
            unreadable.append(str(error))
    full = [part for part in found if len(part.table)]
    if not full:
        problem = f"none of {counted(len(inputs), 'file')} holds a row"
        if unreadable:
            problem += f"; the first: {unreadable[0]}"
        raise Refused(source, problem, "a table with a row for each time", "Check the files.")
    named = [_without_host(part) for part in full]
    main, others = _alike(named)
    return Sample(
        source,
        tuple(one.name for one in inputs),
        tuple(main),
        tuple(dict.fromkeys(name for part in main for name in part.table.columns)),
        tuple(others),
        tuple(unreadable),
        any(one is not part for one, part in zip(named, full, strict=True)),
    )


def _distinct(table: Table) -> Table:
    """Return a table without rows that are the same as an earlier one, which `import` drops."""
    rows = list(zip(*table.columns.values(), strict=True))
    first = {row: place for place, row in reversed(list(enumerate(rows)))}
    if len(first) == len(rows):
        return table
    kept = sorted(first.values())
    columns = {name: [cells[row] for row in kept] for name, cells in table.columns.items()}
    return replace(table, lines=[table.lines[row] for row in kept], columns=columns)


def _without_host(part: Part) -> Part:
    """Return a part without the machine in the names of its columns, where they begin with it."""
    if not any(HOST_IN_HEADER.match(name) for name in part.table.columns):
        return part
    machines = {found[1] for name in part.table.columns if (found := HOST_IN_HEADER.match(name))}
    if len(machines) > 1:
        raise Refused(
            part.name, f"has columns of several machines: {', '.join(sorted(machines)[:4])}",
            "a file for each machine", r"Write one for each, by relog -c \\MACHINE\* for example.",
        )  # fmt: skip
    columns = {HOST_IN_HEADER.sub("", name): cells for name, cells in part.table.columns.items()}
    return replace(part, table=replace(part.table, columns=columns))


def _texts(cells: Any) -> Counter[str]:
    """Count the different texts of an Arrow array."""
    found: Counter[str] = Counter()
    for pair in cells.value_counts().to_pylist():
        found[str(pair["values"] or "").strip()] += pair["counts"]
    return found


def _alike(found: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """Return the parts that have the columns of most of them, and the others.

    A part with further columns, or one of objects, which need not have all columns, is alike.
    """
    shapes = Counter(part.columns for part in found)

    def order(shape: frozenset[str]) -> tuple[int, int, int, int]:
        alike = sum(shape <= part.columns for part in found)
        return alike, shapes[shape], _rows(found, shape), len(shape)

    usual = max(shapes, key=order)
    main = [part for part in found if usual <= part.columns or _objects(part, usual)]
    return main, [part for part in found if part not in main]


def _rows(found: Iterable[Part], shape: frozenset[str]) -> int:
    """Return the number of rows of the parts with these columns."""
    return sum(len(part.table) for part in found if part.columns == shape)


def _objects(part: Part, usual: frozenset[str]) -> bool:
    """Return whether a part of objects shares most columns with the usual ones."""
    return part.table.layout.format in OBJECTS and 2 * len(usual & part.columns) >= len(usual)
