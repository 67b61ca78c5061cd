"""Rows have the right cells and line numbers, whatever stands within quotes."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewatch.adapters.reading import rows
from phasewatch.adapters.reading.table import Batch

NAMES = ["a", "b", "c"]


def read(text: str, separator: str = ",", wanted: list[str] | None = None) -> Batch:
    found, used = rows.split(text.encode(), 1, separator)
    assert used == len(text.encode())
    return rows.parse(found, NAMES, NAMES if wanted is None else wanted, separator)


def cells(found: Batch) -> list[list[str]]:
    columns = [found.columns[name].to_pylist() for name in NAMES]
    return [list(row) for row in zip(*columns, strict=True)]


CELL = st.text(st.sampled_from('ab1"\n,é '), max_size=5)


@given(st.lists(st.lists(CELL, min_size=2, max_size=4), min_size=1, max_size=8))
def test_what_python_writes_is_read_with_its_lines(table: list[list[str]]) -> None:
    text, lines = "", []
    for row in table:
        lines.append(text.count("\n") + 1)
        out = io.StringIO()
        csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(row)
        text += out.getvalue()
    found = read(text)
    kept = [place for place, row in enumerate(table) if len(row) == 3]
    assert cells(found) == [table[place] for place in kept]
    assert found.lines.tolist() == [lines[place] for place in kept]
    assert [one.line for one in found.dropped] == [
        line for line, row in zip(lines, table, strict=True) if len(row) != 3
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('1,27" monitor,2\n3,b,4\n', [["1", '27" monitor', "2"], ["3", "b", "4"]]),
        ('1,27",2\n3,19",4\n', [["1", '27"', "2"], ["3", '19"', "4"]]),
        ('1,"a ""b"", c",2\r\n3,,4\r\n', [["1", 'a "b", c', "2"], ["3", "", "4"]]),
        ("\n1,2,3\n\r\n4,5,6\n", [["1", "2", "3"], ["4", "5", "6"]]),
    ],
)
def test_a_quote_within_a_cell_is_a_character(text: str, expected: list[list[str]]) -> None:
    assert cells(read(text)) == expected


def test_only_what_is_wanted_is_read() -> None:
    found = read("1,2,3\n4,5,6\n", wanted=["b"])
    assert list(found.columns) == ["b"] and len(found) == 2


def test_some_rows_are_joined_without_those_between() -> None:
    found, _ = rows.split(b"1\n2\n3\n4\n", 5, ",")
    assert found.take(found.lines != 6).joined() == b"1\n3\n4\n"
