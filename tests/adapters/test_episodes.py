"""Rows of one identity are sorted, joined and cut; what contradicts itself is refused."""

from pathlib import Path

import numpy as np
import pytest
from tests.adapters.test_importer import HEAD, T_MS, rows, source, take
from tests.adapters.test_mapping import MAPPING, SCHEMA

from phasewatch.errors import Refused
from phasewatch.schema import NS
from phasewatch.store.local import Store

__all__ = ["source"]

JOIN = "[rows]\njoin = true\n"
ONE = MAPPING.replace('sample = { path = "([^/]+)[.]csv" }', 'sample = "s"')


def halves(source: Path, second: list[str] | None = None) -> None:
    """The columns of one recording in two files."""
    (source / "run-1.csv").write_text("\n".join(["ts,job,state,cpu", *(
        ",".join(row.split(",")[:4]) for row in rows()
    )]))  # fmt: skip
    (source / "run-2.csv").write_text("\n".join(["ts,job,rx,seconds", *(second or [
        ",".join([*row.split(",")[:2], *row.split(",")[4:]]) for row in rows()
    ])]))  # fmt: skip


def read(store: Store) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    (id,) = store.ids()
    return store.read(id).sources["node"].values


def test_tables_of_one_host_are_joined_by_time(source: Path) -> None:
    whole = read(take(source, ONE)[1])
    halves(source)
    for path in source.parent.glob("store/episodes/*/*"):
        path.unlink()
    for path in source.parent.glob("store/episodes/*"):
        path.rmdir()
    reports, store = take(source, ONE + JOIN)
    np.testing.assert_array_equal(read(store), whole)
    assert [one.refused for one in reports] == [None, None]
    assert store.manifest(store.ids()[0]).notes["imported_from"] == "run-1.csv and 1 more"


def test_a_time_without_any_phase_is_refused(source: Path) -> None:
    halves(source, [f"{T_MS + 5000 * at + 1},backup,1,5" for at in range(24)])
    with pytest.raises(
        Refused, match=r"run-2.csv: line 2: has a time at which no file names a phase"
    ):
        take(source, ONE + JOIN)
    rounded = ONE.replace('unit = "ms"', 'unit = "ms"\nround_s = 5')
    assert len(read(take(source, rounded + JOIN)[1])) == 24


def test_two_values_of_one_channel_at_one_time_are_refused(source: Path) -> None:
    (source / "run-2.csv").write_text("\n".join([HEAD, *rows()]).replace(",7,35,", ",8,35,"))
    with pytest.raises(
        Refused, match=r"run-2.csv: line 9: has node.cpu = 8, and run-1.csv: line 9"
    ):
        take(source, ONE + JOIN)
    (source / "run-2.csv").write_text("\n".join([HEAD, *rows(turn=11)]))
    with pytest.raises(
        Refused, match=r"run-1.csv: line 13 and run-2.csv: line 13: have one time and"
    ):
        take(source, ONE + JOIN)


def test_a_source_has_the_rows_in_which_it_is_measured(source: Path) -> None:
    kinds = SCHEMA.replace(
        '  ["rx", "B/s"',
        ']\n[sources.net]\ndeployed = true\nmeaning = "a link"\nchannels = [\n  ["rx", "B/s"',
    )
    slow = [",".join([*row.split(",")[:2], *row.split(",")[4:]]) for row in rows()[::4]]
    halves(source, slow)
    text = ONE.replace('"node.rx"', '"net.rx"')
    _, store = take(source, text + JOIN, kinds)
    sources = store.read(store.ids()[0]).sources
    assert {name: (len(one), one.rate_hz) for name, one in sources.items()} == {
        "node": (24, 0.2), "net": (6, 0.05),
    }  # fmt: skip


def test_long_recordings_are_cut_at_multiples(source: Path) -> None:
    text = MAPPING.replace("[episode]", "[episode]\nevery_s = 30")
    reports, store = take(source, text)
    ends = sorted(store.read(id).end_ns for id in store.ids())
    assert [end % (30 * NS) for end in ends[:-1]] == [0] * (len(ends) - 1)
    assert sum(store.manifest(id).rows["node"] for id in store.ids()) == 24 - sum(
        one.count for one in reports[0].dropped
    )
    with pytest.raises(Refused, match=r"episode.every_s: is 7 s, and bins of 5 s do not fill it"):
        take(source, text.replace("30", "7") + "[rows]\nevents_every_s = 5\n")
