"""What the page queries of stored episodes: all windows, attributions, incidents."""

import json
import shutil
from pathlib import Path

import numpy as np
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


def test_levels_are_the_mean_of_a_window_and_the_machines_baseline(
    found: Queries, id: str, toy_store: Store
) -> None:
    library = found._playback.library
    _, machine = library.replayed(id)
    end, window = next(iter(machine.predictions.items()))
    grid = toy_store.schema.grid
    levels = found.levels(id, (end - grid.steps) // grid.stride)
    assert [one.name for one in levels] == list(toy_store.schema.names)
    for row, one in enumerate(levels):
        known = window.x[row][np.isfinite(window.x[row])]
        if not len(known):
            assert one.value is None
            continue
        assert one.value == pytest.approx(known.mean(dtype=np.float64), rel=1e-4)
        if one.baseline is not None:
            logged = np.sign(one.baseline) * np.log1p(abs(one.baseline))
            assert logged == pytest.approx(window.level[row], rel=1e-4, abs=1e-6)


def test_raw_samples_are_those_of_the_window(found: Queries, id: str, toy_store: Store) -> None:
    window = found.windows(id)[0]
    episode = toy_store.read(id)
    for one in found.samples(id, window.index):
        samples = episode.sources[one.source]
        seconds = (samples.t_wall_ns - episode.start_ns) / 1e9
        inside = (seconds > window.start_s) & (seconds <= window.end_s)
        assert [row[0] for row in one.rows] == pytest.approx(seconds[inside], abs=1e-3)
        assert one.names == tuple(samples.names)
        assert all(len(row) == 1 + len(one.names) for row in one.rows)


def test_progress_is_known_before_and_after_an_episode_is_predicted(
    toy_run: RunResult, toy_out: Path, toy_store: Store, id: str
) -> None:
    fresh = queries(Run(toy_out), toy_store)
    assert fresh.progress(id).done_ratio == 0
    fresh.episode(id)
    assert fresh.progress(id).done_ratio == 0, "facts need no prediction"
    fresh.windows(id)
    assert (fresh.progress(id).done_ratio, fresh.progress(id).models) == (
        1,
        len(fresh._playback.library.ensemble.members),
    )
    with pytest.raises(Refused, match="has no episode") as refused:
        fresh.progress("nobody")
    assert refused.value.code == "unknown"


def test_cells_and_errors_need_a_run(found: Queries, toy_run: RunResult, toy_store: Store) -> None:
    row, classes = toy_run.report.rows[0], toy_run.report.classes
    cell = found.cell(f"{row.model}.{row.mode}", classes[0], classes[0])
    assert len(cell) == row.confusion[0][0]
    held_out = {one["episode_id"]: one["errors"] for one in found.corpus() if one["errors"]}
    assert set(held_out) == set(toy_run.predictions.folds[0].split.test)
    with pytest.raises(Refused, match="has no run"):
        queries(None, toy_store).cell("gbt.realistic", "benign", "benign")
