from dataclasses import replace

import numpy as np
import pytest
from tests import toy

from phasewatch import schema
from phasewatch.episode import Identity
from phasewatch.evaluation import evaluate, timing
from phasewatch.evaluation.evaluate import Report
from phasewatch.evaluation.predictions import Predictions, PredictionSet
from phasewatch.evaluation.timeline import BENIGN
from phasewatch.experiment.pipeline import RunResult
from phasewatch.metrics import Score

CLASSES = schema.vm46().classes


def sure(one: Predictions, labels: np.typing.NDArray[np.int64]) -> Predictions:
    """Return predictions with other labels, all with high probability."""
    return replace(one, logits=np.eye(len(CLASSES))[labels] * 9.0)


def report_of(done: RunResult, predictions: list[Predictions]) -> Report:
    return evaluate.evaluate(replace(done.predictions, predictions=tuple(predictions)))


def changed(done: RunResult, model: str, label: int | None) -> list[Predictions]:
    """Return all predictions, with `model` always correct, or always predicting `label`."""
    return [
        sure(one, one.windows.y if label is None else np.full(len(one.windows), label))
        if one.model == model
        else one
        for one in done.predictions.predictions
    ]


def marked(done: RunResult, every: int = 5) -> list[Predictions]:
    """All answers, with one window in so many ambiguous."""
    return [
        replace(
            one,
            windows=replace(one.windows, ambiguous=one.windows.t_ns // (5 * 10**9) % every == 0),
        )
        for one in done.predictions.predictions
    ]


def test_what_is_predicted_for_ambiguous_windows_is_in_no_score(toy_run: RunResult) -> None:
    answers = marked(toy_run)
    assert any(one.windows.ambiguous.any() for one in answers)

    def calling(phase: int) -> Report:
        def call(one: Predictions) -> Predictions:
            logits = one.logits.copy()
            logits[one.windows.ambiguous] = np.eye(len(CLASSES))[phase] * 9
            labels = np.where(one.windows.ambiguous, phase, one.windows.y)
            return replace(one, logits=logits, windows=replace(one.windows, y=labels))

        return report_of(toy_run, [call(one) for one in answers])

    quiet, loud = calling(0), calling(5)
    for one, two in zip(quiet.rows, loud.rows, strict=True):
        for name in ("validation", "seen", "unseen", "by_class", "by_host", "by_profile"):
            assert getattr(one, name) == getattr(two, name)
        for name in ("confusion", "ablations", "temperatures", "calibration", "abstention"):
            assert getattr(one, name) == getattr(two, name)
    assert quiet.comparisons == loud.comparisons and quiet.windows == loud.windows
    assert [row.predicted for row in quiet.ambiguous] != [row.predicted for row in loud.ambiguous]


def test_ambiguous_windows_are_counted_in_a_row_of_their_own(toy_run: RunResult) -> None:
    answers = marked(toy_run)
    report = report_of(toy_run, answers)
    assert [(row.model, row.mode) for row in report.ambiguous] == [
        (row.model, row.mode) for row in report.rows
    ]
    (unseen,) = (
        one
        for one in answers
        if (one.model, one.mode, one.subset) == ("gbt", "realistic", "unseen")
    )
    mask = unseen.windows.ambiguous
    (row,) = (r for r in report.ambiguous if (r.model, r.mode) == ("gbt", "realistic"))
    assert row.windows == mask.sum() == sum(sum(one.values()) for one in row.predicted.values())
    assert row.windows + report.windows["unseen"] == len(mask)
    assert row.episodes == len(set(unseen.windows.episode[mask]))
    for label, counts in row.predicted.items():
        of_label = mask & (unseen.windows.y == CLASSES.index(label))
        for name, count in counts.items():
            assert count == (unseen.predicted[of_label] == CLASSES.index(name)).sum() > 0


def test_an_episode_that_is_ambiguous_throughout_is_in_no_score(toy_run: RunResult) -> None:
    first = toy_run.report.rows[0].unseen.episodes
    answers = []
    for one in toy_run.predictions.predictions:
        mask = one.windows.episode == "delta.dig.s1"
        answers.append(replace(one, windows=replace(one.windows, ambiguous=mask)))
    report = report_of(toy_run, answers)
    assert all(row.unseen.episodes == first - 1 for row in report.rows)


def test_a_report_without_ambiguous_windows_has_no_such_row(toy_run: RunResult) -> None:
    assert toy_run.report.ambiguous == []


def test_every_model_and_mode_has_a_row(toy_run: RunResult) -> None:
    keys = [(row.model, row.mode) for row in toy_run.report.rows]
    assert len(keys) == len(set(keys)) == 6
    for row in toy_run.report.rows:
        assert sum(map(sum, row.confusion)) == toy_run.report.windows["unseen"]
        assert set(row.by_host) == {"alpha", "beta", "delta"}


def test_every_missing_part_is_scored_in_the_modes_that_have_it(toy_run: RunResult) -> None:
    for row in toy_run.report.rows:
        guest = {"guest"} if row.mode == "oracle" else set()
        assert set(row.ablations) == {"proc", "qmp", "netflow", "opening"} | guest
        if row.model == "majority":
            assert all(one.value == row.unseen.value for one in row.ablations.values())


def test_untested_phases_have_no_score(toy_run: RunResult) -> None:
    """The toy store knows no command and control, so nobody is scored on it."""
    for row in toy_run.report.rows:
        assert row.by_class["command_and_control"] is None
        assert row.by_class["impact"] is not None
        assert row.timeline.delays["command_and_control"] is None
        assert row.timeline.delays["impact"] is not None


def test_profiles_and_phases_that_the_held_out_host_lacks_are_listed(toy_run: RunResult) -> None:
    def lacking(predictions: PredictionSet) -> PredictionSet:
        usable = [e for e in predictions.usable if (e.host, e.profile) != ("delta", "leak")]
        test = tuple(e.id for e in usable if e.host == "delta")
        remaining = []
        for one in predictions.predictions:
            rows = np.isin(one.windows.episode, [e.id for e in usable])
            remaining.append(replace(one, windows=one.windows.take(rows), logits=one.logits[rows]))
        folds = tuple(
            replace(fold, split=replace(fold.split, test=test)) for fold in predictions.folds
        )
        return replace(predictions, folds=folds, usable=tuple(usable), predictions=tuple(remaining))

    report = evaluate.evaluate(lacking(toy_run.predictions))
    assert report.untested_profiles == ["leak"]
    assert report.untested_phases == ["discovery", "exfiltration"]
    assert report.untested_pairs == [("delta", "leak")]
    assert "leak" not in report.rows[0].by_profile
    assert report.rows[0].by_class["exfiltration"] is None


def test_perfect_predictions_score_one_and_are_better_than_the_rest(toy_run: RunResult) -> None:
    report = report_of(toy_run, changed(toy_run, "gbt", None))
    row = report.rows[0]
    assert row.unseen.value == row.smoothed.value == 1.0
    assert row.timeline.false_alarms.events == 0
    assert row.timeline.segments.edit_score == 1.0
    assert row.calibration.error_rate[-1] == 0.0
    assert all(one is None or one.missed == 0.0 for one in row.timeline.delays.values())
    verdicts = {(one.first, one.second, one.mode): one.outcome for one in report.comparisons}
    assert verdicts["gbt", "majority", "realistic"] == "better"


def test_a_model_with_lower_scores_is_reported_as_worse(toy_run: RunResult) -> None:
    report = report_of(toy_run, changed(toy_run, "gbt", 3))
    verdicts = {(one.first, one.second, one.mode): one.outcome for one in report.comparisons}
    assert verdicts["gbt", "logistic", "realistic"] == "worse"


def test_seen_hosts_get_no_interval_across_hosts(toy_run: RunResult) -> None:
    """However many there are: their interval would be read as one for another machine."""
    many = toy.scattered(toy_run.predictions, 6)
    assert many.new_hosts
    report = evaluate.evaluate(many)
    assert all(row.across_hosts and row.timeline.false_alarms.across_hosts for row in report.rows)
    assert all(one.across_hosts for one in report.comparisons)
    everywhere = tuple(replace(one, host="h") for one in many.usable)
    known = replace(many, usable=everywhere)
    assert not known.new_hosts
    report = evaluate.evaluate(known)
    assert not any(
        row.across_hosts or row.timeline.false_alarms.across_hosts for row in report.rows
    )
    assert not any(one.across_hosts for one in report.comparisons)


def test_every_pair_of_a_mode_is_compared_once(toy_run: RunResult) -> None:
    pairs = [(one.mode, frozenset((one.first, one.second))) for one in toy_run.report.comparisons]
    assert len(pairs) == len(set(pairs)) == 6


def test_a_model_that_always_alarms_meets_no_budget_and_a_silent_one_raises_no_alarm(
    toy_run: RunResult,
) -> None:
    loud = report_of(toy_run, changed(toy_run, "gbt", 3)).rows[0]
    windows = next(one.windows for one in toy_run.predictions.predictions if one.subset == "unseen")
    firsts = [rows[0] for rows in timing.rows_by_episode(windows.episode, windows.t_ns)]
    assert loud.timeline.false_alarms.events == (windows.y[firsts] == BENIGN).sum() > 0
    assert loud.alarm_budget.thresholds == (None,) or loud.alarm_budget.detected == 0.0
    silent = report_of(toy_run, changed(toy_run, "gbt", BENIGN)).rows[0]
    assert silent.timeline.false_alarms.events == 0
    assert silent.timeline.delays["impact"] is not None
    assert silent.timeline.delays["impact"].missed == 1.0


def test_a_budget_that_validation_is_too_short_for_is_marked(toy_run: RunResult) -> None:
    for row in toy_run.report.rows:
        assert not row.alarm_budget.verifiable
        assert row.alarm_budget.validation.high > row.alarm_budget.target_rate


@pytest.mark.parametrize(
    ("value", "low", "p", "words"),
    [
        (0.1, 0.05, 0.01, "better"),
        (-0.1, -0.2, 0.01, "worse"),
        (0.1, 0.01, 0.06, "undecided"),
        (0.1, None, 1.0, "undecided: too few episodes"),
    ],
)
def test_comparison_outcomes_follow_the_p_value(
    value: float, low: float | None, p: float, words: str
) -> None:
    assert evaluate._outcome(Score(value, low, low, 20, 100), p) == words


def test_baselines_by_identity_use_no_measurement() -> None:
    assert set(Identity.__dataclass_fields__) == {
        "id",
        "host",
        "sample",
        "profile",
        "campaign",
        "start_ns",
        "phases",
    }
