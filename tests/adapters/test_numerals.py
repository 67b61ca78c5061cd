"""Numbers are read as they are written, and never guessed."""

import math

import numpy as np
import pyarrow as pa
import pytest

from phasewatch.adapters.numerals import Numerals

PLAIN, COMMA = Numerals(), Numerals(decimal=",", thousands=".")


@pytest.mark.parametrize(
    ("numerals", "text", "expected"),
    [
        (PLAIN, " 1.5 ", 1.5),
        (PLAIN, "true", 1.0),
        (PLAIN, "3,000", None),
        (PLAIN, "6.9%", None),
        (PLAIN, "12 MB", None),
        (COMMA, "1.234,5", 1234.5),
        (COMMA, "1.23", None),
        (COMMA, "12.345.678", 12_345_678.0),
        (Numerals(decimal=","), "1.5", None),
        (Numerals(decimal=","), "3,516", 3.516),
        (Numerals(thousands=","), "3,000,037", 3_000_037.0),
        (Numerals(thousands=","), "3,00", None),
        (Numerals(suffixes=(("K", 1000.0), ("%", 1.0))), "2.5K", 2500.0),
        (Numerals(suffixes=(("K", 1000.0), ("%", 1.0))), "6.9 %", 6.9),
        (Numerals(suffixes=(("K", 1000.0),)), "K", None),
    ],
)
def test_a_number_is_what_the_mapping_says(
    numerals: Numerals, text: str, expected: float | None
) -> None:
    assert numerals.parse(text) == expected
    values = numerals.read(pa.array([text, "1"]))
    assert bool(values.bad[0]) == (expected is None) and values.numbers[1] == 1
    assert expected is None or values.numbers[0] == expected


def test_the_unit_of_a_channel_may_follow() -> None:
    assert PLAIN.read(pa.array(["6.9%", "7"]), "%").numbers.tolist() == [6.9, 7.0]


@pytest.mark.parametrize("word", ["", "-", "NULL", "?", "#N/A", "N/D", "U", "<not counted>"])
def test_words_for_nothing_are_not_measured(word: str) -> None:
    values = PLAIN.read(pa.array(["1", word]))
    assert math.isnan(values.numbers[1]) and not values.bad.any()


def test_a_number_for_nothing_is_one_only_when_told() -> None:
    cells = pa.array(["-9999", "-9999.0", "1"])
    assert PLAIN.read(cells).numbers.tolist() == [-9999.0, -9999.0, 1.0]
    assert np.isnan(Numerals(missing=("-9999",)).read(cells).numbers).tolist() == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("word", ["inf", "-Infinity", "1e999"])
def test_infinity_is_not_measured_and_counted(word: str) -> None:
    for cells in (pa.array([word, "1"]), pa.array([word, "true"])):
        values = PLAIN.read(cells)
        assert math.isnan(values.numbers[0])
        assert values.infinite.tolist() == [True, False] and not values.bad.any()


def test_numbers_of_a_file_that_stores_them_are_kept() -> None:
    values = PLAIN.read(pa.array([1.5, float("inf"), None]))
    assert values.numbers[0] == 1.5 and values.infinite.tolist() == [False, True, False]
    assert math.isnan(values.numbers[2])
