"""How a table of separated values is written: its separator, header, comments and rows of units.

The names that a mapping expects decide, where they are known: the header is the line that holds
them. Otherwise the separator is the one that cuts the first lines into equally many cells of which
most are numbers, dates or words, and a header is a row of words above columns of numbers.
"""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from phasewatch.adapters.numerals import RARER
from phasewatch.adapters.reading.source import unreadable
from phasewatch.adapters.reading.table import Options

SEPARATORS = (",", "\t", ";", "|", " ", "^", "~", "\x01")
"""Separators that are tried; a blank stands for any number of blanks and tabs."""

OPEN = re.compile(r'(?:^|[,;|\t])\s*"[^"]*(?:""[^"]*)*$')
"""The end of a line within a cell in quotes."""

MOST_IN_CELL = 20
"""Lines that one cell in quotes may hold."""

LOOKED_AT = 200
"""Lines that are looked at."""

NUMBER = re.compile(r"[<>~]?[+-]?(\d[\d.,_'\u2019\u00a0\u202f]*|\.\d+)([eE][+-]?\d+)?"
                    r"\s?[%A-Za-zµ°/]{0,5}|"
                    r"0x[0-9a-fA-F]+|"
                    r"[+-]?inf(inity)?", re.IGNORECASE)  # fmt: skip
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d{2}(:\d{2}.*)?|"
                  r"\w{3},? \w{3} +\d+ .*\d{4}.*|\d{1,2}[- ]\w{3}[- ]\d{2,4}.*")  # fmt: skip
PLAIN = re.compile(r"[+-]?(\d[\d.,]*|\.\d+)([eE][+-]?\d+)?")
WORDS = re.compile(r"[^,;|\t]*")
BRACKETED = re.compile(r"\[[^\]]*\]|\([^)]*\)")


UNITS = frozenset(
    {"", "-", "1", "s", "sec", "ms", "us", "ns", "min", "h", "%", "b", "kb", "mb", "gb", "kib",
     "mib", "gib", "byte", "bytes", "b/s", "kb/s", "mb/s", "bytes/s", "bit/s", "kbit/s",
     "mbit/s", "/s",
     "1/s", "hz", "khz", "mhz", "ghz", "c", "°c", "k", "w", "kw", "kwh", "v", "a", "rpm", "bar",
     "kpa", "pa", "m", "m/s", "m3/h", "l/min", "string", "double", "float", "long", "int",
     "integer", "bool", "boolean", "datetime", "timestamp", "utc", "local", "object", "int64",
     "float64"}
)  # fmt: skip
"""Words of a row of units or types, in lower case."""


@dataclass(frozen=True)
class Dialect:
    """How a table is written: see Layout. Rows of values begin at `first_line`."""

    separator: str
    names: tuple[str, ...]
    header_line: int
    first_line: int
    comment: str = ""
    padded: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Line:
    """A line that is not blank: its number, its text, and its cells by some separator."""

    number: int
    text: str
    cells: list[str]


def column_names(
    cells: Sequence[str],
    rename: Sequence[tuple[re.Pattern[str], str]] = (),
    expected: Collection[str] = (),
) -> tuple[str, ...]:
    """Return the names of columns from the cells of a header, each different from the others.

    Blanks around a name and a comment sign before the first are removed; an empty name becomes
    column_N, and the second column of one name is `name.1`. `rename` replaces what a pattern
    matches. A name that is `expected` as it stands is left so.
    """
    names: list[str] = []
    for place, cell in enumerate(cells):
        name = cell if cell in expected else _plain_name(cell, place == 0 and len(cells) > 1)
        for pattern, text in rename:
            name = pattern.sub(text, name)
        name = name or f"column_{place + 1}"
        base, times = name, 0
        while name in names:
            times += 1
            name = f"{base}.{times}"
        names.append(name)
    return tuple(names)


def _plain_name(cell: str, first: bool) -> str:
    """Return a name without blanks around it, and the first without a comment sign."""
    name = cell.strip().strip("\ufeff")
    return (name.lstrip("#").strip() or name) if first else name


def cut(text: str, separator: str) -> list[str]:
    """Return the cells of one line."""
    if separator == " ":
        return text.split()
    if not separator:
        return [text]
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error:
        return text.split(separator)


