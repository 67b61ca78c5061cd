"""The first rows of some files of a source, by which its schema and mapping are drafted."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from phasewatch.adapters import tables
from phasewatch.adapters.tables import Table
from phasewatch.errors import Refused, counted

FILES, ROWS = 12, 20_000
"""Files that are read, spread evenly over all of them, and rows of each."""

ROWS_OF_OBJECTS = ("json", "jsonl", "lines")
"""Formats in which a row may lack columns that others have."""


@dataclass(frozen=True)
class Sample:
    """The tables of a source that share their columns; `names` are the paths of all its files.

    `columns` are those of any of the tables, in order. `others` are tables with other columns, by
    their relative paths, and `unreadable` what was wrong with the files that could not be read.
    """

    source: Path
    names: tuple[str, ...]
    tables: tuple[Table, ...]
    columns: tuple[str, ...]
    others: tuple[Table, ...] = ()
    unreadable: tuple[str, ...] = ()
    mixed: bool = False
    _texts: dict[str, list[list[str]]] = field(default_factory=dict)

    def cells(self, column: str) -> list[list[str]]:
        """Return the texts of a column, table by table; empty where a table lacks it."""
        if column not in self._texts:
            self._texts[column] = [
                [cell.strip() for cell in table.columns[column]]
                if column in table.columns
                else [""] * len(table)
                for table in self.tables
            ]
        return self._texts[column]

    def distinct(self, column: str) -> set[str]:
        """Return the different texts of a column."""
        return {cell for cells in self.cells(column) for cell in cells}

    def everywhere(self, column: str) -> bool:
        """Return whether every table has a column."""
        return all(column in table.columns for table in self.tables)

    def relative(self, path: Path) -> str:
        """Return the path of a file in the source, with slashes."""
        return relative(self.source, path)


def relative(source: Path, path: Path) -> str:
    """Return the path of a file in a source, with slashes."""
    return path.name if source.is_file() else path.relative_to(source).as_posix()


def read(source: Path) -> Sample:
    """Return a sample of a table or a folder of tables.

    A file that cannot be read is told, unless it is the only one. Raises Refused.
    """
    paths = _paths(source)
    found: list[Table] = []
    unreadable: list[str] = []
    for path in paths[:: -(-len(paths) // FILES)]:
        try:
            found.append(tables.head(path, ROWS))
        except Refused as error:
            if len(paths) == 1:
                raise
            unreadable.append(str(error))
    full = [table for table in found if len(table)]
    if not full:
        raise Refused(
            source, f"none of {counted(len(paths), 'file')} holds rows; {(unreadable or ['no row'])[0]}",
            "a table with a row for each time", "Check the files.",
        )  # fmt: skip
    main, others = _alike(full)
    return Sample(
        source,
        tuple(relative(source, path) for path in paths),
        tuple(main),
        tuple(dict.fromkeys(name for table in main for name in table.columns)),
        tuple(others),
        tuple(unreadable),
    )


def _paths(source: Path) -> list[Path]:
    """Return the files of a source that may be tables, sorted. Raises Refused without one."""
    if source.is_file():
        return [source]
    paths = sorted(path for path in source.rglob("*") if path.is_file() and tables.readable(path))
    if not paths:
        raise Refused(source, "holds no table", f"files that are {tables.FORMATS}", "Check the path.")
    return paths


def _alike(found: Sequence[Table]) -> tuple[list[Table], list[Table]]:
    """Return the tables that have the columns of most of them, and the others.

    A table with further columns, or one of objects, which need not have all columns, is alike.
    """
    shapes = Counter(frozenset(table.columns) for table in found)
    usual = max(shapes, key=lambda shape: (shapes[shape], _rows(found, shape), len(shape)))
    main = [table for table in found if usual <= frozenset(table.columns) or _objects(table, usual)]
    return main, [table for table in found if table not in main]


def _rows(found: Iterable[Table], shape: frozenset[str]) -> int:
    return sum(len(table) for table in found if frozenset(table.columns) == shape)


def _objects(table: Table, usual: frozenset[str]) -> bool:
    """Return whether a table of objects shares most columns with the usual ones."""
    shared = len(usual & frozenset(table.columns))
    return table.layout.format in ROWS_OF_OBJECTS and 2 * shared >= len(usual)
