"""Notations of numbers, and texts that stand for "not measured"."""

import numpy as np
import pytest

from phasewatch.adapters.numerals import Numerals
from phasewatch.adapters.suggest.columns import numbers


@pytest.mark.parametrize(
    ("cells", "decimal", "thousands"),
    [
        (["10,23", "3,516"], ",", ""),
        (["1.234,5"], ",", "."),
        (["3,000,000", "1,234"], ".", ","),
        (["1,234.5"], ".", ","),
        (["3.000.000", "12"], ",", "."),
        (["10.100.200.100", "10.0.0.5"], ".", ""),
        (["1.5", "2"], ".", ""),
        (["1'234.5", "12.5"], ".", "'"),
        (["1\u202f234,5", "980,25"], ",", "\u202f"),
        (["12 345", "1 234 567"], ".", " "),
    ],
)
def test_a_comma_is_a_decimal_sign_or_one_between_thousands(
    cells: list[str], decimal: str, thousands: str
) -> None:
    found = numbers.notation([("x", cells)])
    assert (found.numerals.decimal, found.numerals.thousands) == (decimal, thousands)
    assert not found.doubt


@pytest.mark.parametrize("cells", [["1,234", "5,678"], ["10,23", "1,234,567"]])
def test_a_comma_that_may_be_either_is_a_doubt(cells: list[str]) -> None:
    assert numbers.notation([("x", cells)]).doubt


def test_a_point_elsewhere_tells_that_commas_stand_between_thousands() -> None:
    found = numbers.notation([("x", ["1,234", "5,678"]), ("y", ["0.5"])])
    assert (found.numerals.decimal, found.numerals.thousands, found.doubt) == (".", ",", False)


def test_commas_in_text_say_nothing() -> None:
    found = numbers.notation([("note", ["1,234", "a, b", "c"]), ("y", ["0.5"])])
    assert found.numerals == Numerals()


def test_words_after_numbers_are_found() -> None:
    found = numbers.notation([("x", ["2.5K", "1M"]), ("y", ["6 %"]), ("z", ["v8"])])
    assert dict(found.numerals.suffixes) == {"K": 1e3, "M": 1e6, "%": 1.0}


def test_few_words_among_numbers_mean_missing() -> None:
    values, words = numbers.values(["1", "2", "broken", "3", "5", "6", "7"], Numerals())
    assert values is not None
    assert np.isnan(values[2])
    assert words == ("broken",)


@pytest.mark.parametrize(
    "cells", [["up", "down", "1"], [f"w{n}" for n in range(9)], ["0x0303", "1", "2", "3", "4", "5"]]
)
def test_a_column_of_text_is_no_column_of_numbers(cells: list[str]) -> None:
    assert numbers.values(cells, Numerals()) == (None, ())


def test_infinity_is_not_measured() -> None:
    values, _ = numbers.values(["1", "Infinity", "3"], Numerals())
    assert values is not None
    assert np.isnan(values[1])


def test_a_repeated_outlier_of_nines_is_a_sentinel() -> None:
    cells = ["20", "21", "-9999", "22", "-9999"]
    assert numbers.sentinel(cells, np.array([float(cell) for cell in cells])) == "-9999"
    level = ["99", "98", "99", "97"]
    assert numbers.sentinel(level, np.array([float(cell) for cell in level])) == ""
