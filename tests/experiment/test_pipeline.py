import json
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch import progress, schema, splits, windowing
from phasewatch.artifacts import checkpoint
from phasewatch.errors import Refused
from phasewatch.evaluation import predictions
from phasewatch.evaluation.evaluate import evaluate
from phasewatch.experiment import pipeline
from phasewatch.experiment.pipeline import RunResult
from phasewatch.features.normalizer import Normalizer
from phasewatch.reports import page, summary
from phasewatch.splits import Split
from phasewatch.store.format import SAMPLES, Manifest
from phasewatch.store.local import Store
from phasewatch.windowing import Windows, pool_openings


def run(store: Store, out: Path) -> RunResult:
    return pipeline.run(toy.RECIPE, store, out, lambda line: None)


def test_a_run_writes_checkpoints_predictions_and_report(toy_run: RunResult, toy_out: Path) -> None:
    assert json.loads((toy_out / "report.json").read_text())["folds"][0]["held_out"] == "delta"
    assert (toy_out / "validation_v1.parquet").exists()
    paths = sorted((toy_out / "checkpoints").glob("*.ckpt.json"))
    assert len(paths) == 6
    for path in paths:
        checkpoint.load(path)


def test_boosted_trees_learn_the_toy(toy_run: RunResult) -> None:
    row = toy_run.report.rows[0]
    assert (row.model, row.mode) == ("gbt", "realistic")
    assert row.unseen.value > 0.8
    assert toy_run.report.rows[2].unseen.value < 0.3


def test_the_same_recipe_gives_the_same_bytes(
    toy_run: RunResult, toy_out: Path, toy_store: Store, tmp_path: Path
) -> None:
    run(toy_store, tmp_path)
    for path in sorted(toy_out.rglob("*.json")):
        again = tmp_path / path.relative_to(toy_out)
        assert again.read_bytes() == path.read_bytes(), path.name


def test_nothing_is_fitted_on_test_episodes(
    toy_run: RunResult, toy_out: Path, tmp_path: Path
) -> None:
    """Poison every test episode: normalizer, weights and stopping must not change by a bit."""
    poisoned = Store.create(tmp_path / "store", schema.vm46())
    evaluated = {
        str(id)
        for found in toy_run.predictions.predictions
        for id in found.windows.episode
        if found.subset != "validation"
    }
    for host in toy.HOSTS:
        for profile in toy.PROFILES:
            for seed in range(3):
                episode = toy.episode(host, profile, seed)
                if episode.id in evaluated:
                    sources = {
                        name: replace(samples, values=samples.values * 1e6)
                        for name, samples in episode.sources.items()
                    }
                    episode = replace(episode, sources=sources)
                poisoned.publish(episode)
    run(poisoned, tmp_path / "out")
    for path in sorted((toy_out / "checkpoints").iterdir()):
        assert (tmp_path / "out" / "checkpoints" / path.name).read_bytes() == path.read_bytes()


def test_rejected_episodes_are_left_out_and_reported(tmp_path: Path) -> None:
    store = toy.store(tmp_path / "store")
    damaged = "alpha.dig.s1"
    path = store.folder(damaged) / SAMPLES
    path.write_bytes(path.read_bytes()[:-9])
    lines: list[str] = []
    recipe = replace(toy.RECIPE, models=("majority",), modes=("realistic",))
    done = pipeline.run(recipe, store, tmp_path / "out", lines.append)
    assert "35 accepted · 0 degraded · 1 rejected" in lines[0]
    assert all(damaged not in found.windows.episode for found in done.predictions.predictions)


def test_a_channel_that_was_never_measured_stops_the_run(tmp_path: Path) -> None:
    """The fault that once dropped all netflow in silence: a source on another clock."""
    store = Store.create(tmp_path / "store", schema.vm46())
    for host in toy.HOSTS:
        for profile in toy.PROFILES:
            episode = toy.episode(host, profile, 0)
            remaining = {
                name: samples for name, samples in episode.sources.items() if name != "netflow"
            }
            store.publish(replace(episode, sources=remaining))
            store.publish(replace(toy.episode(host, profile, 1), sources=remaining))
    with pytest.raises(Refused, match=r"never measured: netflow\.pkts_out"):
        run(store, tmp_path / "out")


