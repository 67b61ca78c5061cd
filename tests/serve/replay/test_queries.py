"""What the page queries of stored episodes: all windows, attributions, incidents."""

import json
import shutil
from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.live.playback import episode_incidents
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.replay.playback import Playback
from phasewatch.serve.replay.queries import Queries
from phasewatch.store.local import Store


def queries(run: Run | None, store: Store | None) -> Queries:
    return Queries(Playback(ProducerContext(run, store), lambda event: None))


@pytest.fixture(scope="module")
def found(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Queries:
    return queries(Run(toy_out), toy_store)


@pytest.fixture(scope="module")
def id(toy_store: Store) -> str:
    return next(id for id in toy_store.ids() if "dig" in id)


def test_the_corpus_lists_every_episode_with_its_part_of_the_split(
    found: Queries, toy_store: Store, toy_run: RunResult
) -> None:
    rows = {one["episode_id"]: one for one in found.corpus()}
    assert set(rows) == set(toy_store.ids())
    split = toy_run.predictions.folds[0].split
    assert {one for one, row in rows.items() if row["split_role"] == "test"} == set(split.test)


def test_the_corpus_is_listed_where_no_model_can_be_loaded(
    tmp_path: Path, toy_store: Store
) -> None:
    rows = queries(Run(tmp_path), toy_store).corpus()
    assert {one["episode_id"] for one in rows} == set(toy_store.ids())
    assert {one["split_recipe"] for one in rows} == {None}
    assert queries(None, None).corpus() == []


def test_every_window_of_an_episode_comes_in_order(found: Queries, id: str) -> None:
    windows = found.windows(id)
    first = windows[0].index
    assert [one.index for one in windows] == list(range(first, first + len(windows)))
    assert found.episode(id).n_windows == len(windows)
    with pytest.raises(Refused, match="has no episode"):
        found.windows("nobody")


def test_an_attribution_is_of_the_predicted_phase_unless_another_is_named(
    found: Queries, id: str
) -> None:
    window = found.windows(id)[-1]
    key = "gbt.realistic"
    attribution = found.attribution(id, window.index, key)
    assert attribution.label == window.models[key].label
    assert found.attribution(id, window.index, key, "impact").label == "impact"
    with pytest.raises(Refused, match="was not predicted"):
        found.attribution(id, 999, key)
    with pytest.raises(Refused, match="is no phase"):
        found.attribution(id, window.index, key, "lunch")
    with pytest.raises(Refused, match="not in the ensemble"):
        found.attribution(id, window.index, "none.realistic")


def test_incidents_are_those_of_the_rule_that_the_report_has(
    found: Queries, toy_out: Path, toy_store: Store
) -> None:
    expected = [
        incident
        for id in toy_store.ids()
        for incident in episode_incidents(Run(toy_out), toy_store, id, "gbt.oracle")
    ]
    assert expected
    assert [one for id in toy_store.ids() for one in found.incidents(id, "gbt.oracle")] == expected


def test_a_report_without_rules_raises_incidents_at_its_threshold(
    tmp_path: Path, toy_run: RunResult, toy_out: Path, toy_store: Store, id: str
) -> None:
    report = json.loads((toy_out / "report.json").read_bytes())
    chosen = {"gbt.oracle": 0.3, "gbt.realistic": None}
    for row in report["rows"]:
        key = f"{row['model']}.{row['mode']}"
        del row["incidents"]
        row["alarm_budget"]["thresholds"][0] = chosen.get(key)
    (tmp_path / "report.json").write_text(json.dumps(report))
    shutil.copytree(toy_out / "checkpoints", tmp_path / "checkpoints")
    found = queries(Run(tmp_path), toy_store)
    (first, *_) = found.incidents(id, "gbt.oracle")
    assert (first.machine, first.model) == (id, "gbt.oracle") and first.peak >= 0.3
    with pytest.raises(Refused, match="no operating point"):
        found.incidents(id, "gbt.realistic")


def test_without_a_watched_episode_there_is_no_id(found: Queries) -> None:
    with pytest.raises(Refused, match="watches nothing yet"):
        found.current()
