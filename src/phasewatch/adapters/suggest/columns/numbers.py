"""How numbers are written in a file, and the values of its columns.

A comma between digits is a decimal sign or one between thousands; a file that decides neither way
is a question. Words and numbers that stand for "not measured" are found by what surrounds them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from phasewatch.adapters.numerals import MISSING, Numerals
from phasewatch.episode import Floats

DECIMAL_COMMA = re.compile(
    r"[+-]?(\d+,(\d{1,2}|\d{4,})|0,\d+|\d{4,},\d+|\d{1,3}([.]\d{3})+,\d+)(e[+-]?\d+)?",
    re.IGNORECASE,
)
DOT_THOUSANDS = re.compile(r"[+-]?\d{1,3}(([.]\d{3})+,\d+|([.]\d{3}){2,})")
IP = re.compile(r"\d{1,3}([.]\d{1,3}){3}")
THOUSANDS = re.compile(r"[+-]?\d{1,3}((,\d{3}){2,}([.]\d+)?|(,\d{3})+[.]\d+)")
POINT = re.compile(r"[+-]?\d+[.]\d+(e[+-]?\d+)?", re.IGNORECASE)
BETWEEN = "'\u2019 \u00a0\u202f"
"""Signs between thousands beside comma and point: apostrophes, and blanks of several widths."""

SPACED = re.compile(rf"[+-]?\d{{1,3}}([{BETWEEN}])\d{{3}}(\1\d{{3}})*(?P<fraction>[.,]\d+)?")
NUMERIC = re.compile(rf"[+-]?[\d.,{BETWEEN}]*\d(e[+-]?\d+)?\s*[%A-Za-zµ°/]{{0,8}}$", re.IGNORECASE)
EITHER = re.compile(r"[+-]?\d{1,3},\d{3}")
WORDED = re.compile(r"([+-]?[\d.,]*\d)\s*([%A-Za-zµ°/]{1,8})")
NINES = re.compile(
    r"[+-]?(99+|99+[.]9+|9[.]?9*e[+]?\d+)([.]0*)?|-32768([.]0*)?|-2147483648([.]0*)?"
)
"""Numbers that stand for "not measured" in many data sets."""

SUFFIXES = {
    "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30,
    "B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20,
    "GiB": 2.0**30, "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "%": 1.0,
}  # fmt: skip
"""Words after a number, each with its factor."""

FEW_WORDS, MOST_OTHER = 6, 0.2
"""Other words in a column of numbers: so many different ones at most, in so small a share of it."""


@dataclass(frozen=True)
class Notation:
    """How numbers are written; `doubt` is true where a comma may be either sign.

    In doubt, values are measured as if it were the decimal sign.
    """

    numerals: Numerals
    doubt: bool = False
    notes: tuple[str, ...] = ()


def notation(columns: Iterable[tuple[str, Sequence[str]]]) -> Notation:
    """Return how the numbers of some columns of text are written."""
    cells = [cell for _, texts in columns for cell in _written(texts)]
    dots = any(DOT_THOUSANDS.fullmatch(cell) for cell in cells)
    sure = dots or any(DECIMAL_COMMA.fullmatch(cell) for cell in cells)
    thousands = any(THOUSANDS.fullmatch(cell) for cell in cells)
    either = any(EITHER.fullmatch(cell) for cell in cells)
    points = any(POINT.fullmatch(cell) for cell in cells)
    found = Counter(one[2] for cell in cells if (one := WORDED.fullmatch(cell)))
    numerals = Numerals(
        suffixes=tuple((word, SUFFIXES[word]) for word in found if word in SUFFIXES)
    )
    if thousands or (either and points and not sure):
        return Notation(replace(numerals, thousands=","), doubt=sure)
    spaced = [one for cell in cells if (one := SPACED.fullmatch(cell))]
    if any((one["fraction"] or "").startswith(",") for one in spaced):
        sure = True
    if sure or either:
        numerals = replace(numerals, decimal=",", thousands="." if dots else "")
    if spaced:
        numerals = replace(numerals, thousands=spaced[0][1])
    return Notation(numerals, doubt=either and not sure)


def _written(texts: Sequence[str]) -> list[str]:
    """Return the different texts of a column of numbers; none of a column of other text."""
    given = [cell for cell in dict.fromkeys(texts) if cell]
    if any(IP.fullmatch(cell) and not DOT_THOUSANDS.fullmatch(cell) for cell in given):
        return []
    numeric = sum(NUMERIC.match(cell) is not None for cell in given)
    return given if numeric > len(given) / 2 else []


def values(cells: Sequence[str], numerals: Numerals) -> tuple[Floats | None, tuple[str, ...]]:
    """Return the numbers of a column, NaN for missing ones, and words that mean missing.

    None where the column holds text: more, or more different, other words than a column of numbers
    would.
    """
    known: dict[str, float | None] = {}
    for cell in cells:
        if cell not in known:
            known[cell] = numerals.parse(cell)
    found = [known[cell] for cell in cells]
    other = [cell for cell, number in zip(cells, found, strict=True) if number is None]
    words = tuple(sorted(set(other)))
    numbers = np.array([np.nan if number is None else number for number in found])
    numbers[np.isinf(numbers)] = np.nan
    if other and (
        len(words) > FEW_WORDS
        or len(other) > MOST_OTHER * len(cells)
        or any(re.search(r"\d", word) for word in words)
    ):
        return None, ()
    return (numbers, words) if np.isfinite(numbers).any() else (None, ())


def sentinel(cells: Sequence[str], numbers: Floats) -> str:
    """Return a number that stands for "not measured", as it is written; empty for none.

    It is one of NINES, comes more than once, and lies far outside all other values.
    """
    counts = Counter(cell for cell in cells if NINES.fullmatch(cell))
    for cell, count in counts.items():
        value = float(cell)
        others = numbers[np.isfinite(numbers) & (numbers != value)]
        if count > 1 and len(others) > 2:
            span = max(float(np.ptp(others)), 1e-9)
            if value < others.min() - 3 * span or value > others.max() + 3 * span:
                return cell
    return ""


def constant(series: Sequence[Floats]) -> bool:
    """Return whether a column never changes within any of the series."""
    known = [one[np.isfinite(one)] for one in series]
    return all(len(one) < 2 or float(np.ptp(one)) == 0 for one in known)


__all__ = ["MISSING", "Notation", "constant", "notation", "sentinel", "values"]