def test_the_normalizer_in_a_checkpoint_is_that_of_the_training_windows(
    toy_run: RunResult, toy_out: Path, toy_store: Store
) -> None:
    loaded = checkpoint.load(toy_out / "checkpoints" / "gbt-realistic.ckpt.json")
    train = windowing.extract(toy_store, loaded.split["train"], loaded.schema, 6.0)
    version, visible = loaded.normalizer.version, loaded.schema
    expected = Normalizer.fit("summary", pool_openings(train), version, visible).arrays()
    for name, values in loaded.normalizer.arrays().items():
        np.testing.assert_array_equal(values, expected[name])


def test_a_phase_that_training_lacks_is_refused_in_one_line(tmp_path: Path) -> None:
    store = toy.store(tmp_path / "store")
    episode = toy.episode("delta", "dig", 7)
    phases = ["benign", "command_and_control", "impact"]
    labels = tuple(
        replace(label, phase=phase) for label, phase in zip(episode.labels[:3], phases, strict=True)
    )
    store.publish(replace(episode, labels=labels))
    with pytest.raises(Refused, match="unseen windows: hold command_and_control; expected only"):
        run(store, tmp_path / "out")


def test_a_store_of_one_episode_is_refused_in_one_line(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", schema.vm46())
    store.publish(toy.episode("delta"))
    with pytest.raises(Refused, match="--validation: 'gamma' is no host"):
        run(store, tmp_path / "out")


def test_episodes_too_short_for_a_window_are_refused_in_one_line(
    toy_store: Store, tmp_path: Path
) -> None:
    store = Store.create(tmp_path / "store", schema.vm46())
    for id in toy_store.ids():
        windows = toy_store.read(id)
        if windows.host == "gamma":
            end_ns = windows.start_ns + 9 * schema.NS
            labels = tuple(one for one in windows.labels if one.t_wall_ns < end_ns)
            windows = replace(windows, end_ns=end_ns, labels=labels)
        store.publish(windows)
    with pytest.raises(Refused, match="validation windows: there are none"):
        run(store, tmp_path / "out")


def test_a_part_without_an_episode_is_refused_in_one_line(toy_store: Store) -> None:
    ids = toy_store.ids()[:3]
    windows = windowing.extract(toy_store, ids, toy_store.schema, 6.0)
    split = Split("held_out_host", "delta", (ids[0],), (ids[1],), (), (ids[2],))
    with pytest.raises(Refused, match="has no episode to be seen"):
        splits.divide_windows(windows, split)


def test_training_windows_have_no_opening_of_test_episodes(toy_store: Store) -> None:
    """All on one host: the opening of a test episode is the level of test windows only."""
    ids = [id for id in toy_store.ids() if id.startswith("alpha")][:4]
    windows = windowing.extract(toy_store, ids, toy_store.schema, 6.0)
    split = Split("held_out_sample", "x", (ids[1],), (ids[2],), (ids[0],), (ids[3],))
    before = splits.divide_windows(windows, split)
    evaluated = np.isin(windows.episode, [ids[0], ids[3]])
    loud = replace(windows, opening=np.where(evaluated[:, None], 99.0, windows.opening))
    after = splits.divide_windows(loud, split)
    for part in ("train", "validation"):
        np.testing.assert_array_equal(before[part].opening, after[part].opening)
    assert (before["seen"].opening != after["seen"].opening).any()


def test_simulated_episodes_are_refused_unless_asked_for(toy_store: Store, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"holds simulated episodes.*--simulated"):
        run(Store(toy_store.root, toy_store.schema, {"seed": 1}), tmp_path)
    asked = replace(toy.RECIPE, simulated=True)
    with pytest.raises(Refused, match="holds recorded episodes"):
        pipeline.run(asked, toy_store, tmp_path, lambda line: None)


def test_all_that_comes_of_simulated_episodes_says_so(
    toy_store: Store, tmp_path: Path, toy_run: RunResult
) -> None:
    pretended = Store(toy_store.root, toy_store.schema, {"seed": 1})
    asked = replace(toy.RECIPE, models=("majority", "logistic"), simulated=True)
    found = pipeline.run(asked, pretended, tmp_path, lambda line: None)
    assert found.run.record["recipe"]["simulated"] is True
    assert found.run.recipe == asked
    headers = [checkpoint.load_header(path) for path in found.run.checkpoint_paths()]
    assert headers and all(one.simulated for one in headers)
    assert predictions.load(found.run.predictions_path).simulated
    assert found.run.report.simulated and "simulated" in str(found.report)
    assert found.report.rows[0].unseen == evaluate(found.predictions).rows[0].unseen
    assert summary.sentences(found.report)[0] == summary.SIMULATED
    page.write_report(found.report, found.predictions, found.run, None)
    html = found.run.page_path.read_text(encoding="utf-8")
    assert "<title>Simulated: " in html and "<h1>Simulated episodes: " in html
    assert summary.SIMULATED in html
    text = found.run.markdown_path.read_text(encoding="utf-8")
    assert text.startswith("# Simulated episodes: ") and summary.SIMULATED in text
    # The files of recorded runs stay as they were.
    assert "simulated" not in toy_run.run.record["recipe"]
    assert not any(
        "simulated" in checkpoint.load_header(path).recipe
        for path in toy_run.run.checkpoint_paths()
    )
    assert not toy_run.predictions.simulated and not toy_run.report.simulated


def test_realistic_windows_are_a_slice_of_oracle_windows_to_the_bit(toy_store: Store) -> None:
    episodes = [toy_store.read(id) for id in toy_store.ids()[:6]]
    sliced = pipeline.windows_by_mode(toy.RECIPE, toy_store.schema, episodes)
    assert list(sliced) == list(toy.RECIPE.modes)
    for mode, found in sliced.items():
        cut = windowing.extract(
            toy_store, toy_store.ids()[:6], toy_store.schema.for_mode(mode), toy.RECIPE.opening_s
        )
        for field in fields(Windows):
            samples, expected = getattr(found, field.name), getattr(cut, field.name)
            assert samples.tobytes() == expected.tobytes(), (mode, field.name)
            assert (samples.dtype, samples.shape) == (expected.dtype, expected.shape)
            assert samples.flags.c_contiguous
    assert sliced["realistic"].x.shape[1] < sliced["oracle"].x.shape[1]


def test_training_reads_every_episode_once(
    toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Counter[str] = Counter()
    files = Store.files

    def counted(store: Store, manifest: Manifest) -> dict[str, bytes]:
        read[manifest.id] += 1
        return files(store, manifest)

    monkeypatch.setattr(Store, "files", counted)
    recipe = replace(toy.RECIPE, models=("majority",))
    monkeypatch.setattr(pipeline, "check_leakage", lambda *given: [])
    pipeline.train(recipe, toy_store, tmp_path / "out", lambda line: None)
    assert read == dict.fromkeys(toy_store.ids(), 1)


def test_stopped_or_killed_at_any_moment_a_run_goes_on_and_ends_with_the_same_bits() -> None:
    """Three times; `python -m tests.killed_run 20 1` draws other moments."""
    words = [sys.executable, "-m", "tests.killed_run", "3"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    stops, *rest = ended.stdout.splitlines()[-1].split()
    assert int(stops) > 0 and rest == ["stops:", "every", "run", "the", "same"]


def test_every_stage_of_a_run_tells_its_progress(
    toy_run: RunResult, toy_store: Store, tmp_path: Path
) -> None:
    heard: dict[str, list[tuple[int, int]]] = {}
    recipe = replace(toy.RECIPE, models=("majority", "logistic"))
    with progress.shown(lambda stage, *said: heard.setdefault(stage, []).append(said)):
        done = pipeline.run(recipe, toy_store, tmp_path, lambda line: None)
        page.write_report(done.report, done.predictions, done.run, toy_store)
    wanted = {"checking for leakage", "predicting", "predicting by baselines", "scoring"}
    wanted |= {"delays, alarms and calibration", "drawing", "drawing episodes"}
    wanted |= {f"comparing models, {mode}" for mode in recipe.modes}
    assert wanted <= set(heard)
    assert all(said[0][0] == 0 and said[-1][0] == said[-1][1] for said in heard.values())
