"""Recordings in benign use teach levels, are no part of the question, and never tell the future."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch import baseline, schema
from phasewatch.baseline import OPENINGS, Baseline, Selection, of_episodes, stretches_of
from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.experiment import pipeline
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.usable import usable_windows
from phasewatch.live import playback
from phasewatch.live.ensemble import Ensemble
from phasewatch.reports import summary
from phasewatch.schema import NS
from phasewatch.splits import WITHOUT_BASELINE
from phasewatch.store.local import Store
from phasewatch.windowing import concatenate, cut_windows, opening_level, pool_openings

VM46 = schema.vm46()
TAUGHT = "id=*.calm.s0,earlier"


def episodes(*made: Episode) -> dict[str, Episode]:
    return {one.id: one for one in made}


@pytest.fixture(scope="module")
def taught(toy_store: Store, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run whose levels are from one declared recording of each host, and earlier episodes."""
    recipe = replace(toy.RECIPE, baseline=TAUGHT, models=("gbt",))
    return pipeline.run(recipe, toy_store, tmp_path_factory.mktemp("taught"), lambda line: None)


def test_a_selection_is_read_from_text() -> None:
    assert Selection.parse("none") == OPENINGS
    found = Selection.parse("noted, earlier,profile=idle*,host=a")
    assert found == Selection(True, True, (("profile", "idle*"), ("host", "a")))
    for wrong in ("calm", "phase=benign", "profile=", ""):
        with pytest.raises(Refused, match="names no recordings"):
            Selection.parse(wrong)


def test_declared_is_what_a_name_or_a_note_says() -> None:
    calm = toy.episode("alpha", "calm")
    assert Selection(names=(("profile", "ca*"),)).declares(calm)
    assert not Selection(names=(("profile", "CA*"),)).declares(calm)
    assert not Selection(noted=True).declares(calm)
    marked = replace(calm, notes={"baseline": True})
    assert Selection(noted=True).declares(marked) and not OPENINGS.declares(marked)


def test_stretches_have_the_levels_that_openings_of_their_length_have() -> None:
    calm = toy.episode("alpha", "calm")
    levels = stretches_of(calm, VM46).levels
    assert len(levels) == 40 // 10
    for place, level in enumerate(levels):
        began = calm.start_ns + place * round(VM46.grid.window_s * NS)
        expected = opening_level(calm.sources, VM46, began, VM46.grid.window_s)
        np.testing.assert_array_equal(level, expected)


def test_a_channel_that_is_hardly_measured_has_no_level() -> None:
    calm = toy.episode("alpha", "calm")
    proc = calm.sources["proc"]
    values = proc.values.copy()
    values[:, 0] = np.nan
    torn = replace(calm, sources={**calm.sources, "proc": replace(proc, values=values)})
    levels = stretches_of(torn, VM46).levels
    row = VM46.names.index(proc.names[0])
    assert np.isnan(levels[:, row]).all() and np.isfinite(np.delete(levels, row, axis=1)).all()


def test_a_level_is_the_median_of_stretches_and_openings() -> None:
    made = episodes(*(toy.episode("alpha", name) for name in ("calm", "dig")))
    selection = Selection(names=(("profile", "calm"),))
    found, judged = of_episodes(made, VM46, selection)
    assert judged == ["alpha.dig.s1"] and found.hosts == {"alpha": 1}
    cut = cut_windows(made["alpha.dig.s1"], VM46, 6.0)
    (level,) = np.unique(pool_openings(cut, found.known).opening, axis=0)
    known = [*stretches_of(made["alpha.calm.s1"], VM46).levels, cut.opening[0]]
    expected = np.median(np.array(known, dtype=np.float64), axis=0).astype(np.float32)
    np.testing.assert_array_equal(level, expected)
    assert (level != pool_openings(cut).opening[0]).any()


