"""JSON is read as lines or as a document, and every row has the fields that it names."""

import json
from pathlib import Path

import pytest

from phasewatch.adapters.reading import opening
from phasewatch.adapters.reading.formats import objects
from phasewatch.adapters.reading.source import Input
from phasewatch.adapters.reading.table import DEFAULTS, Options, Table
from phasewatch.errors import Refused

ROWS = [{"t": 1, "cpu": {"user": 2}}, {"t": 2, "mem": None}]
DOCUMENTS = {
    "lines": "\n".join(map(json.dumps, ROWS)),
    "array": json.dumps(ROWS),
    "indented": json.dumps(ROWS, indent=1),
    "one after the other": "\n".join(json.dumps(row, indent=1) for row in ROWS),
    "wrapped": json.dumps({"data": ROWS, "total": 2}),
    "wrapped and indented": json.dumps({"data": {"items": ROWS}}, indent=1),
}


def read(path: Path, options: Options = DEFAULTS) -> Table:
    return opening.sample(Input(path, path.name), options)


@pytest.mark.parametrize("name", ["a.json", "a.log", "a"])
@pytest.mark.parametrize("form", DOCUMENTS)
def test_every_form_gives_the_same_rows(form: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(DOCUMENTS[form])
    found = read(tmp_path / name)
    assert found.columns == {"t": ["1", "2"], "cpu.user": ["2", ""], "mem": ["", ""]}


def test_the_list_of_rows_is_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"a": [{"x": 1}], "b": {"c": ROWS}}))
    assert read(path, Options(records="b.c")).columns["t"] == ["1", "2"]
    assert list(read(path).columns) == ["a", "b.c"]
    with pytest.raises(Refused, match=r"has no list of objects at b\.x"):
        read(path, Options(records="b.x"))


def test_a_document_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_DOCUMENT", 10)
    (tmp_path / "a.json").write_text(DOCUMENTS["indented"])
    with pytest.raises(Refused, match="expected an object a line, as `jq -c"):
        read(tmp_path / "a.json")


def test_an_object_that_only_seems_to_have_a_shape_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    bad = {"metric": {"__name__": "x"}, "values": [1, 2], "timestamps": [1]}
    path.write_text("\n".join(json.dumps(one) for one in (ROWS[0], bad, {"resourceMetrics": [3]})))
    found = read(path)
    assert [one.line for one in found.dropped] == [2, 3]


def test_rows_come_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "ROWS", 10)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"t": {n}}}\n' for n in range(25)))
    batches = list(opening.open_table(Input(path, "a.jsonl")).batches(["t"]))
    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert batches[2].lines.tolist() == [21, 22, 23, 24, 25]
