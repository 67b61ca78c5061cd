"""How numbers are written in a table, and the values of a column as numbers."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from phasewatch.adapters.dates import Bools
from phasewatch.episode import Floats

MISSING = ("", "-", "NA", "N/A", "null", "None", "nan", "NaN", "NULL", "n/a", "none", "NAN", "?")
"""Texts for a value that was not measured, as most tools write them."""

RARER = frozenset(
    {*(word.lower() for word in MISSING), "--", "---", "nil", "#n/a", "#nv", "<na>", "(null)",
     "n/d", "nd", "n.d.", "n.a.", "u", "-nan", "nan(ind)", "-nan(ind)", "unknown", "unavailable",
     "undefined", "missing", "no data", "nodata", "not available", "#value!", "#div/0!", "#ref!",
     "#num!", "<not counted>", "<not supported>"}
)  # fmt: skip
"""All such texts, in lower case."""

TRUTH = {"True": 1.0, "False": 0.0, "true": 1.0, "false": 0.0, "TRUE": 1.0, "FALSE": 0.0}


class Values(NamedTuple):
    """The numbers of a column `[n]`, NaN where not measured; which are infinite, and which none."""

    numbers: Floats
    infinite: Bools
    bad: Bools


@dataclass(frozen=True)
class Numerals:
    """How numbers are written: the decimal sign, the one between thousands, further words.

    `missing` are texts or numbers for "not measured", beside MISSING; `suffixes` are words after a
    number, each with the factor that it stands for.
    """

    decimal: str = "."
    thousands: str = ""
    missing: tuple[str, ...] = ()
    suffixes: tuple[tuple[str, float], ...] = ()

    def read(self, cells: Any, unit: str = "") -> Values:
        """Return the values of an Arrow array of texts or numbers.

        The word of the `unit`, where the mapping gives one, may follow each number.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
            return self._finite(_floats(pc.cast(cells, "float64", safe=False)))
        plain = _fast(cells, self.decimal)
        return self._slow(cells, unit) if plain is None else self._finite(plain)

    def _finite(self, numbers: Floats) -> Values:
        """Return numbers of which the infinite and those that mean "missing" are not measured."""
        infinite = np.isinf(numbers)
        for word in self.missing:
            value = _float(word)
            if value is not None:
                numbers[numbers == value] = np.nan
        if infinite.any():
            numbers[infinite] = np.nan
        return Values(numbers, infinite, np.zeros(len(numbers), dtype=bool))

    def _slow(self, cells: Any, unit: str) -> Values:
        """Return the values of texts that are not all plain numbers: each different text once."""
        coded = cells.dictionary_encode()
        words = coded.dictionary.to_pylist()
        found = [self.parse(word or "", unit) for word in words]
        bad = np.array([one is None for one in found] or [False])
        numbers = np.array([np.nan if one is None else one for one in found] or [np.nan])
        places = coded.indices.to_numpy(zero_copy_only=False)
        values = self._finite(numbers[places])
        return values._replace(bad=bad[places])

    def parse(self, text: str, unit: str = "") -> float | None:
        """Return the number that a text is, NaN for a missing one, or None for other text."""
        text = text.strip()
        if text.lower() in RARER or text in self.missing:
            return np.nan
        if text in TRUTH:
            return TRUTH[text]
        factor = 1.0
        for word, times in (*self.suffixes, *(((unit, 1.0),) if unit else ())):
            if word and text.endswith(word) and text != word:
                text, factor = text.removesuffix(word).rstrip(), times
                break
        number = _float(self._plain(text))
        return None if number is None else number * factor

    def _plain(self, text: str) -> str:
        """Return a number with a point for decimals and nothing between thousands.

        A text that is not written so is returned as something that is no number.
        """
        if self.thousands and self.thousands in text:
            mark, point = re.escape(self.thousands), re.escape(self.decimal)
            grouped = rf"[+-]?\d{{1,3}}(?:{mark}\d{{3}})+(?:{point}\d*)?"
            if not re.fullmatch(grouped, text):
                return "none"
            text = text.replace(self.thousands, "")
        if self.decimal == ".":
            return text
        return "none" if "." in text else text.replace(self.decimal, ".")


PLAIN = Numerals()
"""Numbers as most tools write them: a decimal point, nothing between thousands."""


def _fast(cells: Any, decimal: str) -> Floats | None:
    """Return the values of texts that are all plain numbers or empty; None where some are not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        if decimal != ".":
            if pc.any(pc.match_substring(cells, ".")).as_py():
                return None
            cells = pc.replace_substring(cells, decimal, ".")
        try:
            return _floats(pc.cast(cells, "float64"))
        except pa.ArrowException:
            known = pc.if_else(pc.is_in(cells, value_set=pa.array(MISSING)), None, cells)
            return _floats(pc.cast(known, "float64"))
    except pa.ArrowException:
        return None


def _floats(cells: Any) -> Floats:
    """Return an Arrow array of doubles, NaN for null, as an array that may be written to."""
    return np.array(cells.to_numpy(zero_copy_only=False), dtype=np.float64)


def _float(text: str) -> float | None:
    """Return a text as a number, or None where it is none."""
    try:
        return float(text)
    except ValueError:
        return None
