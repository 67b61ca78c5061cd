"""A mapping says where everything is; whatever is wrong with one is refused by field."""

from pathlib import Path

import pytest

from phasewatch import schema
from phasewatch.adapters import mapping
from phasewatch.adapters.mapping import TextSource
from phasewatch.errors import Refused
from phasewatch.schema import Schema

SCHEMA = """
name = "pi"
classes = ["calm", "busy"]
[grid]
window_s = 20.0
stride_s = 10.0
step_s = 5.0
hold_s = 10.0
[sources.node]
deployed = true
meaning = "a node"
channels = [
  ["cpu", "%", "gauge", "share of time at work"],
  ["rx", "B/s", "gauge", "received"],
]
"""
MAPPING = """
[time]
column = "ts"
unit = "ms"
[episode]
host = "pi-1"
sample = { path = "([^/]+)[.]csv" }
profile = { column = "job", rules = [["^backup", "backup"], ["", "other"]] }
[phase]
column = "state"
[channels]
"node.cpu" = "cpu"
"node.rx" = { column = "rx", unit = "KiB", per = "seconds" }
"""


@pytest.fixture
def layout(tmp_path: Path) -> Schema:
    path = tmp_path / "schema.toml"
    path.write_text(SCHEMA)
    return schema.read(path)


def read(text: str, layout: Schema, folder: Path) -> mapping.Mapping:
    path = folder / "mapping.toml"
    path.write_text(text)
    return mapping.read(path, layout)


def test_units_and_rates_become_one_factor(layout: Schema, tmp_path: Path) -> None:
    found = read(MAPPING, layout, tmp_path)
    assert [one.factor for one in found.quantities] == [1.0, 1024.0]
    assert found.quantities[1].per == "seconds"
    assert set(found.columns) == {"ts", "job", "state", "cpu", "rx", "seconds"}
    assert found.identity["campaign"].of_file("x") == "imported"
    assert found.identity["sample"].of_file("folder/run-7.csv") == "run-7"
    assert found.identity["profile"].apply_rules("backup-daily", "here") == "backup"


def test_a_path_that_does_not_fit_is_refused() -> None:
    import re

    with pytest.raises(Refused, match="does not fit"):
        TextSource(path=re.compile("^raw/")).of_file("cooked/a.csv")


BAD = {
    'unit = "ms"': ('unit = "minutes"', r"time.unit: is 'minutes'; expected one of s, ms"),
    'column = "ts"': ("", r"time.column: is missing"),
    'host = "pi-1"': ("host = 7", r"episode.host: is 7; expected a text, or a table"),
    '"node.cpu" = "cpu"': ("", r"node.cpu is not mapped"),
    '"node.cpu" = "cpu"\n': ('"node.cpu" = "cpu"\n"node.disk" = "d"\n', "node.disk is no channel"),
    'unit = "KiB"': ('unit = "s"', r"node.rx.*s/s does not convert to the schema's B/s"),
    "([^/]+)": ("([^/+)", "episode.sample.path: .*unterminated subpattern"),
    '["", "other"]': (
        '["other"]',
        r"profile.rules\[1\]: has 1 entry; expected 2: pattern, replacement",
    ),
    'column = "state"': (
        'column = "state"\npath = "a"',
        "phase: has column and path; expected one",
    ),
    "[phase]": (
        "[rows]\nevery = 3\n[phase]",
        "rows.every: is an unknown field",
    ),
    "[channels]": ("[rows]\nevents_every_s = 5\n[channels]", "node.cpu is a gauge and rows are"),
    "[time]": ("[time", "Expected"),
    '{ column = "rx"': ('{ rows = true, column = "rx"', "column, per, unit beside rows"),
    'column = "rx", ': ("", "node.rx.column: is missing; expected the name of a column"),
    '"cpu"\n': ("7\n", "node.cpu: is 7; expected the name of a column, or a table"),
    'sample = { path = "([^/]+)[.]csv" }': (
        "sample = { path = 7 }",
        "episode.sample.path: is 7; expected a regular expression",
    ),
    'host = "pi-1"\n': ('host = "pi-1"\ngap_s = -1\n', "gap_s: is -1; expected at least 0"),
}


