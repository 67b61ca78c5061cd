"""Which files of a source are looked at, and which belong together."""

from pathlib import Path

import pytest
from tests.drafts import T_S, table, write

from phasewatch.adapters.suggest import sample
from phasewatch.errors import Refused


def test_files_of_other_columns_stand_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        table(tmp_path / f"{name}.csv", "ts,x", lambda at: f"{T_S + at},{at}")
    table(tmp_path / "c.csv", "ts,y", lambda at: f"{T_S + at},{at}")
    found = sample.read(tmp_path)
    assert [part.name for part in found.parts] == ["a.csv", "b.csv"]
    assert [part.name for part in found.others] == ["c.csv"]
    assert found.columns == ("ts", "x")


def test_objects_need_not_have_all_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "", ['{"ts": 1, "x": 1, "y": 2}', '{"ts": 2, "x": 3}'])
    write(tmp_path / "b.jsonl", "", ['{"ts": 1, "x": 1}', '{"ts": 2, "x": 3}'])
    found = sample.read(tmp_path)
    assert len(found.parts) == 2
    assert found.every("y") == ["2", "", "", ""]
    assert not found.everywhere("y")


def test_a_file_that_cannot_be_read_is_told_unless_it_is_the_only_one(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", "ts,x", lambda at: f"{T_S + at},{at}")
    (tmp_path / "b.csv").write_bytes(b"\x00\x01\x02" * 99)
    assert len(sample.read(tmp_path).unreadable) == 1
    with pytest.raises(Refused):
        sample.read(tmp_path / "b.csv")


def test_rows_that_repeat_an_earlier_one_do_not_count(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts,x", lambda at: f"{T_S + at // 2},{at // 2}")
    assert len(sample.read(path).first) == 30


def test_all_words_of_a_column_are_found_beyond_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "ROWS", 10)
    path = table(tmp_path / "a.csv", "ts,label", lambda at: f"{T_S + at},{'b' if at < 50 else 'c'}")
    found = sample.read(path)
    assert set(found.every("label")) == {"b"}
    assert found.whole("label", 20) == {"b": 50, "c": 10}


def test_the_machine_is_taken_off_the_names_of_perfmon(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv", r'"time","\\WEB1\Memory\Bytes"', lambda at: f'"{T_S + at}","{at}"'
    )
    found = sample.read(path)
    assert found.header_host
    assert found.columns == ("time", r"Memory\Bytes")


def test_files_without_rows_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "ts,x", [])
    write(tmp_path / "b.csv", "ts,x", [])
    with pytest.raises(Refused, match="none of 2 files holds a row"):
        sample.read(tmp_path)


def test_columns_of_several_machines_are_refused(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv", r'"time","\\W1\x","\\W2\x"', lambda at: f'"{T_S + at}","{at}","{at}"'
    )
    with pytest.raises(Refused, match="columns of several machines: W1, W2"):
        sample.read(path)


def test_files_with_further_columns_are_alike(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", "ts,x", lambda at: f"{T_S + at},{at}")
    table(tmp_path / "b.csv", "ts,x,y", lambda at: f"{T_S + at},{at},{at}")
    found = sample.read(tmp_path)
    assert [part.name for part in found.parts] == ["a.csv", "b.csv"]
    assert found.columns == ("ts", "x", "y")
