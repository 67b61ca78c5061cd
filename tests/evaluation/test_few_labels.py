"""Labels of a new machine help where it differs, and never reach what they are judged on."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import log_softmax
from tests import toy

from phasewatch.errors import Refused
from phasewatch.evaluation import few_labels
from phasewatch.evaluation.few_labels import (
    GAP_S,
    PRIORS,
    Adaptation,
    Prior,
    adapted,
    machines,
)
from phasewatch.evaluation.predictions import Predictions, PredictionSet
from phasewatch.experiment.pipeline import RunResult
from phasewatch.schema import NS


def moved(run: PredictionSet, model: str, by: float) -> PredictionSet:
    """The same predictions, but a model overrates the third class on every machine."""
    shift = np.zeros(len(run.classes))
    shift[2] = by
    return replace(
        run,
        predictions=tuple(
            replace(one, logits=one.logits + shift) if one.model == model else one
            for one in run.predictions
        ),
    )


def unseen(run: PredictionSet) -> Predictions:
    """What trees predict in realistic mode on the held-out machine."""
    found = (one for one in run.predictions if (one.model, one.mode) == ("gbt", "realistic"))
    return next(one for one in found if one.subset == "unseen")


def test_an_adaptation_is_the_minimum_of_its_loss() -> None:
    generator = np.random.default_rng(0)
    logits, y = generator.normal(size=(12, 3)), generator.integers(0, 3, 12)
    for kind in ("offsets", "matrix"):
        found = Adaptation.fit(logits, y, 2.0, Prior(kind, 1.5))
        free = (found.weights - np.eye(3)).ravel() if kind == "matrix" else np.zeros(0)
        flat = np.concatenate([free, found.offsets])

        def loss(flat: np.ndarray, kind: str = kind) -> float:
            weights = np.eye(3) + (flat[:9].reshape(3, 3) if kind == "matrix" else 0)
            said = Adaptation(2.0, weights, flat[-3:]).apply(logits)
            cost = -log_softmax(said, axis=1)[np.arange(12), y].sum()
            return float(cost + 1.5 * (flat**2).sum())

        np.testing.assert_allclose(approx_fprime(flat, loss, 1e-6), 0, atol=1e-3)
        assert loss(flat) < loss(np.zeros_like(flat))


def test_without_labels_or_freedom_nothing_moves() -> None:
    logits = np.random.default_rng(1).normal(size=(5, 4))
    y = np.array([0, 1, 2, 3, 3])
    for labels, prior in ((0, Prior("matrix")), (5, Prior("none")), (5, Prior("matrix", 1e9))):
        found = Adaptation.fit(logits[:labels], y[:labels], 1.0, prior)
        np.testing.assert_allclose(found.apply(logits), logits, atol=1e-6)


def test_episodes_are_divided_in_time_with_a_gap(toy_run: RunResult) -> None:
    (one,) = machines(unseen(toy_run.predictions), 1.0)
    first, later = one.first.windows, one.later.windows
    assert not set(first.episode.tolist()) & set(later.episode.tolist())
    assert later.t_ns.min() - first.t_ns.max() >= GAP_S * NS
    assert len(first) and len(later)


def test_an_episode_within_the_gap_is_not_judged(toy_run: RunResult) -> None:
    whole = unseen(toy_run.predictions)
    (one,) = machines(whole, 1.0)
    soon = np.unique(one.later.windows.episode)[0]
    rows = whole.windows.episode == soon
    t_ns = whole.windows.t_ns.copy()
    t_ns[rows] += one.first.windows.t_ns.max() + NS - t_ns[rows].min()
    near = replace(whole, windows=replace(whole.windows, t_ns=t_ns))
    (again,) = machines(near, 1.0)
    assert soon not in again.later.windows.episode and soon not in again.first.windows.episode


def test_labels_mend_what_a_machine_shifts(toy_run: RunResult) -> None:
    shifted = moved(toy_run.predictions, "gbt", 8.0)
    rows = few_labels.few_labels(shifted)
    trees = [one for one in rows if (one.model, one.mode) == ("gbt", "realistic")]
    assert [one.labels for one in trees] == [5, 20]
    for one in trees:
        assert one.hosts == 1 and set(one.priors) == {"delta"}
        assert one.priors["delta"] != "none"
        assert one.low <= one.score <= one.high
        assert one.worst_none == pytest.approx(one.none) and one.worst == pytest.approx(one.score)
    assert trees[1].score > trees[1].none + 0.1


def test_labels_of_what_is_judged_are_never_used(toy_run: RunResult) -> None:
    (one,) = machines(unseen(toy_run.predictions), 1.0)
    windows = one.later.windows
    other = replace(one.later, windows=replace(windows, y=np.roll(windows.y, 7)))
    for prior in PRIORS:
        plain = few_labels._adapted(one, 5, prior, 6)
        poisoned = few_labels._adapted(replace(one, later=other), 5, prior, 6)
        assert not np.array_equal(plain, poisoned)
        np.testing.assert_array_equal(plain.sum(axis=1), poisoned.sum(axis=1))


def test_validation_machines_choose(toy_run: RunResult) -> None:
    """Labels of the held-out machine change no choice."""
    run = moved(toy_run.predictions, "gbt", 8.0)
    poisoned = replace(
        run,
        predictions=tuple(
            replace(one, windows=replace(one.windows, y=np.roll(one.windows.y, 5)))
            if one.subset == "unseen"
            else one
            for one in run.predictions
        ),
    )
    chosen = [one.priors for one in few_labels.few_labels(run)]
    assert chosen == [one.priors for one in few_labels.few_labels(poisoned)]


def test_a_run_without_a_new_machine_is_refused(toy_run: RunResult) -> None:
    run = toy_run.predictions
    same = replace(run, usable=tuple(replace(one, host="alpha") for one in run.usable))
    with pytest.raises(Refused, match="holds out no machine"):
        few_labels.few_labels(same)
    with pytest.raises(Refused, match="windows enough"):
        few_labels.few_labels(run, [1000])


def test_later_episodes_of_the_machine_are_adapted(toy_run: RunResult) -> None:
    one = unseen(moved(toy_run.predictions, "gbt", 8.0))
    labelled = [f"delta.{profile}.s0" for profile in toy.PROFILES if profile != "calm"]
    windows, logits = adapted(one.windows, one.logits, labelled)
    assert {id[-2:] for id in windows.episode.tolist()} == {"s1", "s2"}
    rows = np.isin(one.windows.episode, windows.episode)
    right = (logits.argmax(axis=1) == windows.y).mean()
    assert right > (one.predicted[rows] == windows.y).mean()
    with pytest.raises(Refused, match=r"nobody has no window"):
        adapted(one.windows, one.logits, ["nobody"])
    with pytest.raises(Refused, match="no episode of delta begins 120 s after"):
        adapted(one.windows, one.logits, ["delta.dig.s2"])
