"""Drafts that run as they are, and say what a person must know to correct them."""

from pathlib import Path

import numpy as np
import pytest

from phasewatch import importing, mapping, schema
from phasewatch.refusal import Refused
from phasewatch.store import Store
from phasewatch.suggest import suggest

T_S = 1_790_000_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four recordings of a node: a total, a level, a constant, a second clock, a text."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "tables"
    for phase in ("idle", "mining"):
        for number in range(2):
            path = folder / phase / f"run-{number}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            total = np.cumsum(generator.integers(1, 9, 40))
            path.write_text(
                "timestamp,cpu %,bytes_total,memory,date,kernel\n"
                + "".join(
                    f"{T_S + at * 2 + number * 10_000},{generator.random():.3f},{total[at]},"
                    f"512,2026-09-21T00:00:{at:02},6.1\n"
                    for at in range(40)
                )
            )
    return folder


def test_the_drafts_import_as_they_are(source: Path, tmp_path: Path) -> None:
    draft = suggest(source)
    (tmp_path / "schema.toml").write_text(draft.schema)
    (tmp_path / "mapping.toml").write_text(draft.mapping)
    own = schema.read(tmp_path / "schema.toml")
    mapped = mapping.read(tmp_path / "mapping.toml", own)
    store = Store.create(tmp_path / "store", own)
    outcomes = list(importing.run(source, mapped, store))
    assert sum(len(one.episodes) for one in outcomes) == 4
    assert {one.verdict for outcome in outcomes for one in outcome.episodes} == {"accepted"}
    assert own.classes == ("idle", "mining")
    assert [channel.kind for channel in own.channels] == ["gauge", "counter"]
    assert own.grid.step_s == 2.0


def test_what_was_left_out_is_told(source: Path) -> None:
    told = "; ".join(suggest(source).remarks)
    assert "another clock: date" in told
    assert "constant in every file: memory" in told


def test_a_column_that_tells_the_phase_is_used(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text(
        "ts,label,x\n"
        + "".join(f"{T_S + at},{'rest' if at < 9 else 'c2'},{at % 3}\n" for at in range(20))
    )
    draft = suggest(path)
    assert 'column = "label"' in draft.mapping
    assert 'classes = ["rest", "c2"]' in draft.schema


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n2,3\n", "no column is a time"),
        ("ts,b\n1790000000,2\n1790000001,2\n", "no column"),
    ],
)
def test_data_without_a_clock_or_a_change_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(Refused, match=said):
        suggest(path)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no table"):
        suggest(tmp_path)
