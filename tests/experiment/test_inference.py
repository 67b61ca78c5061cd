"""Every model predicts on every subset; the unseen also with a part missing."""

import numpy as np

from phasewatch.evaluation import baselines, predictions
from phasewatch.experiment import inference
from phasewatch.experiment.pipeline import RunResult
from phasewatch.training import augment


def test_every_model_predicts_on_every_subset(toy_run: RunResult) -> None:
    (fold,) = toy_run.trained.folds
    for loaded in fold.checkpoints:
        of_model = [
            one
            for one in toy_run.predictions.predictions
            if (one.model, one.mode) == (loaded.model_name, loaded.mode)
        ]
        ablated = [f"without {part}" for part in augment.parts(loaded.schema)]
        assert [one.subset for one in of_model] == [*predictions.REQUIRED_SUBSETS, *ablated]
        unseen = fold.windows[loaded.mode]["unseen"].read()
        stored = next(one for one in of_model if one.subset == "unseen")
        logits = loaded.logits(unseen.x, unseen.opening, unseen.past)
        np.testing.assert_array_equal(stored.logits, logits)


def test_further_seeds_predict_only_unseen_episodes(toy_run: RunResult) -> None:
    from dataclasses import replace

    (fold,) = toy_run.trained.folds
    repeated = replace(fold.checkpoints[0], name=f"{fold.checkpoints[0].name}-again2")
    (only,) = inference.predict_subsets(repeated, "delta", fold.windows[repeated.mode])
    assert only.subset == "again 2"


def test_baselines_without_channels_predict_once(toy_run: RunResult) -> None:
    for name in baselines.BASELINES:
        modes = {one.mode for one in toy_run.predictions.predictions if one.model == name}
        assert len(modes) == (1 if name in baselines.CHANNEL_FREE else 2), name
        of_model = [one for one in toy_run.predictions.predictions if one.model == name]
        assert all((np.sort(one.logits, axis=1)[:, -2:] == [0, 1]).all() for one in of_model)
