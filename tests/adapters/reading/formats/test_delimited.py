"""Separated values are read by the header above them, in blocks of any size."""

from pathlib import Path

import pytest

from phasewatch.adapters.reading import opening, rows, text
from phasewatch.adapters.reading.source import Input
from phasewatch.adapters.reading.table import DEFAULTS, Options


def read(
    path: Path, expected: tuple[str, ...] = (), options: Options = DEFAULTS
) -> tuple[list[tuple[int, dict[str, str]]], list[tuple[int, str]]]:
    """The cells of every row with its line, and what was dropped."""
    opened = opening.open_table(Input(path, path.name), options, expected)
    found, dropped = [], []
    for batch in opened.batches():
        dropped += [(one.line, one.reason) for one in batch.dropped]
        columns = {name: cells.to_pylist() for name, cells in batch.columns.items()}
        for place, line in enumerate(batch.lines.tolist()):
            found.append((line, {name: cells[place] for name, cells in columns.items()}))
    return found, sorted(dropped)


@pytest.fixture(params=[16, 1 << 20])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(text, "BLOCK", request.param)
    return tmp_path / "a.csv"


def test_blocks_of_any_size_give_the_same_rows(path: Path) -> None:
    path.write_text('ts,note\n1,"two\nlines"\n\n2,x\n3\n4,"a, b"\n5,last')
    found, dropped = read(path)
    assert found == [
        (2, {"ts": "1", "note": "two\nlines"}), (5, {"ts": "2", "note": "x"}),
        (7, {"ts": "4", "note": "a, b"}), (8, {"ts": "5", "note": "last"}),
    ]  # fmt: skip
    assert dropped == [(6, "1 fields where the header has 2")]


def test_a_repeated_header_is_dropped_and_another_one_counts_from_there(path: Path) -> None:
    path.write_text("# ts,a\n1,10\n# ts,a\n2,20\n# ts,b,a\n3,5,30\n")
    for expected in ((), ("ts",)):
        found, dropped = read(path, expected)
        assert found == [
            (2, {"ts": "1", "a": "10"}), (4, {"ts": "2", "a": "20"}),
            (6, {"ts": "3", "b": "5", "a": "30"}),
        ]  # fmt: skip
        assert dropped == [(3, "repeats the header")]


def test_lines_of_comments_are_no_rows(path: Path) -> None:
    path.write_text("ts,a\n1,2\n# restarted, again\n2,3\n3,4\n4,5\n")
    found, dropped = read(path, ("ts",))
    assert [line for line, _ in found] == [2, 4, 5, 6] and not dropped
    opened = opening.open_table(Input(path, path.name))
    list(opened.batches())
    assert opened.layout.notes == ("1 line of comments (#) left out",)


def test_runs_of_blanks_are_one_separator(path: Path) -> None:
    path.write_text(" ts   cpu\n 1    2.5\n10 \t 3 \n11 4\n")
    found, _ = read(path)
    assert found[1] == (3, {"ts": "10", "cpu": "3"}) and len(found) == 3


def test_blanks_around_cells_are_removed(path: Path) -> None:
    path.write_text("ts; host\n1; web\n2; db\n")
    assert [row["host"] for _, row in read(path)[0]] == ["web", "db"]


def test_a_quote_that_never_ends_costs_one_row(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_CELL", 100)
    body = "".join(f"{n},x\n" for n in range(100))
    path.write_text(f'ts,note\n0,"open\n{body}')
    found, dropped = read(path)
    assert len(found) + len(dropped) == 101
    assert [line for line, _ in found][-1] == 102 and len(found) >= 100


def test_a_quote_that_is_open_at_the_end_costs_one_row(path: Path) -> None:
    body = "".join(f"{n},x\n" for n in range(100))
    path.write_text(
        f'ts,note,more\n{body.replace("x", "y,z")}0,"open,z\n{body.replace("x", "y,z")}'
    )
    found, dropped = read(path)
    assert len(found) >= 200 and len(found) + len(dropped) == 201
    assert found[-1] == (202, {"ts": "99", "note": "y", "more": "z"})


def test_names_are_replaced_before_the_header_is_found(path: Path) -> None:
    import re

    path.write_text('"time","\\\\WEB1\\cpu"\n"1","2"\n')
    options = Options(rename=((re.compile(r"^\\\\[^\\]+\\"), ""),))
    assert read(path, ("time", "cpu"), options)[0] == [(2, {"time": "1", "cpu": "2"})]
    layout = opening.open_table(Input(path, "a.csv"), options, ("cpu",)).layout
    assert layout.original == ("time", "\\\\WEB1\\cpu")
