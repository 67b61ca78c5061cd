"""Separators, headers, comments and rows of units are found, by names or by form."""

import pytest

from phasewatch.adapters.reading import dialect
from phasewatch.adapters.reading.table import DEFAULTS, Options
from phasewatch.errors import Refused

ROWS = [("1688551200", "10.5", "3"), ("1688551205", "10.2", "4"), ("1688551210", "9.1", "5")]


def find(text: str, expected: tuple[str, ...] = (), options: Options = DEFAULTS) -> dialect.Dialect:
    return dialect.find(text, options, expected, ",", "a.csv")


def table(separator: str, header: str = "ts,cpu,rx") -> str:
    lines = [header.replace(",", separator)] if header else []
    return "\n".join([*lines, *(separator.join(row) for row in ROWS)]) + "\n"


@pytest.mark.parametrize("expected", [(), ("ts", "rx")])
@pytest.mark.parametrize("separator", [",", ";", "|", "\t", "   "])
def test_every_separator_is_found(separator: str, expected: tuple[str, ...]) -> None:
    found = find(table(separator), expected)
    assert found.separator == (separator if separator.strip() or separator == "\t" else " ")
    assert (found.names, found.header_line, found.first_line) == (("ts", "cpu", "rx"), 1, 2)


def test_a_decimal_comma_is_no_separator() -> None:
    text = "ts;cpu;rx\n1688551200;10,23;3,516\n1688551205;10,97;3,841\n1688551210;1,0;2,25\n"
    for given in (text, text.partition("\n")[2]):
        assert find(given).separator == ";"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_file_without_a_header_loses_no_row(separator: str) -> None:
    found = find(table(separator, header=""))
    assert (found.header_line, found.first_line) == (0, 1)
    assert found.names == ("column_1", "column_2", "column_3")
    assert "no line is a header" in found.notes[0]


def test_names_for_a_file_without_a_header_are_those_of_the_mapping() -> None:
    found = find(table(";", header=""), ("ts",), Options(header=("ts", "cpu", "rx")))
    assert (found.separator, found.names, found.first_line) == (";", ("ts", "cpu", "rx"), 1)


@pytest.mark.parametrize("expected", [(), ("ts", "rx")])
@pytest.mark.parametrize(
    ("above", "line"),
    [
        ("Exported by tool 3\nHost: web, Berlin\n\n", 4),
        ("# made on Monday\n# at ten\n", 3),
        ("#datatype,long,double\n#group,false,true\n", 3),
    ],
)
def test_a_preamble_is_left_out(above: str, line: int, expected: tuple[str, ...]) -> None:
    found = find(above + table(","), expected)
    assert (found.header_line, found.names) == (line, ("ts", "cpu", "rx"))


def test_names_of_groups_above_the_names_are_left_out() -> None:
    above = '"Dstat 0.7.4 CSV output"\n"Host:","web1",\n\n"epoch","total usage",\n'
    found = find(above + table(","))
    assert (found.header_line, found.names) == (5, ("ts", "cpu", "rx"))


def test_a_header_may_begin_with_a_comment_sign() -> None:
    assert find(table(";", "# ts,cpu,rx")).names == ("ts", "cpu", "rx")


@pytest.mark.parametrize("expected", [(), ("ts", "rx")])
def test_a_row_of_units_is_no_row(expected: tuple[str, ...]) -> None:
    text = table(",").replace("rx\n", "rx\ns,%,kB\n")
    found = find(text, expected)
    assert found.first_line == 3
    assert found.notes == ("line 2 holds units or types: s, %, kB",)


def test_a_first_row_of_missing_values_is_a_row() -> None:
    assert find(table(",").replace("10.5,3", "NA,-")).first_line == 2


def test_names_are_stripped_and_differ() -> None:
    names = dialect.column_names(["# ts", " Label", "a", "a", "", "a.1"])
    assert names == ("ts", "Label", "a", "a.1", "column_5", "a.1.1")
    assert find(table(",", "ts,cpu,cpu")).notes == (
        "column cpu stands twice: the first is read as cpu",
    )


def test_lines_are_skipped_as_the_mapping_says() -> None:
    found = find("a,b,c\n" + table(","), (), Options(skip=1))
    assert found.names == ("ts", "cpu", "rx")


def test_every_row_may_end_in_a_separator() -> None:
    text = "ts,cpu,rx\n" + "".join(",".join(row) + ",\n" for row in ROWS)
    assert find(text, ("ts",)).names == ("ts", "cpu", "rx", "column_4")


def test_lines_of_comments_are_told() -> None:
    text = "ts,cpu,rx\n1688551200,1,2\n# restarted\n1688551205,1,3\n1688551210,1,4\n"
    assert find(text, ("ts",)).comment == "#"


def test_texts_that_begin_with_the_sign_are_no_comments() -> None:
    text = "room,ts,cpu\n#web,1688551200,1\nlab,1688551205,1\n#web,1688551210,2\nlab,1688551215,2\n"
    assert find(text, ("ts", "cpu")).comment == ""


def test_a_name_that_the_mapping_has_as_it_stands_is_left_so() -> None:
    assert find(table(";", "# ts, cpu,rx"), ("# ts", " cpu")).names == ("# ts", " cpu", "rx")


def test_no_line_is_no_table() -> None:
    with pytest.raises(Refused, match=r"a\.csv: is empty"):
        find("\n \n")


def test_units_in_brackets_are_no_header() -> None:
    text = "Time;Fan;Temp\n[UTC];[rpm];[degC]\n2026-09-21 10:00:00;1200;41.5\n" * 1
    found = find(text + "2026-09-21 10:00:05;1201;41.5\n2026-09-21 10:00:10;1190;41.0\n")
    assert (found.names, found.first_line) == (("Time", "Fan", "Temp"), 3)


def test_a_quoted_cell_may_go_over_lines() -> None:
    rows = "".join(f'"168855120{at}","a, b\nc","{at}.5"\n' for at in range(9))
    found = find('"ts","message","cpu"\n' + rows)
    assert (found.separator, found.names, found.first_line) == (",", ("ts", "message", "cpu"), 2)
    inches = find("ts,size,cpu\n" + "".join(f'168855120{at},27",{at}\n' for at in range(9)))
    assert inches.names == ("ts", "size", "cpu")
