"""Totals of a store add up by campaign and by verdict, and need no samples."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from tests import toy

from phasewatch import schema
from phasewatch.experiment import totals
from phasewatch.experiment.totals import Total
from phasewatch.schema import NS
from phasewatch.store.format import MANIFEST, SAMPLES
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_store


def rows(found: list[Total], by: str) -> dict[str, Total]:
    return {one.name: one for one in found if one.by == by}


def test_every_episode_is_counted_in_its_campaign_its_verdict_and_in_all(toy_store: Store) -> None:
    results = validate_store(toy_store)
    rejected = [replace(one, verdict="rejected") for one in results[:2]]
    found = totals.totals([*rejected, *results[2:]], toy_store)
    (every,) = rows(found, "all").values()
    assert (every.episodes, every.samples, every.hosts) == (36, 9, 4)
    assert every.benign_h + every.hostile_h == pytest.approx(36 * 40 / 3600, abs=0.002)
    assert every.ambiguous_h == 0
    for by, names in (
        ("campaign", {"c0", "c1", "c2"}),
        ("verdict", {"accepted", "rejected"}),
    ):
        parts = rows(found, by)
        assert set(parts) == names
        assert sum(one.episodes for one in parts.values()) == 36
        assert sum(one.hostile_h for one in parts.values()) == pytest.approx(
            every.hostile_h, abs=0.003
        )
    assert rows(found, "usable")["all usable"].episodes == 34
    assert rows(found, "verdict")["rejected"].episodes == 2


def test_hours_are_those_of_the_labels_and_overlapping_acts_count_once(tmp_path: Path) -> None:
    store = Store.create(tmp_path, schema.vm46())
    one = toy.episode("alpha", "dig", 1)
    hostile_ns = sum(
        end - label.t_wall_ns
        for label, end in zip(
            one.labels, [*(label.t_wall_ns for label in one.labels[1:]), one.end_ns], strict=True
        )
        if label.phase != "benign"
    )
    at = [(one.start_ns + begin * NS, one.start_ns + end * NS) for begin, end in SPANS]
    store.publish(replace(one, notes={"ambiguous": [list(span) for span in at]}))
    found = totals.totals(validate_store(store), store)
    (every,) = rows(found, "all").values()
    assert every.hostile_h == round(hostile_ns / (3600 * NS), 3)
    assert every.ambiguous_h == round((10 + 4) / 3600, 3)


SPANS = ((-9, 4), (2, 10), (36, 90))


def test_samples_are_not_read_and_what_is_unreadable_is_counted(tmp_path: Path) -> None:
    store = toy.store(tmp_path / "s", seeds=1)
    results = validate_store(store)
    first, second, *_ = store.ids()
    (store.folder(first) / SAMPLES).unlink()
    before = totals.totals(results, store)
    assert rows(before, "all")["all episodes"].hostile_h > 0
    (store.folder(second) / MANIFEST).write_text("{")
    found = totals.totals(validate_store(store), store)
    assert rows(found, "campaign")[totals.UNREADABLE].episodes == 2
    assert rows(found, "all")["all episodes"].episodes == 12
    assert rows(found, "usable")["all usable"].episodes == 10


def test_rows_are_written_as_csv_and_markdown(toy_store: Store) -> None:
    found = totals.totals(validate_store(toy_store), toy_store)
    written = list(csv.DictReader(io.StringIO(totals.table(found).decode())))
    assert [int(row["episodes"]) for row in written] == [one.episodes for one in found]
    text = totals.markdown(found)
    assert "| campaign c1 | 12 | 3 | 4 |" in text and "| all usable | 36 |" in text
