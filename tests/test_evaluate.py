from dataclasses import replace

import numpy as np
import pytest

from phasewatch import evaluate
from phasewatch.episode import Identity
from phasewatch.evaluate import Answers, Report
from phasewatch.pipeline import Done
from phasewatch.schema import vm46
from phasewatch.scores import Score
from phasewatch.splits import Split

CLASSES = vm46().classes


def judged(done: Done, answers: list[Answers]) -> Report:
    episodes = [judgement.identity for judgement in done.trained.judgements]
    unseen = tuple(sorted({one.id for one in episodes if one.host == "delta"}))
    split = Split("held_out_host", "delta", (), (), (), unseen)
    return evaluate.evaluate(answers, split, episodes, CLASSES, 0)


def test_every_model_and_mode_has_a_row(toy_run: Done) -> None:
    keys = [(row.model, row.mode) for row in toy_run.report.rows]
    assert len(keys) == len(set(keys)) == 6
    for row in toy_run.report.rows:
        assert sum(map(sum, row.confusion)) == toy_run.report.windows["unseen"]
        assert set(row.by_host) == {"alpha", "beta", "delta"}


def test_untested_phases_have_no_score(toy_run: Done) -> None:
    """The toy store knows no command and control, so nobody is scored on it."""
    for row in toy_run.report.rows:
        assert row.by_class["command_and_control"] is None
        assert row.by_class["impact"] is not None


def test_what_the_held_out_host_lacks_is_listed(toy_run: Done) -> None:
    kept = [
        replace(one, windows=one.windows.take(rows), guess=one.guess[rows])
        for one in toy_run.answers
        for rows in [~((one.windows.host == "delta") & (one.windows.profile == "leak"))]
    ]
    episodes = [
        judgement.identity
        for judgement in toy_run.trained.judgements
        if (judgement.host, judgement.profile) != ("delta", "leak")
    ]
    unseen = tuple(one.id for one in episodes if one.host == "delta")
    split = Split("held_out_host", "delta", (), (), (), unseen)
    report = evaluate.evaluate(kept, split, episodes, CLASSES, 0)
    assert report.untested_profiles == ["leak"]
    assert report.untested_phases == ["discovery", "exfiltration"]
    assert "leak" not in report.rows[0].by_profile
    assert report.rows[0].by_class["exfiltration"] is None


def test_perfect_answers_score_one_and_beat_the_rest(toy_run: Done) -> None:
    right = [
        replace(one, guess=one.windows.y) if one.model == "gbt" else one for one in toy_run.answers
    ]
    report = judged(toy_run, right)
    assert report.rows[0].unseen.value == 1.0
    verdicts = {(one.other, one.mode): one.verdict for one in report.comparisons}
    assert verdicts["majority", "realistic"] == "better"


def test_a_beaten_model_is_called_worse(toy_run: Done) -> None:
    wrong = [
        replace(one, guess=np.full(len(one.guess), 3)) if one.model == "gbt" else one
        for one in toy_run.answers
    ]
    verdicts = {(one.other, one.mode): one.verdict for one in judged(toy_run, wrong).comparisons}
    assert verdicts["logistic", "realistic"] == "worse"


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.1, 0.2, "better"),
        (-0.2, -0.1, "worse"),
        (-0.1, 0.1, "undecided"),
        (0.0, 0.1, "undecided"),
    ],
)
def test_verdicts_follow_the_interval(low: float, high: float, words: str) -> None:
    assert evaluate._words(Score(0.0, low, high, 20, 100)) == words


def test_identity_knows_no_measurement() -> None:
    assert set(Identity.__dataclass_fields__) == {
        "id",
        "host",
        "sample",
        "profile",
        "campaign",
        "start_ns",
        "phases",
    }
