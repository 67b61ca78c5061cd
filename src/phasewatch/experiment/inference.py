"""What every checkpoint and baseline of a run predicts on the windows it is evaluated on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from phasewatch import progress
from phasewatch.artifacts.checkpoint import Checkpoint
from phasewatch.episode import Identity
from phasewatch.evaluation import baselines, predictions, timing
from phasewatch.evaluation.leakage import Check
from phasewatch.evaluation.predictions import Predictions, PredictionSet
from phasewatch.evaluation.smoothing import MarkovChain
from phasewatch.experiment.run import Run
from phasewatch.schema import Mode, Schema
from phasewatch.splits import WITHOUT_BASELINE, Split
from phasewatch.training import augment, jobs
from phasewatch.windowing import Windows, concatenate

Subsets = Mapping[str, Windows]
"""The windows of each side of a split: train, validation, seen and unseen, and the unseen ones
beside the level of openings alone where more is known."""


InnerFold = tuple[Checkpoint, Windows]
"""The checkpoint of an inner fold, and the windows that it did not learn from."""


@dataclass(frozen=True)
class TrainedFold:
    """One split: its checkpoints read back, in the recipe's order, and the windows of each mode.

    `run` is the folder of the checkpoints and logs. `inner` has, by the name of a checkpoint that
    learned from validation, those of its inner folds, each with the windows that it did not learn
    from.
    """

    split: Split
    checkpoints: list[Checkpoint]
    windows: dict[Mode, dict[str, Windows]]
    leakage_checks: list[Check]
    run: Run
    inner: Mapping[str, Sequence[InnerFold]] = field(default_factory=dict)


def predict_all(
    folds: Sequence[TrainedFold], usable: Sequence[Identity], schema: Schema, seed: int
) -> PredictionSet:
    """Return the predictions of every checkpoint and baseline on every fold."""
    return PredictionSet(
        tuple(predictions.Fold(fold.split, _phase_chain(fold, schema)) for fold in folds),
        tuple(usable),
        schema.classes,
        tuple(baselines.BASELINES),
        schema.grid.stride_s,
        seed,
        tuple(check for fold in folds for check in fold.leakage_checks),
        tuple(found for fold in folds for found in _predict_fold(fold, schema)),
        schema.untested,
    )


def _phase_chain(fold: TrainedFold, schema: Schema) -> MarkovChain:
    """Return how phases follow each other in the training windows of a fold."""
    windows = next(iter(fold.windows.values()))["train"].clear
    sequences = (windows.y[rows] for rows in timing.rows_by_episode(windows.episode, windows.t_ns))
    return MarkovChain.fit(sequences, len(schema.classes))


def _predict_fold(fold: TrainedFold, schema: Schema) -> Iterator[Predictions]:
    """Yield the predictions of the checkpoints of a fold, then those of the baselines."""
    held_out = fold.split.held_out
    for loaded in progress.each("predicting", fold.checkpoints):
        inner = fold.inner.get(loaded.name, ())
        yield from predict_subsets(loaded, held_out, fold.windows[loaded.mode], inner)
    first = next(iter(fold.windows))
    for mode, subsets in fold.windows.items():
        for name in progress.each("predicting by baselines", baselines.BASELINES):
            # A baseline that sees no channel predicts the same in every mode.
            if mode == first or name not in baselines.CHANNEL_FREE:
                yield from predict_baseline(name, held_out, mode, subsets, len(schema.classes))


def predict_subsets(
    loaded: Checkpoint, held_out: str, subsets: Subsets, inner: Sequence[InnerFold] = ()
) -> Iterator[Predictions]:
    """Yield a checkpoint's predictions on all but training windows, and on ablated unseen ones.

    Where it has `inner` folds, what it is chosen and calibrated by, and its alarms, is what each of
    them predicts of the windows that it did not learn from: more hosts or samples than validation
    has. A checkpoint of a repeated training predicts the unseen windows alone.
    """

    def predict(subset: str, windows: Windows, by: Checkpoint = loaded) -> Predictions:
        logits = by.logits(windows.x, windows.opening, windows.past)
        return Predictions(held_out, loaded.model_name, loaded.mode, subset, windows, logits)

    if repeat := jobs.repeat_of(loaded.name):
        yield predict(f"again {repeat}", subsets["unseen"])
        return
    left_out = inner or [(loaded, subsets["validation"])]
    yield predictions.pool_folds([predict("validation", some, by) for by, some in left_out])
    for subset in ("seen", "unseen"):
        yield predict(subset, subsets[subset])
    for part in augment.parts(loaded.schema):
        ablated = augment.without(subsets["unseen"], loaded.schema, part)
        yield predict(f"without {part}", ablated)
    if WITHOUT_BASELINE in subsets:
        yield predict(WITHOUT_BASELINE, subsets[WITHOUT_BASELINE])


def predict_baseline(
    name: str, held_out: str, mode: Mode, subsets: Subsets, classes: int
) -> Iterator[Predictions]:
    """Yield a baseline's predictions on the same windows: a logit of 1 for the class predicted."""
    windows = [subsets[subset] for subset in predictions.REQUIRED_SUBSETS]
    predict = baselines.BASELINES[name]
    learned = (subsets["train"].clear, subsets["validation"].clear)
    predicted = predict(*learned, concatenate(windows), classes)
    ends = np.cumsum([len(one) for one in windows])[:-1]
    rows = zip(predictions.REQUIRED_SUBSETS, windows, np.split(predicted, ends), strict=True)
    for subset, one, found in rows:
        yield Predictions(held_out, name, mode, subset, one, np.eye(classes)[found])
