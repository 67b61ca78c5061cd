"""The counts of a survey add up, and models are evaluated on every split that the store allows."""

import csv
import io
from dataclasses import replace

import pytest

from phasewatch.errors import Refused
from phasewatch.evaluation import baselines
from phasewatch.experiment.survey import SIMULATED, Survey, markdown, survey, table, tally
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_store


@pytest.fixture(scope="module")
def found(toy_store: Store) -> Survey:
    """The survey with two models that train in no time; any other is trained by the same code."""
    return survey(toy_store, lambda line: None, 6.0, ("majority", "logistic"))


def test_every_episode_is_counted_once(found: Survey, toy_store: Store) -> None:
    assert sum(count.episodes for count in found.counts) == len(toy_store.ids())
    spent = sum(sum(count.seconds.values()) for count in found.counts)
    assert spent == pytest.approx(40 * len(toy_store.ids()), rel=1e-3)


def test_a_rejected_episode_is_counted_without_seconds(toy_store: Store) -> None:
    rejected = [replace(one, verdict="rejected") for one in validate_store(toy_store)[:1]]
    (count,) = tally(rejected, {})
    assert (count.verdict, count.episodes, count.seconds) == ("rejected", 1, {})


def test_every_split_and_every_baseline_is_evaluated(found: Survey) -> None:
    kinds = {"held_out_host", "held_out_sample", "held_out_time"}
    assert {line.split for line in found.models} == kinds
    assert all(line.random and line.random.windows for line in found.models)
    for mode in ("realistic", "oracle"):
        lines = {line.model for line in found.baselines if line.mode == mode}
        assert lines == set(baselines.BASELINES)


def test_held_out_hosts_are_evaluated_together(found: Survey, toy_store: Store) -> None:
    windows = {line.score.windows for line in found.baselines}
    assert len(windows) == 1
    assert windows.pop() == 7 * len(toy_store.ids())


def test_survey_tables_hold_the_computed_scores(found: Survey) -> None:
    rows = list(csv.DictReader(io.StringIO(table(found).decode())))
    assert len(rows) == len(found.counts)
    assert {row["host"] for row in rows} == {"alpha", "beta", "gamma", "delta"}
    text = markdown(found)
    for line in [*found.baselines, *found.models]:
        assert f"{line.score.value:.3f}" in text
    for line in found.models:
        assert line.random is not None
        assert f"{line.random.value:.3f}" in text
        assert f"{line.random.value - line.score.value:+.3f}" in text


def test_models_are_evaluated_beside_a_random_window_split(found: Survey) -> None:
    for kind in ("held_out_host", "held_out_sample", "held_out_time"):
        lines = [line for line in found.models if line.split == kind and line.mode == "oracle"]
        assert [line.model for line in lines] == ["majority", "logistic"]
        constant, learned = (line.random for line in lines)
        assert constant and learned and constant.value < learned.value


def test_simulated_episodes_are_refused_unless_asked_for(toy_store: Store) -> None:
    pretended = Store(toy_store.root, toy_store.schema, {"seed": 1})
    with pytest.raises(Refused, match="holds simulated episodes"):
        survey(pretended, lambda line: None)
    found = survey(pretended, lambda line: None, 6.0, ("majority",), simulated=True)
    assert found.simulated and markdown(found).startswith(SIMULATED)
