from dataclasses import replace

import pytest
from tests import toy

from phasewatch.evaluation import evaluate, incidents
from phasewatch.experiment.pipeline import RunResult
from phasewatch.reports import summary


@pytest.fixture(scope="module")
def text(toy_run: RunResult) -> str:
    return " ".join(summary.sentences(toy_run.report))


def test_the_summary_has_the_numbers_of_the_model_chosen_on_validation(
    text: str, toy_run: RunResult
) -> None:
    rows = [row for row in toy_run.report.rows if row.mode == "realistic"]
    row = evaluate.best_on_validation(rows)
    assert f"{row.model} in realistic mode" in text
    assert f"macro F1 of {row.unseen.value:.3f} over 5 phases" in text
    assert f"{row.unseen.low:.3f} to {row.unseen.high:.3f}" in text
    assert f"{row.timeline.false_alarms.events} in" in text


def test_one_host_gets_no_interval_across_hosts(text: str) -> None:
    assert "nothing can be said about hosts in general" in text
    assert "for other hosts of the same kinds" not in text


def test_many_hosts_have_an_interval_and_a_worst_host(toy_run: RunResult) -> None:
    report = evaluate.evaluate(toy.scattered(toy_run.predictions, 5))
    text = " ".join(summary.sentences(report))
    row = evaluate.best_on_validation([row for row in report.rows if row.mode == "realistic"])
    assert (
        f"for other hosts of the same kinds it is {summary.interval_text(row.across_hosts)}" in text
    )
    assert f"The worst host, {row.worst_host}" in text


def test_untested_profiles_and_phases_are_named(toy_run: RunResult) -> None:
    report = replace(
        toy_run.report, untested_profiles=["leak"], untested_phases=["command_and_control"]
    )
    last = summary.sentences(report)[-1]
    assert "Not tested: leak, command and control." in last
    assert "Real malware and hardware virtualisation were never recorded" in last
    one = summary.sentences(replace(report, never_recorded=("night shifts",)))[-1]
    assert one.endswith("Night shifts was never recorded, so never tested.")
    assert "never recorded" not in summary.sentences(replace(report, never_recorded=()))[-1]
    complete = replace(toy_run.report, never_recorded=(), untested_pairs=[])
    assert "" not in summary.sentences(complete)


def test_comparisons_are_worded_from_the_chosen_models_side(toy_run: RunResult) -> None:
    row = evaluate.best_on_validation(
        [row for row in toy_run.report.rows if row.mode == "realistic"]
    )
    pairs = [
        replace(one, first="other", second=row.model, outcome="better")
        for one in toy_run.report.comparisons
        if one.mode == "realistic"
    ][:1]
    assert "it is worse than other" in " ".join(
        summary.sentences(replace(toy_run.report, comparisons=pairs))
    )
    none = summary.sentences(replace(toy_run.report, comparisons=[]))
    assert "No other model was trained to compare it with." in none


def test_a_model_below_a_baseline_is_reported(toy_run: RunResult) -> None:
    perfect = replace(
        toy_run.report.baselines[0],
        model="channel",
        mode="realistic",
        unseen=replace(toy_run.report.baselines[0].unseen, value=0.999),
    )
    text = " ".join(summary.sentences(replace(toy_run.report, baselines=[perfect])))
    assert "channel 0.999" in text
    assert "It does not beat channel." in text
    low = replace(perfect, unseen=replace(perfect.unseen, value=0.001))
    assert "does not beat" not in " ".join(
        summary.sentences(replace(toy_run.report, baselines=[low]))
    )


def test_incidents_are_counted_with_the_hours_that_show_them(text: str, toy_run: RunResult) -> None:
    row = summary.operated(toy_run.report)
    assert row and row.incidents
    point = row.incidents.at(0.5)
    assert point and point.phases and point.episodes
    hours = f"{point.false_incidents.events} false in {point.false_incidents.hours:.1f} calm"
    assert f"{100 * point.phases.value:.0f} % of {point.phases.of} hostile phases" in text
    assert hours in text and "too few hours to show that rate" in text
    old = replace(toy_run.report, rows=[replace(row, incidents=None)])
    assert summary.operated(old) is None
    assert "calm host-hours" not in " ".join(summary.sentences(old))


def test_a_rate_of_no_incident_is_an_upper_bound() -> None:
    none, some = (incidents.false_incident_rate(events, 2.0) for events in (0, 1))
    assert summary.false_rate(none) == "below 1.50 (0 incidents in 2.00 h)"
    assert summary.false_rate(some) == "0.50 [0.01, 2.79] (1 incident in 2.00 h)"
    assert summary.share(incidents.Share.counted(3, 4)) == "0.75 [0.19, 0.99] (3 of 4)"
    assert summary.share(None) == "–"
