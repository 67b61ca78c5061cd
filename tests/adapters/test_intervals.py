"""Labels in a file of their own hold from their start until their end."""

from pathlib import Path

import numpy as np
import pytest
from tests.adapters.test_mapping import MAPPING, SCHEMA

from phasewatch import schema
from phasewatch.adapters import intervals, mapping
from phasewatch.adapters.intervals import Labels
from phasewatch.errors import Refused
from phasewatch.schema import NS

T = 1_790_000_000


def read(tmp_path: Path, text: str, more: str = 'unit = "s"') -> Labels:
    (tmp_path / "schema.toml").write_text(SCHEMA)
    layout = schema.read(tmp_path / "schema.toml")
    phase = f'file = "labels.csv"\noutside = "calm"\n{more}'
    (tmp_path / "mapping.toml").write_text(MAPPING.replace('column = "state"', phase))
    found = mapping.read(tmp_path / "mapping.toml", layout).intervals
    assert found is not None
    (tmp_path / "labels.csv").write_text(text)
    return intervals.read(found, tmp_path, layout)


def classes(labels: Labels, *seconds: int, host: str = "pi-1") -> list[int]:
    return list(map(int, labels.classes(np.array([(T + s) * NS for s in seconds]), host)))


def test_an_interval_holds_from_its_start_until_its_end(tmp_path: Path) -> None:
    text = (
        f"start,end,label\n{T + 10},{T + 20},busy\n{T + 30},{T + 40},busy\n{T + 90},{T + 99},busy\n"
    )
    labels = read(tmp_path, text)
    assert classes(labels, 9, 10, 19, 20, 29, 30, 50) == [0, 1, 1, 0, 0, 1, 0]
    assert labels.unused() == [4]


def test_an_interval_within_another_does_not_end_it(tmp_path: Path) -> None:
    text = f"start,end,label\n{T},{T + 100},busy\n{T + 10},{T + 20},busy\n"
    assert classes(read(tmp_path, text), 15, 50, 100) == [1, 1, 0]


def test_without_an_end_a_label_lasts_until_the_next(tmp_path: Path) -> None:
    text = f"start,label\n{T + 20},calm\n{T + 10},busy\n{T + 30},busy\n"
    assert classes(read(tmp_path, text, 'unit = "s"\nend = ""'), 5, 10, 20, 99) == [0, 1, 0, 1]


def test_labels_of_a_host_are_only_its_own(tmp_path: Path) -> None:
    text = f"from,to,what,node\n{T},{T + 9},mining,pi-1\n{T},{T + 9},rest,pi-2\n"
    labels = read(
        tmp_path, text,
        'unit = "s"\nstart = "from"\nend = "to"\nlabel = "what"\nhost = "node"\n'
        'rules = [["mining", "busy"], ["", "calm"]]',
    )  # fmt: skip
    assert (classes(labels, 5), classes(labels, 5, host="pi-2")) == ([1], [0])
    assert labels.unused() == []


def test_dates_of_labels_are_in_their_zone(tmp_path: Path) -> None:
    text = "start,end,label\n21.09.2026 16:13:20,21.09.2026 16:14:00,busy\n"
    labels = read(tmp_path, text, 'format = "%d.%m.%Y %H:%M:%S"\nzone = "Europe/Berlin"')
    assert classes(labels, -1, 0, 39, 40) == [0, 1, 1, 0]


BAD = {
    f"start,end,label\n{T},{T + 9},wild\n": r"line 2: label: is 'wild'; expected one of calm, busy",
    f"start,end,label\n{T + 9},{T},busy\n": "line 2: ends before it starts",
    f"start,end,label\n{T},{T + 9},busy\n{T + 5},{T + 6},calm\n": "lines 2 and 3: name two phases",
    f"start,end,label\n{T},{T + 90},busy\n{T + 5},{T + 6},busy\n{T + 50},{T + 60},calm\n":
        "lines 3 and 4: name two phases",
    f"start,stop,label\n{T},{T + 9},busy\n": "has no column end; expected some of start, stop",
    f"start,end,label\nnoon,{T + 9},busy\n": "line 2: start: is 'noon'; expected a time in s",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_labels_that_contradict_are_refused_by_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=BAD[text]):
        read(tmp_path, text)


def test_labels_of_another_time_are_refused(tmp_path: Path) -> None:
    labels = read(tmp_path, f"start,end,label\n{T + 10},{T + 20},busy\n")
    classes(labels, 30)
    with pytest.raises(Refused, match="has no interval in which a row lies"):
        labels.refuse_unfitting()


def test_a_duration_ends_an_interval(tmp_path: Path) -> None:
    text = f"start,minutes,label\n{T + 60},2,busy\n"
    labels = read(tmp_path, text, 'unit = "s"\nduration = "minutes"\nduration_unit = "min"')
    assert classes(labels, 59, 60, 179, 180) == [0, 1, 1, 0]
    with pytest.raises(Refused, match="line 2: minutes: is 'x'"):
        read(tmp_path, text.replace(",2,", ",x,"), 'unit = "s"\nduration = "minutes"')
    with pytest.raises(Refused, match="given beside end"):
        read(tmp_path, text, 'unit = "s"\nduration = "minutes"\nend = "stop"')


def test_a_host_that_is_written_otherwise_is_refused(tmp_path: Path) -> None:
    text = f"start,end,label,host\n{T},{T + 9},busy,PI-1\n{T},{T + 9},busy,pi-2\n"
    labels = read(tmp_path, text, 'unit = "s"\nhost = "host"')
    classes(labels, 5, host="pi-2")
    assert labels.notes() == ["no row lies in 1 of 2 intervals (lines 2); no row has host PI-1"]
    labels.refuse_unfitting()
    classes(labels, 5, host="pi-1.lan")
    with pytest.raises(Refused, match=r"labels of host PI-1, and the tables have pi-1\.lan"):
        labels.refuse_unfitting()