ADDED = {
    "[time]": [
        (
            "[time]\nformat = '%d/%m/%Y'",
            "time: has unit and format; expected one of unit and format",
        ),
        (
            "[time]\nzone = 'Europe/Berlin'",
            "time.zone: is given for Unix time in ms; expected dates",
        ),
        ("[time]\nstart = 'noon'", "time.start: is 'noon'; expected a date such as"),
        ("[files]\nencoding = 'utf-99'\n[time]", "files.encoding: is 'utf-99'; expected the name"),
        ("[numbers]\nthousands = '.'\n[time]", "numbers.thousands: is '.'; expected another"),
        (
            "[pivot]\nvalue = 'v'\n[time]",
            "pivot.name: is missing; expected the column of the names",
        ),
        ("[pivot]\nname = 'n'\nvalue = 'v'\n[time]", "channels.node.rx: has per beside .pivot."),
        ("[rows]\nkeep = { job = [] }\n[time]", "rows.keep.job: "),
    ],
    'unit = "ms"': [
        ("", "time.unit: is missing; expected one of s, ms, us, ns, iso, clock, or a format"),
        ("format = '%H:%M'", "time.format: is '%H:%M': it has no year, month and day; expected a"),
        ("format = '%d/%m/%Y'\nzone = 'Berlin'", "time.zone: is 'Berlin'; expected a zone such as"),
        ("unit = 'clock'", "time.start: is missing; expected the date of the first row"),
        ("unit = 'iso'\nstart = '2026-11-01'", "time.start: is given beside whole dates"),
    ],
    'column = "state"': [
        ("file = 'labels.csv'", "phase.outside: is missing"),
        ("file = 'labels.csv'\noutside = 'calm'\npath = 'x'", "phase.path: is an unknown field"),
        ("header = '['", "phase.header: .*unterminated"),
    ],
}


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [(right, wrong, why) for right, several in ADDED.items() for wrong, why in several],
)
def test_a_wrong_field_of_reading_is_named(
    right: str, wrong: str, problem: str, layout: Schema, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=problem):
        read(MAPPING.replace(right, wrong, 1), layout, tmp_path)


@pytest.mark.parametrize("right", BAD)
def test_a_wrong_field_is_named(right: str, layout: Schema, tmp_path: Path) -> None:
    wrong, problem = BAD[right]
    assert right in MAPPING
    with pytest.raises(Refused, match=problem) as refused:
        read(MAPPING.replace(right, wrong), layout, tmp_path)
    assert "mapping.toml" in str(refused.value)


QUESTIONS = {
    ('column = "state"', 'value = "?"'): r"phase\.value: .*; expected the phase of every row",
    ('unit = "ms"', 'format = "?"'): r"time\.format: .*; expected a format",
    ('host = "pi-1"', 'host = "?"'): r"episode\.host: is a question that the draft leaves open",
}


@pytest.mark.parametrize("answer", QUESTIONS)
def test_a_question_that_a_draft_leaves_open_is_refused(
    answer: tuple[str, str], layout: Schema, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=QUESTIONS[answer]):
        read(MAPPING.replace(*answer), layout, tmp_path)


def test_only_rows_that_are_counted_are_chosen_by_their_text(
    layout: Schema, tmp_path: Path
) -> None:
    text = MAPPING.replace(
        '"node.cpu" = "cpu"', '"node.cpu" = { rows = true, where = { job = 7 } }'
    )
    mapped = read(text, layout, tmp_path)
    assert mapped.quantities[0].where == (("job", frozenset(["7"])),)
    assert "job" in mapped.columns
    wrong = MAPPING.replace('unit = "KiB"', 'where = { job = "x" }')
    with pytest.raises(Refused, match=r"node\.rx\.where: stands beside a column"):
        read(wrong, layout, tmp_path)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("", "one of path and column"),
        ('path = "a"\ncolumn = "job"\nfits = "b"', "one of path and column"),
        ('column = "job"', "fits"),
        ('path = "["', "a regular expression"),
        ('rows = "a"', "unknown"),
    ],
)
def test_a_baseline_that_says_nothing_is_refused(
    table: str, problem: str, layout: Schema, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=problem):
        read(f"{MAPPING}[baseline]\n{table}\n", layout, tmp_path)


def test_a_column_of_baseline_must_be_there(layout: Schema, tmp_path: Path) -> None:
    text = f'{MAPPING}[baseline]\ncolumn = "use"\nfits = "idle"\n'
    assert "use" in read(text, layout, tmp_path).columns
