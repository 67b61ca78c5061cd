"""Dates as text to Unix nanoseconds, a whole column at once, by formats as strptime has them.

Arrow's own strptime knows neither fractions of a second nor zones; Python's reads one text at a
time. Here a format becomes a regular expression, and the fields that it finds become numbers.
"""

import re
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasewatch.episode import Ints
from phasewatch.schema import NS

Bools = NDArray[np.bool_]

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LONG_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august",
               "september", "october", "november", "december")  # fmt: skip

ISO = (
    r"^\s*(?P<Y>\d{4})(?P<m>[-/.]\d{1,2}|\d{2})(?P<d>[-/.]\d{1,2}|\d{2})"
    r"(?:(?:[Tt]|\s+)(?P<H>\d{2}|\d:)"
    r"(?::?(?P<M>\d{2})(?::?(?P<S>\d{2})(?:[.,](?P<f>\d{1,9})\d*)?)?)?)?"
    r"\s*(?P<z>Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?\s*$"
)
"""ISO 8601 and its kin that begin with the year, with or without a time and a zone."""

DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d{2})", "m": r"(?P<m>\d{1,2})", "d": r"(?P<d>\d{1,2})",
    "e": r"(?P<d>\d{1,2})", "H": r"(?P<H>\d{1,2})", "I": r"(?P<I>\d{1,2})", "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})", "f": r"(?P<f>\d{1,9})", "p": r"(?P<p>[AaPp])[Mm]",
    "b": r"(?P<b>[A-Za-z]{3})[A-Za-z]*\.?", "B": r"(?P<b>[A-Za-z]{3})[A-Za-z]*\.?",
    "j": r"(?P<j>\d{1,3})",
    "a": r"[A-Za-z]+\.?", "A": r"[A-Za-z]+\.?", "Z": r"(?P<z>Z|UTC|GMT)",
    "z": r"(?P<z>Z|[+-]\d{2}:?\d{2}|[+-]\d{2})", "%": "%",
}  # fmt: skip
"""What each directive of a format finds; `b` is the first three letters of an English month."""

LIMIT_S = 9_000_000_000
"""Seconds from 1970 that nanoseconds in 64 bits hold; dates beyond are put there."""


@lru_cache(maxsize=256)
def pattern(format: str) -> str:
    """Return the regular expression of a format such as "%d/%m/%Y %H:%M:%S.%f".

    Raises ValueError for a directive that is unknown, that stands twice, or that says no date.
    """
    found = []
    for part in re.findall(r"%.?|\s+|[^%\s]+", format):
        if part.isspace():
            found.append(r"\s+")
        elif not part.startswith("%"):
            found.append(re.escape(part))
        elif part[1:] not in DIRECTIVES:
            known = ", ".join(f"%{letter}" for letter in DIRECTIVES)
            raise ValueError(f"{part} is none of {known}")
        else:
            found.append(DIRECTIVES[part[1:]])
    text = "".join(found)
    names = re.findall(r"\?P<(\w)>", text)
    if len(set(names)) < len(names):
        raise ValueError("one part of the date stands twice")
    day = {"j"} <= set(names) or ({"d"} <= set(names) and {"m", "b"} & set(names))
    if not ({"Y", "y"} & set(names) and day):
        raise ValueError("it has no year, month and day")
    return rf"^\s*{text}\s*$"


