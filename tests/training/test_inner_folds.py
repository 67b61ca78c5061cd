"""Inner folds leave every training group out once, and choose by what each of them chose."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch.artifacts import checkpoint
from phasewatch.errors import Refused
from phasewatch.experiment import pipeline
from phasewatch.experiment.inference import predict_each
from phasewatch.experiment.run import Run
from phasewatch.models.base import find
from phasewatch.store.local import Store
from phasewatch.training import inner_folds
from phasewatch.training.fitting import FitOptions, fit_model, refit_model
from phasewatch.training.jobs import CHOICE, VALIDATED, Workers
from phasewatch.windowing import Windows, concatenate, extract

FOLDED = replace(
    toy.RECIPE, name="folded", models=("gbt", "mlp"), modes=("realistic",), inner_folds=3
)


@pytest.fixture(scope="module")
def parts(toy_store: Store) -> tuple[Windows, Windows]:
    hosts = ("alpha", "beta", "delta"), ("gamma",)
    schema = toy_store.schema.for_mode("realistic")
    found = []
    for own in hosts:
        ids = [id for id in toy_store.ids() if id.startswith(own)]
        found.append(extract(toy_store, ids, schema, toy.RECIPE.opening_s))
    return found[0], found[1]


@pytest.mark.parametrize(
    ("recipe", "field"), [("held_out_host", "host"), ("k_fold_sample", "sample")]
)
def test_every_training_group_is_left_out_once_and_never_divided(
    parts: tuple[Windows, Windows], recipe: str, field: str
) -> None:
    train, validation = parts
    assert inner_folds.sides(*parts, recipe, 0, 3) == parts
    left = []
    for number in (1, 2):
        learned, stopped = inner_folds.sides(*parts, recipe, number, 3)
        groups = {str(group) for group in getattr(stopped, field)}
        assert groups and not groups & {str(group) for group in getattr(learned, field)} - {
            str(group) for group in getattr(validation, field)
        }
        assert len(learned) + len(stopped) == len(train) + len(validation)
        left.append(stopped)
    both = concatenate(left)
    assert sorted(both.t_ns.tolist()) == sorted(train.t_ns.tolist())


def test_more_folds_than_groups_are_refused(parts: tuple[Windows, Windows]) -> None:
    with pytest.raises(Refused, match="6 inner folds of 3 training groups; expected at most 4"):
        inner_folds.sides(*parts, "held_out_host", 1, 6)


def test_the_choices_are_the_mean_of_those_of_all_folds() -> None:
    chosen = inner_folds.mean_choices([{"rounds": 10.0}, {"rounds": 15.0}])
    assert chosen == {"rounds": 12.5}


@pytest.mark.parametrize("name", ["gbt", "mlp", "logistic", "combination"])
def test_a_model_is_fitted_again_as_long_as_it_was_fitted_before(
    parts: tuple[Windows, Windows], toy_store: Store, name: str
) -> None:
    schema = toy_store.schema.for_mode("realistic")
    before = fit_model(name, schema, 0, parts, FitOptions())
    again = refit_model(name, schema, 0, parts[0], before.model.choices)
    # The same windows for as long: the weights are those that validation kept.
    np.testing.assert_array_equal(again.logits(parts[1]), before.logits(parts[1]))
    if before.model.choices:
        fewer = {key: max(value // 2, 1.0) for key, value in before.model.choices.items()}
        other = refit_model(name, schema, 0, parts[0], fewer)
        assert not np.array_equal(other.logits(parts[1]), before.logits(parts[1]))


@pytest.fixture(scope="module")
def folded(toy_store: Store, tmp_path_factory: pytest.TempPathFactory) -> pipeline.TrainingResult:
    out = tmp_path_factory.mktemp("folded")
    return pipeline.train(FOLDED, toy_store, out, lambda line: None)


def test_the_last_training_learns_from_validation_and_no_inner_fold_is_lost(
    folded: pipeline.TrainingResult,
) -> None:
    (fold,) = folded.folds
    inner = sorted(path.name for path in folded.run.training_folders.inner.glob("*.ckpt.json"))
    assert inner == [
        f"{name}-realistic-inner{number}.ckpt.json"
        for name in ("gbt", "mlp")
        for number in range(3)
    ]
    learned = concatenate([fold.windows["realistic"][part] for part in ("train", "validation")])
    for last in fold.checkpoints:
        folder = folded.run.training_folders.inner
        scores = [
            checkpoint.load_header(folder / f"{last.name}-inner{number}.ckpt.json").scores
            for number in range(3)
        ]
        choices = [key for key in scores[0] if key.startswith(CHOICE)]
        assert {key: last.scores[key] for key in choices} == pytest.approx(
            {key: np.mean([one[key] for one in scores]) for key in choices}
        )
        assert last.scores[VALIDATED] == scores[0][VALIDATED]
        again = last.normalizer.again(learned.clear)
        np.testing.assert_array_equal(again.mean, last.normalizer.mean)
        assert folded.run.training_seconds(last.name) > 0
    rounds = folded.run.checkpoint("gbt", "realistic").model.choices["rounds"]
    assert rounds == round(folded.run.checkpoint("gbt", "realistic").scores[f"{CHOICE}rounds"])


def test_validation_is_predicted_by_a_model_that_did_not_learn_from_it(
    folded: pipeline.TrainingResult, toy_store: Store, tmp_path: Path
) -> None:
    plain = pipeline.train(replace(FOLDED, inner_folds=0), toy_store, tmp_path, lambda line: None)
    sets = [list(predict_each(one.folds, toy_store.schema)) for one in (folded, plain)]
    for one, other in zip(*sets, strict=True):
        assert (one.model, one.subset) == (other.model, other.subset)
        if one.subset == "validation" and one.model in FOLDED.models:
            np.testing.assert_array_equal(one.logits[: len(other.logits)], other.logits)
    assert any(
        not np.array_equal(one.logits, other.logits)
        for one, other in zip(*sets, strict=True)
        if (one.model, one.subset) == ("gbt", "unseen")
    )


def test_alarms_and_temperatures_come_from_every_window_by_a_model_that_did_not_learn_from_it(
    folded: pipeline.TrainingResult, toy_store: Store
) -> None:
    (fold,) = folded.folds
    subsets = fold.windows["realistic"]
    learned = concatenate([subsets["validation"], subsets["train"]])
    found = list(predict_each(folded.folds, toy_store.schema))
    for name in FOLDED.models:
        (one,) = [one for one in found if (one.model, one.subset) == (name, "validation")]
        assert sorted(zip(one.windows.episode, one.windows.t_ns, strict=True)) == sorted(
            zip(learned.episode, learned.t_ns, strict=True)
        )
        for inner, left_out in fold.inner[f"{name}-realistic"]:
            rows = np.isin(one.windows.episode, left_out.episode)
            own = left_out.read()
            logits = inner.logits(own.x, own.opening, own.past)
            np.testing.assert_array_equal(one.logits[rows], logits)


def test_what_is_done_is_not_trained_again_and_the_rest_ends_with_the_same_bits(
    folded: pipeline.TrainingResult, toy_store: Store
) -> None:
    run = Run(folded.run.path)
    place = run.checkpoint_path("gbt", "realistic")
    before = place.read_bytes()
    place.unlink()
    inner = run.training_folders.inner / "gbt-realistic-inner1.ckpt.json"
    inner.unlink()
    trained: list[str] = []
    workers = Workers(follow=lambda name, epoch: trained.append(name))
    pipeline.train(FOLDED, toy_store, run.path, lambda line: None, workers)
    assert set(trained) == {"gbt-realistic-inner1", "gbt-realistic"}
    assert place.read_bytes() == before


def test_every_model_that_stops_says_what_was_chosen() -> None:
    assert find("majority")(4, 0).choices == {}
