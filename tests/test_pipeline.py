import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import toy
from phasewatch import checkpoint, pipeline, schema
from phasewatch.pipeline import Done
from phasewatch.refusal import Refused
from phasewatch.store import SAMPLES, Store
from phasewatch.views import Lens
from phasewatch.windows import pool


def run(store: Store, out: Path) -> Done:
    return pipeline.run(toy.RECIPE, store, out, lambda line: None)


def test_it_writes_what_it_found(toy_run: Done, toy_out: Path) -> None:
    assert json.loads((toy_out / "report.json").read_text())["held_out"] == "delta"
    assert (toy_out / "validation_v1.parquet").exists()
    made = sorted((toy_out / "checkpoints").glob("*.ckpt.json"))
    assert len(made) == 6
    for path in made:
        checkpoint.load(path)


def test_boosted_trees_learn_the_toy(toy_run: Done) -> None:
    row = toy_run.report.rows[0]
    assert (row.model, row.mode) == ("gbt", "realistic")
    assert row.unseen.value > 0.8
    assert toy_run.report.rows[2].unseen.value < 0.3


def test_the_same_recipe_gives_the_same_bytes(
    toy_run: Done, toy_out: Path, toy_store: Store, tmp_path: Path
) -> None:
    run(toy_store, tmp_path)
    for path in sorted(toy_out.rglob("*.json")):
        again = tmp_path / path.relative_to(toy_out)
        assert again.read_bytes() == path.read_bytes(), path.name


def test_nothing_is_fitted_on_what_is_judged(toy_run: Done, toy_out: Path, tmp_path: Path) -> None:
    """Poison every judged episode: scaler, weights and choice must not move by a bit."""
    poisoned = Store.create(tmp_path / "store", schema.vm46())
    judged = {
        str(id)
        for answers in toy_run.answered.answers
        for id in answers.windows.episode
        if answers.part != "validation"
    }
    for host in toy.HOSTS:
        for profile in toy.PROFILES:
            for seed in range(3):
                episode = toy.episode(host, profile, seed)
                if episode.id in judged:
                    sources = {
                        name: replace(samples, values=samples.values * 1e6)
                        for name, samples in episode.sources.items()
                    }
                    episode = replace(episode, sources=sources)
                poisoned.publish(episode)
    run(poisoned, tmp_path / "out")
    for path in sorted((toy_out / "checkpoints").iterdir()):
        assert (tmp_path / "out" / "checkpoints" / path.name).read_bytes() == path.read_bytes()


def test_rejected_episodes_are_left_out_and_told(tmp_path: Path) -> None:
    store = toy.store(tmp_path / "store")
    damaged = "alpha.dig.s1"
    path = store.folder(damaged) / SAMPLES
    path.write_bytes(path.read_bytes()[:-9])
    lines: list[str] = []
    done = pipeline.run(toy.RECIPE, store, tmp_path / "out", lines.append)
    assert "35 accepted · 0 degraded · 1 rejected" in lines[0]
    assert all(damaged not in answers.windows.episode for answers in done.answered.answers)


def test_a_channel_that_was_never_measured_stops_the_run(tmp_path: Path) -> None:
    """The fault that once dropped all netflow in silence: a source on another clock."""
    store = Store.create(tmp_path / "store", schema.vm46())
    for host in toy.HOSTS:
        for profile in toy.PROFILES:
            episode = toy.episode(host, profile, 0)
            kept = {name: own for name, own in episode.sources.items() if name != "netflow"}
            store.publish(replace(episode, sources=kept))
            store.publish(replace(toy.episode(host, profile, 1), sources=kept))
    with pytest.raises(Refused, match=r"never measured: netflow\.pkts_out"):
        run(store, tmp_path / "out")


def test_the_lens_in_a_checkpoint_is_that_of_the_training_windows(
    toy_run: Done, toy_out: Path, toy_store: Store
) -> None:
    loaded = checkpoint.load(toy_out / "checkpoints" / "gbt-realistic.ckpt.json")
    train = pipeline.extract(toy_store, loaded.split["train"], loaded.schema, 6.0)
    expected = Lens.fit("summary", pool(train))
    for field in ("opening", "mean", "std"):
        np.testing.assert_array_equal(getattr(loaded.lens, field), getattr(expected, field))