def parse(texts: Any, expression: str) -> tuple[Ints, Bools, Bools]:
    """Return nanoseconds `[n]` of texts, which of them name their zone, and which are no date.

    Times with a zone are Unix ns; those without are what a clock on the wall shows, as if in UTC.
    """
    import pyarrow.compute as pc

    groups = re.findall(r"\?P<(\w)>", expression)
    found = pc.extract_regex(texts, pattern=expression)
    bad = ~np.asarray(found.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    parts = {name: pc.fill_null(pc.struct_field(found, name), "") for name in groups}
    days, wrong = _days(parts, len(texts))
    seconds, nanoseconds, odd = _time_of_day(parts, len(texts))
    shift, named = _zone(parts, len(texts))
    total = np.clip(days * 86_400 + seconds - shift, -LIMIT_S, LIMIT_S)
    return total * NS + nanoseconds, named, bad | wrong | odd


def _number(parts: dict[str, Any], name: str, count: int, default: int = 0) -> Ints:
    """Return a part of the dates as numbers, the default where it is absent."""
    import pyarrow.compute as pc

    if name not in parts:
        return np.full(count, default, dtype=np.int64)
    digits = pc.utf8_trim(parts[name], characters="-/.:")
    cells = pc.if_else(pc.equal(digits, ""), str(default), digits)
    return np.asarray(pc.cast(cells, "int64").to_numpy(zero_copy_only=False))


def _days(parts: dict[str, Any], count: int) -> tuple[Ints, Bools]:
    """Return the days since 1970, and which of them no calendar has."""
    year = _number(parts, "Y", count)
    if "y" in parts:
        short = _number(parts, "y", count)
        year = short + np.where(short < 69, 2000, 1900)
    if "j" in parts:
        day = _number(parts, "j", count)
        return _first_of(year, 1) + day - 1, (day < 1) | (day > 366)
    month = _month(parts["b"]) if "b" in parts else _number(parts, "m", count)
    day = _number(parts, "d", count)
    wrong = (month < 1) | (month > 12) | (day < 1)
    month = np.where(wrong, 1, month)
    first = _first_of(year, month)
    return first + day - 1, wrong | (day > _first_of(year, month + 1) - first)


def _first_of(year: Ints, month: Any) -> Ints:
    """Return the days from 1970 to the first of a month; month 13 is January of the next year."""
    months = (year - 1970) * 12 + month - 1
    days: Ints = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days


def _month(names: Any) -> Ints:
    """Return the number of months by the first three letters of their English name, 0 for none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    place = pc.index_in(pc.utf8_lower(names), value_set=pa.array(MONTHS))
    return np.asarray(pc.add(pc.fill_null(place, -1), 1).to_numpy(zero_copy_only=False), np.int64)


def _time_of_day(parts: dict[str, Any], count: int) -> tuple[Ints, Ints, Bools]:
    """Return seconds since midnight, nanoseconds beside them, and which are no time of a day."""
    import pyarrow.compute as pc

    hour, minute = _number(parts, "H", count), _number(parts, "M", count)
    second = _number(parts, "S", count)
    odd = np.zeros(count, dtype=bool)
    if "I" in parts:
        hour = _number(parts, "I", count)
        odd |= (hour < 1) | (hour > 12)
        late = _is_one_of(parts["p"], ("P", "p")) if "p" in parts else np.zeros(count, dtype=bool)
        hour = hour % 12 + 12 * late
    odd |= (hour > 23) | (minute > 59) | (second > 60)
    nanoseconds = np.zeros(count, dtype=np.int64)
    if "f" in parts:
        nanoseconds = _number({"f": pc.utf8_rpad(parts["f"], width=9, padding="0")}, "f", count)
    return hour * 3600 + minute * 60 + second, nanoseconds, odd


def _is_one_of(texts: Any, words: tuple[str, ...]) -> Bools:
    """Return which of the texts are one of some words."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return np.asarray(pc.is_in(texts, value_set=pa.array(words)).to_numpy(zero_copy_only=False))


def _zone(parts: dict[str, Any], count: int) -> tuple[Ints, Bools]:
    """Return the seconds by which the named zones are ahead of UTC, and which texts name one."""
    if "z" not in parts:
        return np.zeros(count, dtype=np.int64), np.zeros(count, dtype=bool)
    coded = parts["z"].dictionary_encode()
    words = coded.dictionary.to_pylist()
    shifts = np.array([offset_s(word) for word in words] or [0], dtype=np.int64)
    named = np.array([bool(word) for word in words] or [False])
    places = coded.indices.to_numpy(zero_copy_only=False)
    return shifts[places], named[places]


def offset_s(word: str) -> int:
    """Return the seconds ahead of UTC of a zone such as "Z", "+02:00" or "-0530"; 0 for none."""
    digits = re.sub(r"\D", "", word)
    if not digits:
        return 0
    ahead = int(digits[:2]) * 3600 + int(digits[2:4] or 0) * 60
    return -ahead if word.startswith("-") else ahead
