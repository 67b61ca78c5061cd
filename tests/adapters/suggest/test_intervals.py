"""Files of labels: found beside the telemetry, and read by themselves."""

from pathlib import Path

import pytest
from tests.drafts import T_S, draft, table, write

from phasewatch.adapters.suggest import intervals, sample
from phasewatch.errors import Refused


def test_a_file_of_labels_is_no_telemetry(tmp_path: Path) -> None:
    table(tmp_path / "node.csv", "ts,x", lambda at: f"{T_S + at},{at}")
    write(tmp_path / "steps.csv", "start,stop,network,step", [f"{T_S + 3},{T_S + 9},fox,scan"])
    found, labelled = intervals.apart(sample.read(tmp_path))
    assert labelled is not None
    assert labelled.classes == ("benign", "scan")
    assert labelled.fields[:5] == (
        'file = "steps.csv"', 'start = "start"', 'end = "stop"', 'label = "step"',
        'host = "network"',
    )  # fmt: skip
    assert labelled.fields[-1] == 'unit = "s"'
    assert [part.name for part in found.parts] == ["node.csv"]
    assert found.names == ("node.csv",)


def test_flows_with_two_times_are_no_labels(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", "start,end,x", lambda at: f"{T_S + at},{T_S + at + 3},{at}")
    table(tmp_path / "b.csv", "start,end,x", lambda at: f"{T_S + at},{T_S + at + 3},{at}")
    assert intervals.apart(sample.read(tmp_path))[1] is None


def test_swapped_days_and_months_are_a_question(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "from,to,label", ["5/7/2023 10:00,5/7/2023 11:00,scan"])
    assert 'format = "?"' in intervals.read(path).fields[-1]


def test_a_file_without_start_and_end_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts,x", lambda at: f"{T_S + at},{at}")
    with pytest.raises(Refused, match="is no file of labels"):
        intervals.read(path)


def test_words_of_machines_in_labels_are_their_hosts(tmp_path: Path) -> None:
    source = tmp_path / "t"
    table(source / "data.csv", "ts,server,x", lambda at: f"{T_S + at // 2},{'ab'[at % 2]},{at % 7}")
    for column, words_of in (("target", "a"), ("operator", "eve")):
        rows = [f"{column},{T_S + 3},{T_S + 9},{words_of}", f"scan,{T_S + 9},{T_S + 20},b"]
        write(source / "truth.csv", f"attack,from,to,{column}", rows)
        found = draft(source)
        used = f'host = "{column}"' in found.mapping
        assert used is (column == "target")
        assert used is not any("[phase] host" in question for question in found.questions)


def test_marks_and_durations_are_labels(tmp_path: Path) -> None:
    source = tmp_path / "t"
    table(source / "data.csv", "ts,x", lambda at: f"{T_S + at},{at % 7}")
    write(source / "l.csv", "begin,length_min,type", [f"{T_S + 3},2,miner"])
    assert 'duration = "length_min"\nduration_unit = "min"\n' in draft(source).mapping
    write(source / "l.csv", "time,phase", [f"{T_S + 3},scan", f"{T_S + 9},normal"])
    mapping = draft(source).mapping
    assert 'end = ""\nlabel = "phase"\noutside = "normal"' in mapping
    write(source / "l.csv", "time,phase,x", [f"{T_S + 3},scan,1"])
    assert 'end = ""' not in draft(source).mapping


def test_machines_that_are_written_otherwise_are_asked_about(tmp_path: Path) -> None:
    source = tmp_path / "t"
    table(
        source / "data.csv", "ts,host,x", lambda at: f"{T_S + at // 2},{'ab'[at % 2]}.lan,{at % 7}"
    )
    write(source / "truth.csv", "host,start,end,label", [f"A,{T_S + 3},{T_S + 9},scan"])
    assert any("is A of the file of labels a.lan" in one for one in draft(source).questions)


def test_what_is_outside_of_labels_that_name_idle_time_is_asked(tmp_path: Path) -> None:
    source = tmp_path / "t"
    table(source / "data.csv", "ts,x", lambda at: f"{T_S + at},{at % 7}")
    rows = [f"{T_S + 3},{T_S + 9},mining", f"{T_S + 9},{T_S + 20},%s"]
    for word, outside in (("idle", "?"), ("normal", "normal"), ("scan", "benign")):
        write(source / "l.csv", "from,to,activity", [row.replace("%s", word) for row in rows])
        found = draft(source)
        assert f'outside = "{outside}"' in found.mapping
        assert any("[phase] outside" in one for one in found.questions) is (outside == "?")