def find(
    text: str, options: Options, expected: Collection[str], usual: str, place: object
) -> Dialect:
    """Return how the text of a table is written, of which `text` is the beginning.

    `expected` are names of columns that a mapping needs, and `usual` is the separator that the
    ending of the file suggests. Raises Refused, naming `place`, where there is no table.
    """
    lines = [
        (number, line.rstrip("\r"))
        for number, line in _rows(text)
        if line.strip() and number > (options.skip or 0)
    ]
    if options.comment:
        lines = [one for one in lines if not one[1].lstrip().startswith(options.comment)]
    if not lines:
        raise unreadable(place, "is empty", "a first line with a name for every column")
    guessed = [options.separator] if options.separator else [usual, *SEPARATORS]
    tried = tuple(dict.fromkeys(guessed))
    if expected and options.header is None:
        found = _by_names(lines, tried, expected, options)
        if found is not None:
            return found
    return _by_form(lines, tried, options)


def _rows(text: str) -> list[tuple[int, str]]:
    """Return the first lines of a text with their numbers; a quoted cell may go over several.

    A quote within a cell, such as a mark of inches, opens none, nor does one that no line closes.
    """
    physical = text.split("\n")[:LOOKED_AT]
    found, at = [], 0
    while at < len(physical):
        end = at + 1
        if OPEN.search(physical[at]):
            last = min(at + MOST_IN_CELL, len(physical))
            closing = (n for n in range(at + 1, last) if physical[n].count('"') % 2)
            end = next(closing, at) + 1
        found.append((at + 1, "\n".join(physical[at:end])))
        at = end
    return found


def _by_names(
    lines: Sequence[tuple[int, str]], separators: Sequence[str], expected: Collection[str],
    options: Options,
) -> Dialect | None:  # fmt: skip
    """Return the dialect in which a line is the header that holds most of the expected names."""
    best: tuple[int, Dialect] | None = None
    needed = len(set(expected))
    for number, text in lines[:1] if options.skip is not None else lines:
        for separator in separators:
            names = column_names(cut(text, separator), options.rename, expected)
            score = len(set(expected) & set(names))
            if score and (best is None or score > best[0]):
                best = score, _dialect(lines, separator, number, names, options)
        if best is not None and best[0] == needed:
            break
    return best[1] if best else None


def _dialect(
    lines: Sequence[tuple[int, str]], separator: str, header: int, names: tuple[str, ...],
    options: Options,
) -> Dialect:  # fmt: skip
    """Return the dialect of a table whose header is in the line of that number."""
    below = [_Line(n, text, cut(text, separator)) for n, text in lines if n > header]
    first, notes = header + 1, []
    if below and (units := _units(below)):
        first = below[0].number + 1
        notes.append(f"line {below[0].number} holds units or types: {units}")
    above = [text for n, text in lines if n < header]
    if above:
        notes.append(f"{len(above)} lines before the header (line {header}) are left out")
    header_text = next(text for n, text in lines if n == header)
    repeated = _repeated(
        column_names(cut(header_text, separator), options.rename), header_text, separator
    )
    notes += [f"column {name} stands twice: the first is read as {name}" for name in repeated]
    widths = Counter(len(one.cells) for one in below)
    if (
        below
        and widths.most_common(1)[0][0] == len(names) + 1
        and all(not one.cells[-1].strip() for one in below if len(one.cells) == len(names) + 1)
    ):
        # Every row ends in a separator, the header does not.
        names = (*names, f"column_{len(names) + 1}")
    comment = options.comment or _comment(below, header_text)
    return Dialect(
        separator, names, header, first, comment, _padded(below, separator), tuple(notes)
    )


def _repeated(names: Sequence[str], text: str, separator: str) -> list[str]:
    """Return the names that stand twice in a header."""
    plain = [cell.strip() for cell in cut(text, separator)]
    return sorted({name for name in names if plain.count(name) > 1})


def _comment(lines: Sequence[_Line], header: str) -> str:
    """Return "#" where some rows begin with it and hold no value, otherwise "".

    A first column may have it in its texts, and so may a header.
    """
    marked = [one for one in lines if one.text.startswith("#")]
    if not marked or len(marked) > len(lines) / 2 or header.startswith("#"):
        return ""
    return "" if any(is_value(cell) for one in marked for cell in one.cells[1:]) else "#"


def _padded(lines: Sequence[_Line], separator: str) -> bool:
    """Return whether blanks stand around the cells."""
    if separator in (" ", ""):
        return False
    cells = [cell for one in lines for cell in one.cells[1:] if cell]
    return sum(cell != cell.strip() for cell in cells) > len(cells) / 2