def test_earlier_benign_episodes_are_used_once_they_are_over() -> None:
    before, later = toy.episode("alpha", "calm", 1), toy.episode("alpha", "calm", 3)
    asked, other = toy.episode("alpha", "dig", 2), toy.episode("beta", "calm", 1)
    made = episodes(before, later, asked, other)
    found, judged = of_episodes(made, VM46, Selection(earlier=True))
    assert judged == list(made) and not found.declared
    own = stretches_of(before, VM46).levels
    np.testing.assert_array_equal(found.known(asked.id, made), own)
    assert len(found.known(asked.id, [later.id, other.id])) == 0
    assert len(found.known(before.id, made)) == 0
    unfinished = replace(before, end_ns=asked.start_ns + 1)
    found, _ = of_episodes(made | episodes(unfinished), VM46, Selection(earlier=True))
    assert len(found.known(asked.id, made)) == 0


def test_declared_recordings_are_used_whatever_their_time() -> None:
    later, asked = toy.episode("alpha", "calm", 3), toy.episode("alpha", "dig", 2)
    found, _ = of_episodes(episodes(later, asked), VM46, Selection.parse("profile=calm"))
    own = stretches_of(later, VM46).levels
    np.testing.assert_array_equal(found.known(asked.id), own)


def test_only_the_latest_stretches_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "MOST_STRETCHES", 5)
    first, second = toy.episode("alpha", "calm", 1), toy.episode("alpha", "calm", 2)
    asked = toy.episode("alpha", "dig", 3)
    made = episodes(second, first, asked)
    found, _ = of_episodes(made, VM46, Selection.parse("profile=calm"))
    levels = [stretches_of(one, VM46).levels for one in (first, second)]
    np.testing.assert_array_equal(found.known(asked.id), np.concatenate(levels)[-5:])


def test_the_levels_of_a_mode_are_those_of_its_channels() -> None:
    own = VM46.for_mode("realistic")
    made = episodes(toy.episode("alpha", "calm"), toy.episode("alpha", "dig"))
    selection = Selection.parse("profile=calm")
    wide, narrow = (of_episodes(made, layout, selection)[0] for layout in (VM46, own))
    part = wide.channels(VM46, own).known("alpha.dig.s1")
    np.testing.assert_array_equal(part, narrow.known("alpha.dig.s1"))


@pytest.mark.parametrize(
    ("selection", "problem"),
    [
        ("profile=dig", "holds a phase that is not benign"),
        ("profile=c*,profile=d*", "declares every usable recording"),
        ("profile=calmer", "fits no usable recording"),
    ],
)
def test_a_selection_that_cannot_be_is_refused(selection: str, problem: str) -> None:
    made = episodes(toy.episode("alpha", "calm"), toy.episode("alpha", "dig"))
    if "d*" not in selection:
        made |= episodes(toy.episode("beta", "leak"))
    with pytest.raises(Refused, match=problem):
        of_episodes(made, VM46, Selection.parse(selection))


# ---------------------------------------------------------------- a run


def test_baseline_recordings_are_in_no_part_of_a_run(taught: RunResult) -> None:
    declared = {f"{host}.calm.s0" for host in toy.HOSTS}
    split = taught.predictions.folds[0].split
    assert not declared & {*split.train, *split.validation, *split.seen, *split.test}
    assert not declared & {one.id for one in taught.predictions.usable}
    for one in taught.predictions.predictions:
        assert not declared & set(one.windows.episode.tolist())


def test_the_report_says_so_and_has_the_score_without(taught: RunResult) -> None:
    levels = taught.report.levels
    assert levels is not None and levels.selection == TAUGHT
    assert levels.declared == dict.fromkeys(sorted(toy.HOSTS), 1)
    assert levels.earlier == len(toy.HOSTS) * 2
    assert taught.run.report.levels == levels
    assert all("baseline" in row.ablations for row in taught.report.rows)
    sentences = " ".join(summary.sentences(taught.report))
    without = taught.report.rows[0].ablations["baseline"].value
    assert "4 recordings of 4 hosts declared baseline" in sentences
    assert f"With openings alone it reaches {without:.3f}." in sentences


