"""Rows become episodes, reported file by file; importing again changes nothing."""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.adapters.test_mapping import MAPPING, SCHEMA

from phasewatch import schema
from phasewatch.adapters import importer, mapping
from phasewatch.adapters.importer import FileReport, counts
from phasewatch.baseline import Selection
from phasewatch.errors import Refused
from phasewatch.schema import NS, Schema
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_store
from phasewatch.windowing import cut_windows

T_MS = 1_790_000_000_000
HEAD = "ts,job,state,cpu,rx,seconds"


def rows(count: int = 24, every_ms: int = 5000, turn: int = 12) -> list[str]:
    """A row every 5 s; busy from row `turn` on."""
    return [
        f"{T_MS + at * every_ms},backup,{'busy' if at >= turn else 'calm'},{at},{at * 5},5"
        for at in range(count)
    ]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "run-1.csv").write_text("\n".join([HEAD, *rows()]) + "\n")
    return folder


def take(source: Path, text: str = MAPPING, kinds: str = SCHEMA) -> tuple[list[FileReport], Store]:
    folder = source.parent
    (folder / "schema.toml").write_text(kinds)
    (folder / "mapping.toml").write_text(text)
    layout = schema.read(folder / "schema.toml")
    store = Store.create(folder / "store", layout)
    mapped = mapping.read(folder / "mapping.toml", layout)
    return list(importer.import_files(source, mapped, store)), store