def _units(below: Sequence[_Line]) -> str:
    """Return the row of units or types below a header; "" where the first row holds values."""
    first, rest = below[0], below[1:6]
    if len(rest) < 2 or any(len(one.cells) != len(first.cells) for one in rest):
        return ""
    measured = [
        place
        for place in range(len(first.cells))
        if all(is_value(one.cells[place]) for one in rest)
    ]
    if not measured or any(is_value(first.cells[place]) for place in measured):
        return ""
    if any(first.cells[place].strip().lower() in RARER - {""} for place in measured):
        return ""
    if not any(first.cells[place].strip() for place in measured):
        return ""
    return ", ".join(cell.strip() for cell in first.cells if cell.strip())[:80]


def is_value(cell: str) -> bool:
    """Return whether a cell is a number or a date."""
    cell = cell.strip()
    return bool(NUMBER.fullmatch(cell) or DATE.fullmatch(cell))


# ---------------------------------------------------------------- by the form of the lines


def _by_form(
    lines: Sequence[tuple[int, str]], separators: Sequence[str], options: Options
) -> Dialect:
    """Return the dialect that the form of the lines shows."""
    scored = [(_score(lines, one), -place, one) for place, one in enumerate(separators)]
    separator = max(scored)[2]
    if max(scored)[0] <= 0 and not options.separator:
        separator = separators[0]
    table = [_Line(n, text, cut(text, separator)) for n, text in lines]
    width = _width(table)
    if options.header is not None:
        start = next((one.number for one in table if len(one.cells) == width), table[0].number)
        names = column_names(options.header) if options.header else _numbered(width)
        padded = _padded(table, separator)
        return Dialect(separator, names, 0, start, options.comment, padded)
    header = _header(table, width, options)
    if header is None:
        start = next(one for one in table if len(one.cells) == width).number
        notes = (f"no line is a header: columns are column_1 to column_{width}",)
        comment = options.comment or _comment(table, "")
        return Dialect(
            separator, _numbered(width), 0, start, comment, _padded(table, separator), notes
        )
    names = column_names(header.cells, options.rename)
    return _dialect(lines, separator, header.number, names, options)


def _numbered(width: int) -> tuple[str, ...]:
    """Return names for the columns of a table without a header."""
    return tuple(f"column_{place + 1}" for place in range(width))


def _score(lines: Sequence[tuple[int, str]], separator: str) -> float:
    """Return how well a separator cuts lines into equally many clean cells."""
    cells = [cut(text, separator) for _, text in lines]
    widths = Counter(map(len, cells))
    width, count = max(widths.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]))
    if width < 2:
        return 0.0
    same = [one for one in cells if len(one) == width]
    texts = [cell.strip() for one in same for cell in one]
    clean = sum(bool(not cell or is_value(cell) or WORDS.fullmatch(cell)) for cell in texts) / len(
        texts
    )
    measured = sum(bool(is_value(cell)) for cell in texts) / len(texts)
    narrow = 0.5 if separator == " " else 1.0
    return narrow * count / len(cells) * clean * (0.5 + measured) * (1 - 0.5 / width)


def _width(table: Sequence[_Line]) -> int:
    """Return the number of cells that most lines have."""
    widths = Counter(len(one.cells) for one in table)
    return max(widths.items(), key=lambda item: (item[1], item[0]))[0]


def _header(table: Sequence[_Line], width: int, options: Options) -> _Line | None:
    """Return the line that names the columns: the last above the first that holds values.

    A row of units between both is no header. Returns None where the first line holds values.
    """
    fitting = [one for one in table if len(one.cells) in (width, width - 1)]
    if options.skip is not None:
        fitting = fitting[:1] + [one for one in fitting[1:] if len(one.cells) == width]
    above = list(itertools.takewhile(lambda line: not _holds_values(line), fitting))
    if not above:
        return None
    if options.skip is not None or len(above) == len(fitting):
        return above[0]
    return above[-2] if len(above) > 1 and _of_units(above[-1].cells) else above[-1]


def _of_units(cells: Sequence[str]) -> bool:
    """Return whether the cells of a line are units or types: known ones, or all in brackets."""
    given = [cell.strip() for cell in cells if cell.strip()]
    if given and all(BRACKETED.fullmatch(cell) for cell in given):
        return True
    return {cell.strip(" []()").lower() for cell in cells} <= UNITS


def _holds_values(line: _Line) -> bool:
    """Return whether a cell of a line is a date, or a number without a unit."""
    cells = (cell.strip() for cell in line.cells)
    return any(PLAIN.fullmatch(cell) or DATE.fullmatch(cell) for cell in cells)
