"""Every corruption a row: what was done to a good episode, and the verdict and code it must get."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests import toy
from tests.paths import ROOT

from phasewatch import schema
from phasewatch.episode import UNIX_CEILING_NS, Episode, Label, Samples
from phasewatch.schema import NS
from phasewatch.sim.plant import EPISODE_FAULTS
from phasewatch.validation import rules
from phasewatch.validation.rules import (
    MAX_LOST_CORES,
    RULES,
    WAIT_CHANNEL,
    Facts,
    Rule,
    examine,
    sentences,
)

VM46 = schema.vm46()


def with_source(episode: Episode, name: str, **changes: object) -> Episode:
    changed = replace(episode.sources[name], **changes)  # type: ignore[arg-type]
    return replace(episode, sources={**episode.sources, name: changed})


def with_values(episode: Episode, name: str, row: int, column: int, value: float) -> Episode:
    values = episode.sources[name].values.copy()
    values[row:, column] = value
    return with_source(episode, name, values=values)


def thinned(samples: Samples, rows: slice) -> dict[str, object]:
    return {
        "t_wall_ns": samples.t_wall_ns[rows],
        "t_mono_ns": samples.t_mono_ns[rows],
        "values": samples.values[rows],
    }


def without(episode: Episode, name: str) -> Episode:
    return replace(
        episode, sources={key: rows for key, rows in episode.sources.items() if key != name}
    )


def swapped(episode: Episode, name: str) -> Episode:
    t = episode.sources[name].t_wall_ns.copy()
    t[10], t[20] = t[20], t[10]
    return with_source(episode, name, t_wall_ns=t)


def doubled(episode: Episode, name: str) -> Episode:
    t = episode.sources[name].t_wall_ns.copy()
    t[10] = t[9]
    return with_source(episode, name, t_wall_ns=t)


def gapped(episode: Episode, name: str) -> Episode:
    t = episode.sources[name].t_wall_ns.copy()
    t[30:] += 6 * NS
    return with_source(episode, name, t_wall_ns=t)


def fewer(episode: Episode, name: str, rows: slice) -> Episode:
    return with_source(episode, name, **thinned(episode.sources[name], rows))


def channel_lost(episode: Episode, name: str) -> Episode:
    samples = episode.sources[name]
    return with_source(episode, name, names=samples.names[1:], values=samples.values[:, 1:])


def stepped(episode: Episode, name: str) -> Episode:
    t = episode.sources[name].t_wall_ns.copy()
    t[30:] += 2 * NS
    return with_source(episode, name, t_wall_ns=t)


def planted(code: str) -> Callable[[Episode], Episode]:
    return lambda episode: EPISODE_FAULTS[code](episode, np.random.default_rng(1))


def contended(episode: Episode, lost: float) -> Episode:
    """From the 12th to the 25th second the vCPUs lose part of a core."""
    samples = episode.sources["proc"]
    values = samples.values.copy()
    t = (samples.t_wall_ns - episode.start_ns) / NS
    values[:, samples.names.index(WAIT_CHANNEL)] += np.clip(t - 12, 0, 13) * lost * NS
    return with_source(episode, "proc", values=values)


Case = tuple[str, str, Callable[[Episode, str], Episode]]
PER_SOURCE: list[Case] = [
    ("degraded", "source_missing", without),
    ("rejected", "columns", channel_lost),
    (
        "rejected",
        "clock_base",
        lambda e, s: with_source(e, s, t_wall_ns=e.sources[s].t_mono_ns),
    ),
    (
        "rejected",
        "clock_overlap",
        lambda e, s: with_source(e, s, t_wall_ns=e.sources[s].t_wall_ns + 900 * NS),
    ),
    ("rejected", "time_order", swapped),
    ("degraded", "time_dup", doubled),
    ("degraded", "time_gap", gapped),
    ("rejected", "rows_none", lambda e, s: fewer(e, s, slice(None, 30))),
    ("degraded", "rows_low", lambda e, s: fewer(e, s, slice(14, None))),
    ("degraded", "rows_high", lambda e, s: with_source(e, s, rate_hz=1.0)),
    ("degraded", "rows_high", lambda e, s: with_source(e, s, rate_hz=0.0)),
    ("degraded", "clock_step", stepped),
    (
        "rejected",
        "columns",
        lambda e, s: with_source(e, s, names=(e.sources[s].names[1], *e.sources[s].names[1:])),
    ),
    ("degraded", "value_nonfinite", lambda e, s: with_values(e, s, 9, 0, np.nan)),
]
EPISODE: list[tuple[str, str, Callable[[Episode], Episode]]] = [
    ("rejected", "span", lambda e: replace(e, end_ns=e.start_ns)),
    ("rejected", "span", lambda e: replace(e, start_ns=5)),
    ("rejected", "span", lambda e: replace(e, end_ns=e.end_ns + 10**9 * NS)),
    ("rejected", "labels_order", lambda e: replace(e, labels=(e.labels[0], *e.labels[:0:-1]))),
    (
        "rejected",
        "labels_order",
        lambda e: replace(e, labels=(*e.labels, Label(e.labels[-1].t_wall_ns, "impact"))),
    ),
    (
        "rejected",
        "labels_class",
        lambda e: replace(e, labels=(e.labels[0], Label(e.labels[1].t_wall_ns, "Impact"))),
    ),
    ("rejected", "labels_range", lambda e: replace(e, labels=())),
    ("rejected", "labels_range", lambda e: replace(e, labels=e.labels[1:])),
    (
        "rejected",
        "labels_range",
        lambda e: replace(e, labels=(*e.labels, Label(e.end_ns + 1, "impact"))),
    ),
    ("degraded", "clock_offset", planted("clock_offset")),
    ("degraded", "label_onset", planted("label_onset")),
    ("degraded", "counter_wrap", planted("counter_wrap")),
    ("degraded", "source_stuck", planted("source_stuck")),
    ("degraded", "value_negative", lambda e: with_values(e, "netflow", 70, 0, -5.0)),
    ("rejected", "span", lambda e: replace(e, start_ns=UNIX_CEILING_NS, end_ns=2**62)),
    ("rejected", "sources_none", lambda e: replace(e, sources={})),
    ("degraded", "counter_reset", lambda e: with_values(e, "proc", 40, 0, 0.0)),
    ("rejected", "clock_fit", lambda e: replace(e, notes={"guest_clock_misfit_ms": 2300.0})),
    ("degraded", "contention", lambda e: contended(e, 0.4)),
]


def test_a_good_episode_is_accepted() -> None:
    assert examine(toy.episode(), VM46) == ("accepted", ())


def test_a_little_contention_is_normal() -> None:
    assert examine(contended(toy.episode(), 0.9 * MAX_LOST_CORES), VM46) == ("accepted", ())


def test_an_infinite_wait_is_not_contention() -> None:
    spoiled = with_values(toy.episode(), "proc", 40, VM46.names.index(WAIT_CHANNEL), np.inf)
    codes = {finding.code for finding in examine(spoiled, VM46)[1]}
    assert "value_nonfinite" in codes and "contention" not in codes


@pytest.mark.parametrize("source, stuck", [("proc", True), ("guest", True), ("qmp", False)])
def test_constant_disk_channels_are_accepted_and_constant_cpu_time_is_not(
    source: str, stuck: bool
) -> None:
    values = np.repeat(toy.episode().sources[source].values[:1], 84, axis=0)
    _, findings = examine(with_source(toy.episode(), source, values=values), VM46)
    assert ("source_stuck" in {finding.code for finding in findings}) is stuck


@pytest.mark.parametrize("source", VM46.sources)
@pytest.mark.parametrize("case", PER_SOURCE, ids=lambda case: case[1])
def test_a_corrupted_source_gets_its_verdict_and_code(case: Case, source: str) -> None:
    verdict, code, spoil = case
    found, findings = examine(spoil(toy.episode(), source), VM46)
    assert found == verdict
    assert code in {finding.code for finding in findings}
    assert any(source in finding.reason for finding in findings if finding.code == code)


@pytest.mark.parametrize("case", EPISODE, ids=lambda case: case[1])
def test_a_corrupted_episode_gets_its_verdict_and_code(
    case: tuple[str, str, Callable[[Episode], Episode]],
) -> None:
    verdict, code, spoil = case
    found, findings = examine(spoil(toy.episode()), VM46)
    assert found == verdict
    assert code in {finding.code for finding in findings}


def test_every_rule_has_a_corruption_that_it_catches() -> None:
    caught = {code for _, code, _ in PER_SOURCE} | {code for _, code, _ in EPISODE}
    assert caught == {rule.code for rule in RULES}


def test_two_faults_get_the_worse_verdict_and_both_reasons() -> None:
    spoiled = replace(without(toy.episode(), "guest"), labels=())
    verdict, findings = examine(spoiled, VM46)
    assert verdict == "rejected"
    assert {"source_missing", "labels_range"} <= {finding.code for finding in findings}


def test_a_rule_that_raises_makes_the_episode_errored(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(facts: Facts) -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(rules, "RULES", [Rule("broken", "rejected", broken)])
    verdict, (finding,) = examine(toy.episode(), VM46)
    assert (verdict, finding.code) == ("errored", "check_bug")


def test_counter_wraps_and_resets_are_distinguished() -> None:
    _, wrapped = examine(
        EPISODE_FAULTS["counter_wrap"](toy.episode(), np.random.default_rng(2)), VM46
    )
    assert {finding.code for finding in wrapped} == {"counter_wrap"}
    _, reset = examine(with_values(toy.episode(), "proc", 40, 0, 0.0), VM46)
    assert {finding.code for finding in reset} == {"counter_reset"}


def test_a_clock_off_by_a_time_zone_is_reported_as_such() -> None:
    samples = toy.episode().sources["qmp"]
    moved = with_source(toy.episode(), "qmp", t_wall_ns=samples.t_wall_ns + 7200 * NS)
    reasons = [one.reason for one in examine(moved, VM46)[1] if one.code == "clock_overlap"]
    assert reasons and "+2 h: a time zone?" in reasons[0]


def test_every_code_has_a_sentence_and_a_line_in_the_format() -> None:
    page = (ROOT / "docs" / "reference" / "store-format.md").read_text(encoding="utf-8")
    for code, sentence in sentences().items():
        assert len(sentence.split()) > 3, code
        assert f"`{code}`" in page, code


@pytest.mark.parametrize("misfit", ["5000", [5000], True, -5000, {}])
def test_a_clock_residual_that_is_no_number_is_a_fault(misfit: object) -> None:
    verdict, findings = examine(
        replace(toy.episode(), notes={"guest_clock_misfit_ms": misfit}), VM46
    )
    assert (verdict, [finding.code for finding in findings]) == ("rejected", ["clock_fit"])


@pytest.mark.parametrize("value", [1e308, -1e308])
def test_the_largest_possible_values_are_checked(value: float) -> None:
    episode = toy.episode()
    values = episode.sources["proc"].values.copy()
    values[40::2] = value
    _, findings = examine(with_source(episode, "proc", values=values), VM46)
    assert "check_bug" not in {finding.code for finding in findings}


def test_a_clock_outside_unix_time_is_reported() -> None:
    episode = toy.episode()
    t = episode.sources["proc"].t_wall_ns.copy()
    t[-1] = 2**63 - 1
    _, findings = examine(with_source(episode, "proc", t_wall_ns=t), VM46)
    assert "proc.t_wall_ns ends at 9223372036854775807" in findings[0].reason


def test_a_rate_of_zero_expected_rows_is_reported_briefly() -> None:
    _, findings = examine(with_source(toy.episode(), "proc", rate_hz=1e-300), VM46)
    (reason,) = [finding.reason for finding in findings if finding.code == "rows_high"]
    assert len(reason) < 80