def test_without_baseline_is_beside_the_level_of_openings(
    taught: RunResult, toy_store: Store
) -> None:
    parts = taught.trained.folds[0].windows["realistic"]
    without, unseen = parts[WITHOUT_BASELINE].read(), parts["unseen"].read()
    np.testing.assert_array_equal(without.x, unseen.x)
    assert (without.opening != unseen.opening).any(axis=1).all()
    layout = toy_store.schema.for_mode("realistic")
    ids = [id for id in taught.trained.baseline.episodes if id.startswith("delta")]
    cut = concatenate(cut_windows(toy_store.read(id), layout, 6.0) for id in ids)
    openings = pool_openings(cut)
    test = np.isin(openings.episode, parts["unseen"].episode)
    np.testing.assert_array_equal(openings.take(test).opening, without.opening)


def test_a_run_without_baseline_says_nothing(toy_run: RunResult) -> None:
    assert toy_run.report.levels is None and not toy_run.trained.baseline
    assert all("baseline" not in row.ablations for row in toy_run.report.rows)
    assert "declared baseline" not in " ".join(summary.sentences(toy_run.report))


def test_recordings_of_the_test_host_teach_no_model(
    taught: RunResult, toy_store: Store, tmp_path: Path
) -> None:
    loud = Store.create(tmp_path / "store", toy_store.schema)
    for id in toy_store.ids():
        one = toy_store.read(id)
        if one.host == "delta":
            sources = {
                name: replace(samples, values=samples.values * 3)
                for name, samples in one.sources.items()
            }
            one = replace(one, sources=sources)
        loud.publish(one)
    recipe = replace(toy.RECIPE, baseline=TAUGHT, models=("gbt",))
    other = pipeline.train(recipe, loud, tmp_path / "run", lambda line: None)
    for before, after in zip(
        taught.trained.folds[0].checkpoints, other.folds[0].checkpoints, strict=True
    ):
        assert before.model.save() == after.model.save()
        for name, values in before.normalizer.arrays().items():
            np.testing.assert_array_equal(values, after.normalizer.arrays()[name])


def test_a_checkpoint_carries_its_selection(taught: RunResult) -> None:
    assert taught.run.checkpoint("gbt", "realistic").recipe["baseline"] == TAUGHT


def test_live_predictions_equal_those_of_the_run(taught: RunResult, toy_store: Store) -> None:
    ensemble = Ensemble.load(taught.run, toy_store.schema)
    selection = ensemble.selection()
    manifests = list(playback.manifests(toy_store).values())
    for id, many in (("delta.calm.s1", 4), ("delta.calm.s2", 8)):
        episode = toy_store.read(id)
        past = playback.history(toy_store, manifests, episode, ensemble.opening_s, selection)
        levels = playback.stretches(toy_store, manifests, episode, selection)
        assert len(levels) == many
        machine = playback.replay(episode, ensemble, past, levels)
        for offline in taught.predictions.predictions:
            rows = offline.windows.episode == id
            if offline.subset == "unseen" and offline.model == "gbt":
                key = f"gbt.{offline.mode}"
                logits = np.stack([one.logits[key] for one in machine.predictions.values()])
                np.testing.assert_array_equal(logits, offline.logits[rows])


def test_windows_for_prediction_are_those_of_the_run(taught: RunResult, toy_store: Store) -> None:
    layout = toy_store.schema.for_mode("realistic")
    windows, _ = usable_windows(toy_store, layout, 6.0, selection=Selection.parse(TAUGHT))
    assert not {"alpha.calm.s0", "delta.calm.s0"} & set(windows.episode.tolist())
    unseen = taught.trained.folds[0].windows["realistic"]["unseen"].read()
    own = windows.take(np.isin(windows.episode, unseen.episode))
    np.testing.assert_array_equal(own.opening, unseen.opening)
    with pytest.raises(Refused, match="is declared baseline"):
        usable_windows(toy_store, layout, 6.0, ["alpha.calm.s0"], selection=Selection.parse(TAUGHT))


def test_nothing_known_is_false() -> None:
    assert not Baseline()
