"""Predictions of attached machines are those that `watch` makes of the same lines."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch.artifacts import bundle
from phasewatch.artifacts.bundle import Bundle
from phasewatch.attach.watch.lines import line
from phasewatch.attach.watch.predictions import Predictions
from phasewatch.attach.watch.watched import Event, Gap, Reading
from phasewatch.live.jsonl import watch
from phasewatch.live.levels import KeptLevels
from phasewatch.schema import NS


@pytest.fixture
def loaded(bundle_folder: Path) -> Bundle:
    return bundle.load(bundle_folder)


def readings(name: str = "box", shift_ns: int = 0) -> list[Event]:
    found: list[Event] = []
    for source, samples in toy.episode("beta", "leak").sources.items():
        for row, t in enumerate(samples.t_wall_ns.tolist()):
            values = samples.values[row].tolist()
            found.append(Reading(name, source, samples.names, t + shift_ns, t, values))
    return sorted(found, key=lambda reading: reading.t_wall_ns)


def test_predictions_are_those_of_watch_on_the_same_lines(loaded: Bundle) -> None:
    direct, events = Predictions(loaded), readings()
    found = [one for event in events for one in direct.take(event)]
    lines = [line(event, many=True) for event in events]
    assert found == list(watch(loaded, lines, loaded.alarm)) and len(found) > 3
    assert json.loads(found[0].line())["machine"] == "box"


def test_after_a_gap_windows_begin_anew_and_the_level_stays(loaded: Bundle) -> None:
    direct = Predictions(loaded)
    first = [one for event in readings() for one in direct.take(event)]
    level = direct.watchers["box"].level
    assert list(direct.take(Gap("box", 0, "away"))) == []
    later = readings(shift_ns=-500 * NS)
    second = [one for event in later for one in direct.take(event)]
    assert direct.watchers["box"].level is level
    assert second[0].end_ns == later[0].t_wall_ns + round(loaded.schema.grid.window_s * NS)
    assert len(second) >= len(first) > 3


def test_machines_do_not_mix(loaded: Bundle) -> None:
    both = Predictions(loaded)
    pairs = zip(readings("one"), readings("two", 7 * NS), strict=True)
    found = [one for pair in pairs for event in pair for one in both.take(event)]
    alone = Predictions(loaded)
    assert [one for one in found if one.machine == "one"] == [
        one for event in readings("one") for one in alone.take(event)
    ]


def test_a_level_is_kept_across_restarts_and_does_not_move(loaded: Bundle, tmp_path: Path) -> None:
    said: list[str] = []
    kept = KeptLevels(tmp_path / "levels", loaded.schema)
    first = Predictions(loaded, kept, said.append)
    assert "has no level yet" in first.begin("box", 0)
    before = [one for event in readings() for one in first.take(event)]
    assert said == [f"box: its level is kept in {kept.path('box')}"]
    stored = kept.path("box").read_bytes()
    again = Predictions(loaded, kept, said.append)
    now = readings()[-1].t_wall_ns
    assert again.begin("box", now) == "its level was measured 0.0 days ago"
    after = [one for event in readings() for one in again.take(event)]
    np.testing.assert_array_equal(again.watchers["box"].level, first.watchers["box"].level)
    # The same windows under the same level: those that the first had to wait for come in addition.
    assert [one for one in after if one.end_ns >= before[0].end_ns] == before
    assert kept.path("box").read_bytes() == stored and len(said) == 1
    assert "has no level yet" in again.begin("box", now, anew=True)


def test_a_level_that_cannot_be_kept_is_said_and_predictions_go_on(
    loaded: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "levels").write_text("a file where the folder should be")
    said: list[str] = []
    direct = Predictions(loaded, KeptLevels(tmp_path / "levels", loaded.schema), said.append)
    assert [one for event in readings() for one in direct.take(event)]
    assert len(said) == 1 and said[0].startswith("box: its level is not kept: ")