def test_rows_become_an_episode_that_the_validator_accepts(source: Path) -> None:
    (outcome,), store = take(source)
    (result,) = validate_store(store)
    assert result.verdict == "accepted"
    episode = store.read(result.id)
    assert (episode.host, episode.sample, episode.profile) == ("pi-1", "run-1", "backup")
    assert episode.seconds == 24 * 5
    assert [(one.t_wall_ns - episode.start_ns, one.phase) for one in episode.labels] == [
        (0, "calm"),
        (12 * 5 * NS, "busy"),
    ]
    windows = cut_windows(episode, store.schema)
    # A row at a step's end is that step's: 4 steps of 5 s, values 0, 1, 2, …
    np.testing.assert_array_equal(windows.x[0, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(windows.x[0, 1], np.array([0, 1, 2, 3]) * 1024)
    assert counts([outcome]) == {
        "rows": 24, "dropped": 0, "episodes": 1, "new": 1, "accepted": 1,
    }  # fmt: skip


def test_importing_again_changes_nothing(source: Path) -> None:
    take(source)
    before = {path: path.read_bytes() for path in source.parent.rglob("*.parquet")}
    outcomes, store = take(source)
    assert [one.new for one in outcomes[0].episodes] == [False]
    assert {path: path.read_bytes() for path in store.root.rglob("*.parquet")} == before


def test_other_values_under_the_same_name_are_refused(source: Path) -> None:
    take(source)
    path = source / "run-1.csv"
    path.write_text(path.read_text().replace(",7,35,", ",8,35,"))
    with pytest.raises(Refused, match="was imported before with other values"):
        take(source)


def test_of_two_files_of_one_episode_the_second_is_refused(source: Path) -> None:
    (source / "again").mkdir()
    (source / "again" / "run-1.csv").write_text("\n".join([HEAD, *rows(turn=5)]))
    (first, second), store = take(source)
    assert "run-1.csv and again/run-1.csv: have one host, sample" in str(second.refused)
    assert store.ids() == [one.id for one in first.episodes]


def test_unusable_rows_are_dropped_and_reported_by_line(source: Path) -> None:
    path = source / "run-1.csv"
    lines = [HEAD, *rows()]
    lines[3] = lines[3].replace(",2,10,", ",much,10,")
    lines[5] = "yesterday" + lines[5][13:]
    lines[7] = "1,2"
    path.write_text("\n".join(lines))
    (outcome,), _ = take(source)
    assert list(map(str, outcome.dropped)) == [
        "2 fields where the header has 6 (line 8)",
        "ts is no time in ms (line 6: 'yesterday')",
        "cpu is no number (line 4: 'much')",
    ]
    assert (outcome.rows, outcome.rows_dropped) == (24, 3)


def test_missing_values_are_not_measured(source: Path) -> None:
    path = source / "run-1.csv"
    path.write_text(path.read_text().replace(",2,10,", ",NA,10,"))
    (outcome,), store = take(source)
    assert outcome.dropped == ()
    samples = store.read(outcome.episodes[0].id).sources["node"]
    assert np.isnan(samples.values[2, 0])
    assert outcome.episodes[0].verdict == "degraded"


def test_a_gap_splits_episodes_where_the_mapping_says_so(source: Path) -> None:
    lines = rows()
    later = [f"{int(line[:13]) + 3_600_000}{line[13:]}" for line in lines]
    (source / "run-1.csv").write_text("\n".join([HEAD, *lines, *later]))
    (outcome,), _ = take(source, MAPPING.replace("[episode]", "[episode]\ngap_s = 60"))
    assert len(outcome.episodes) == 2


def test_events_are_added_up_in_bins(source: Path) -> None:
    kinds = SCHEMA.replace(
        '["cpu", "%", "gauge", "share of time at work"],\n  ["rx", "B/s", "gauge", "received"],',
        '["flows", "1", "event", "flows"],\n  ["rx", "B", "event", "received"],',
    )
    text = MAPPING[: MAPPING.index("[channels]")] + (
        '[rows]\nevents_every_s = 5\n[channels]\n"node.flows" = { rows = true }\n"node.rx" = "rx"\n'
    )
    lines = [f"{T_MS + ms},backup,calm,0,{rx},0" for ms, rx in ((10, 5), (20, 7), (21_000, 3))]
    (source / "run-1.csv").write_text("\n".join([HEAD, *lines]))
    (outcome,), store = take(source, text, kinds)
    samples = store.read(outcome.episodes[0].id).sources["node"]
    np.testing.assert_array_equal(samples.values[:, 0], [2, 0, 0, 0, 1])
    np.testing.assert_array_equal(samples.values[:, 1], [12, 0, 0, 0, 3])
    late = f"{T_MS + 10**11},backup,calm,0,1,0"
    (source / "run-1.csv").write_text("\n".join([HEAD, *lines, late]))
    with pytest.raises(Refused, match=r"run-1\.csv: line 5: is .* expected events of one episode"):
        take(source, text, kinds)


BAD: dict[str, tuple[Callable[[str], str], str]] = {
    "another unit": (
        lambda text: text.replace('unit = "ms"', 'unit = "s"'),
        r"run-1.csv: line 2: ts: 1790000000000 is not between .* expected Unix time in ms",
    ),
    "no such column": (
        lambda text: text.replace('column = "state"', 'column = "phase"'),
        r"run-1.csv: has no column phase; expected some of ts, job, state",
    ),
    "unknown phase": (
        lambda text: text.replace('column = "state"', 'value = "angry"'),
        r"run-1.csv: line 2: phase: is 'angry'; expected one of calm, busy",
    ),
    "no row": (
        lambda text: text.replace('column = "ts"', 'column = "job"'),
        r"none of its 24 rows can be used: job is no time in ms \(line 2: 'backup', ",
    ),
    "no row at all": (
        lambda text: (
            text + "[files]\nskip_lines = 24\nheader = ['ts','job','state','cpu','rx','seconds']\n"
        ),
        "none of its 1 row is kept",
    ),
    "every row dropped": (
        lambda text: text + "[rows]\ndrop = { job = 'backup' }\n",
        "none of its 24 rows is kept",
    ),
    "no file": (
        lambda text: "[files]\npattern = '*.parquet'\n" + text,
        r"no file to read fits '\*.parquet'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mapping_that_does_not_fit_is_refused_in_one_line(case: str, source: Path) -> None:
    spoil, problem = BAD[case]
    with pytest.raises(Refused, match=problem):
        take(source, spoil(MAPPING))


def test_a_store_in_its_own_source_is_refused(source: Path) -> None:
    (source.parent / "schema.toml").write_text(SCHEMA)
    (source.parent / "mapping.toml").write_text(MAPPING)
    layout = schema.read(source.parent / "schema.toml")
    mapped = mapping.read(source.parent / "mapping.toml", layout)
    for place in (source, source / "store"):
        with pytest.raises(Refused, match=r"lies in the source .* Choose another --out"):
            importer.find_files(source, mapped, place)


def test_two_rows_of_one_time_that_differ_are_refused_by_line(source: Path) -> None:
    other = rows()[-1].replace(",23,", ",24,")
    (source / "run-1.csv").write_text("\n".join([HEAD, *rows(), other]))
    with pytest.raises(Refused, match=r"run-1.csv: line 26: has the time of line 25"):
        take(source)


def test_a_row_that_is_repeated_is_dropped_and_told(source: Path) -> None:
    (before,), _ = take(source)
    (source / "run-1.csv").write_text("\n".join([HEAD, *rows(), *rows()[-1:] * 2]))
    (outcome,), _ = take(source)
    assert [one.id for one in outcome.episodes] == [one.id for one in before.episodes]
    assert [str(one) for one in outcome.dropped] == [
        "repeats the row of its time before it (line 26, line 27)"
    ]


def test_rows_in_any_order_are_the_same_episode(source: Path) -> None:
    (first,), _ = take(source)
    (source / "run-1.csv").write_text("\n".join([HEAD, *rows()[::-1]]))
    (again,), _ = take(source)
    assert [replace(one, new=False) for one in first.episodes] == list(again.episodes)


def test_a_zipped_json_source_is_the_same_episode(source: Path) -> None:
    (first,), _ = take(source)
    names = HEAD.split(",")
    lines = [json.dumps(dict(zip(names, row.split(","), strict=True))) for row in rows()]
    (source / "run-1.csv").unlink()
    (source / "run-1.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    text = MAPPING.replace("[.]csv", "[.]jsonl")
    folder = source.parent
    (folder / "mapping.toml").write_text(text)
    layout: Schema = schema.read(folder / "schema.toml")
    mapped = mapping.read(folder / "mapping.toml", layout)
    store = Store.create(folder / "other", layout)
    (other,) = importer.import_files(source, mapped, store)
    assert other.episodes[0].id == first.episodes[0].id


@pytest.mark.parametrize("host", ['{ column = "job" }', '{ path = "(zz)?" }'])
def test_an_identity_without_a_text_is_refused_by_its_line(source: Path, host: str) -> None:
    nameless = [row.replace("backup", "") for row in rows()]
    (source / "run-1.csv").write_text("\n".join([HEAD, *nameless]) + "\n")
    with pytest.raises(Refused, match=r"run-1\.csv: line 2: host: is empty"):
        take(source, re.sub(r"host = .*", f"host = {host}", MAPPING))


def test_a_date_of_another_century_is_refused_by_its_line(source: Path) -> None:
    dated = [f"1969-12-31T23:59:{at:02},backup,calm,1,2,5" for at in range(3)]
    (source / "run-1.csv").write_text("\n".join([HEAD, *dated]) + "\n")
    with pytest.raises(Refused, match="is not between the years 2000 and 2100 in iso"):
        take(source, re.sub(r'unit = "ms"', 'unit = "iso"', MAPPING, count=1))


def test_a_time_beyond_any_number_is_dropped(source: Path) -> None:
    (source / "run-1.csv").write_text("\n".join([HEAD, *rows(), "1e9999999,backup,busy,1,2,5"]))
    (outcome,), _ = take(source)
    assert [one.examples for one in outcome.dropped] == [("line 26: '1e9999999'",)]


def test_of_several_files_the_bad_one_is_left_out_and_told(source: Path) -> None:
    for number in (2, 3, 4):
        later = [f"{int(row[:13]) + 10**6 * number}{row[13:]}" for row in rows()]
        (source / f"run-{number}.csv").write_text("\n".join([HEAD, *later]))
    (source / "run-2.csv").write_text("\n".join([HEAD.replace("cpu", "rx"), *rows()]))
    # The second episode of this file is refused, so the first is withdrawn.
    twice = [rows()[0], *rows(), rows()[5].replace(",5,25,", ",6,25,")]
    half = [row.replace("backup", "other") for row in rows(8)]
    (source / "run-3.csv").write_text("\n".join([HEAD, *half, *twice]))
    reports, store = take(source)
    assert [bool(report.refused) for report in reports] == [False, True, True, False]
    assert "run-2.csv: has no column cpu" in str(reports[1].refused)
    assert "run-3.csv: line 35: has the time of line 16" in str(reports[2].refused)
    kept = sorted(one.id for report in reports for one in report.episodes)
    assert store.ids() == kept and len(kept) == 2
    again, _ = take(source)
    assert [one.new for report in again for one in report.episodes] == [False, False]
    assert counts(reports)["refused"] == 2


def test_a_damaged_archive_gives_nothing(source: Path) -> None:
    data = gzip.compress("\n".join([HEAD, *rows()]).encode())
    (source / "run-2.csv.gz").write_bytes(data[:-20])
    text = MAPPING.replace('sample = { path = "([^/]+)[.]csv" }', 'sample = { path = "^(.*)$" }')
    (first, second), store = take(source, text)
    assert second.refused and len(store.ids()) == len(first.episodes) == 1


@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_many_hosts_in_any_order_are_episodes_each(
    memory: int, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are the same whether they are kept in memory or on the disk meanwhile."""
    monkeypatch.setattr("phasewatch.adapters.partitions.MEMORY", memory)
    lines = [row.replace("backup", f"h{host}") for row in rows() for host in range(3)]
    (source / "run-1.csv").write_text("\n".join([HEAD, *lines[::-1]]))
    text = MAPPING.replace('host = "pi-1"', 'host = { column = "job" }')
    text = text.replace('{ column = "job", rules = [["^backup", "backup"], ["", "other"]] }', '"p"')
    _, store = take(source, text)
    assert [store.manifest(id).host for id in store.ids()] == ["h0", "h1", "h2"]
    for id in store.ids():
        samples = store.read(id).sources["node"]
        np.testing.assert_array_equal(samples.values[:, 0], np.arange(24))
    assert not list((store.root / "episodes").glob(".tmp*"))


def test_an_episode_that_is_too_large_says_how_to_cut_it(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "MAX_EPISODE", 100)
    with pytest.raises(Refused, match=r"Cut recordings with \[episode\] every_s = 86400"):
        take(source)


def test_a_row_may_stand_between_lines_that_only_look_like_ends(source: Path) -> None:
    names = HEAD.split(",")
    lines = [dict(zip(names, row.split(","), strict=True)) for row in rows()]
    lines[3]["note"] = "a\u2028b\u0085c"
    (source / "run-1.csv").unlink()
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (source / "run-1.jsonl").write_text(text, encoding="utf-8")
    (report,), _ = take(source, MAPPING.replace("[.]csv", "[.]jsonl"))
    assert (report.rows, report.dropped) == (24, ())


@pytest.mark.parametrize(
    ("table", "marked"),
    [
        ('[baseline]\npath = "run-1"\n', True),
        ('[baseline]\npath = "^idle/"\n', False),
        ('[baseline]\ncolumn = "job"\nfits = "^back"\n', True),
        ('[baseline]\ncolumn = "job"\nfits = "^idle"\n', False),
        ("", False),
    ],
)
def test_a_mapping_declares_recordings_baseline(source: Path, table: str, marked: bool) -> None:
    (source / "run-1.csv").write_text("\n".join([HEAD, *rows(turn=99)]) + "\n")
    (outcome,), store = take(source, MAPPING + table)
    manifest = store.manifest(outcome.episodes[0].id)
    assert (manifest.notes == {"imported_from": "run-1.csv"}) is not marked
    assert Selection(noted=True).declares(manifest) is marked
    (result,) = validate_store(store)
    assert result.verdict == "accepted"


def test_rows_of_both_kinds_are_two_episodes(source: Path) -> None:
    text = [HEAD, *rows(turn=99), *(row.replace("backup", "idle") for row in rows(12, turn=99))]
    moved = [text[0], *text[1:25], *(row.replace("17900", "17901") for row in text[25:])]
    (source / "run-1.csv").write_text("\n".join(moved) + "\n")
    plain = MAPPING.replace('rules = [["^backup", "backup"], ["", "other"]]', 'rules = [["", "x"]]')
    (outcome,), store = take(source, plain + '[baseline]\ncolumn = "job"\nfits = "idle"\n')
    notes = [store.manifest(one.id).notes.get("baseline") for one in outcome.episodes]
    assert notes == [None, True]


def test_baseline_that_is_not_benign_is_refused(source: Path) -> None:
    problem = r"run-1.csv: line 14: baseline: is of the phase 'busy'"
    with pytest.raises(Refused, match=problem):
        take(source, MAPPING + '[baseline]\npath = "run"\n')


def test_labels_of_a_machine_that_is_written_otherwise_leave_nothing(source: Path) -> None:
    """Without this, the attack on PI-1 would be benign time of pi-1."""
    labels = f"start,end,label,host\n{T_MS},{T_MS + 60_000},busy,%s\n"
    phase = 'file = "labels.csv"\nhost = "host"\noutside = "calm"'
    (source / "labels.csv").write_text(labels % "PI-1")
    with pytest.raises(Refused, match="labels of host PI-1, and the tables have pi-1"):
        take(source, MAPPING.replace('column = "state"', phase))
    assert not Store.open(source.parent / "store").ids()
    more = f"{T_MS},{T_MS + 60_000},busy,pi-7\n"
    (source / "labels.csv").write_text(labels % "pi-1" + more)
    reports, store = take(source, MAPPING.replace('column = "state"', phase))
    assert len(store.ids()) == 1
    assert reports[-1].notes == ("no row lies in 1 of 2 intervals (lines 3); no row has host pi-7",)


def test_blanks_around_a_name_do_not_make_it_another(source: Path) -> None:
    text = (source / "run-1.csv").read_text().replace(",busy,", ", busy ,")
    text = text.replace("backup", "backup ", 3)
    (source / "run-1.csv").write_text(text)
    _, store = take(source)
    (only,) = store.ids()
    assert {one.phase for one in store.read(only).labels} == {"calm", "busy"}
