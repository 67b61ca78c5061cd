"""The report in a few plain sentences: what a manager reads, and a reviewer cannot fault.

Every sentence is a number of the report in words; what was not asked is said to be unknown.
"""

from phasewatch.evaluation.evaluate import Comparison, ModelReport, Report, best_on_validation
from phasewatch.metrics import Score


def sentences(report: Report) -> list[str]:
    """On top of every report: how good, how sure, how it fails, and what is not known."""
    row = best_on_validation([row for row in report.rows if row.mode == "realistic"] or report.rows)
    told = [_good(report, row), _sure(report, row), _price(report, row), _rivals(report, row)]
    told += [_plainest(report, row), _late(report, row), _alarms(row), _unknown(report)]
    return [one for one in told if one]


def _name(row: ModelReport) -> str:
    return f"{row.model} in {row.mode} mode"


def _good(report: Report, row: ModelReport) -> str:
    return (
        f"On {_held(report)}, {_name(row)}, which did best on validation, reaches a macro F1 of "
        f"{row.unseen.value:.3f} over {len(_tested(row))} phases "
        f"({row.unseen.episodes} episodes, {row.unseen.windows:,} windows)."
    )


def _tested(row: ModelReport) -> list[str]:
    return [name for name, score in row.by_class.items() if score is not None]


def _held(report: Report) -> str:
    """What was not in training."""
    if len(report.folds) > 1:
        return f"{len(report.folds)} {report.unit}s, each left out of training in its turn"
    return f"{report.unit} {report.held_out.removeprefix('sample ')}, which was not in training"


def _sure(report: Report, row: ModelReport) -> str:
    these = (
        f"For other episodes of {_these(report)}, the 95 % interval is {interval_text(row.unseen)}"
    )
    if row.across_hosts is not None:
        worst = row.by_host[row.worst_host].value
        return (
            f"{these}; for other hosts like these it is {interval_text(row.across_hosts)}, and the "
            f"worst of them, {row.worst_host}, has {worst:.3f}."
        )
    if report.unit == "host":
        return (
            f"{these}. One or few hosts were judged: nothing can be said about hosts in general, "
            "whatever the effect."
        )
    return f"{these}. Their hosts were in training: nothing is said about a new machine."


def _these(report: Report) -> str:
    return "these hosts" if len(report.folds) > 1 else "what was judged"


def _price(report: Report, row: ModelReport) -> str:
    cost = row.seen.value - row.unseen.value
    known = f"On episodes of {report.unit}s that it knows, it has {row.seen.value:.3f}"
    return f"{known}: being new costs {cost:.3f}." if cost > 0 else f"{known}."


def _rivals(report: Report, row: ModelReport) -> str:
    own = [one for one in report.comparisons if row.mode == one.mode]
    against = {_other(one, row): _verdict(one, row) for one in own if row.model in _pair(one)}
    told = [
        f"{word} than {', '.join(names)}"
        for word in ("better", "worse")
        if (names := [name for name, verdict in against.items() if verdict == word])
    ]
    open_ = [name for name, verdict in against.items() if verdict not in ("better", "worse")]
    if open_:
        told.append(f"undecided against {', '.join(open_)}")
    if not told:
        return "It was compared with no other model."
    return f"Compared with the others, corrected for all pairs, it is {'; '.join(told)}."


def _pair(one: Comparison) -> tuple[str, str]:
    return one.first, one.second


def _other(one: Comparison, row: ModelReport) -> str:
    return one.second if one.first == row.model else one.first


def _verdict(one: Comparison, row: ModelReport) -> str:
    if one.first == row.model or one.outcome not in ("better", "worse"):
        return one.outcome
    return {"better": "worse", "worse": "better"}[one.outcome]


def _plainest(report: Report, row: ModelReport) -> str:
    own = {one.model: one for one in report.baselines if one.mode in (row.mode, "realistic")}
    if not own:
        return "No baseline was asked."
    told = ", ".join(f"{name} {one.unseen.value:.3f}" for name, one in own.items())
    unbeaten = [name for name, one in own.items() if one.unseen.value >= row.unseen.value]
    verdict = f" It does not beat {', '.join(unbeaten)}." if unbeaten else ""
    return f"Answers that need no detector: {told}.{verdict}"


def _late(report: Report, row: ModelReport) -> str:
    hostile = [late for late in list(row.timeline.delays.values())[1:] if late is not None]
    if not hostile:
        return "No hostile phase was there to be called."
    missed = sum(late.missed * late.onsets for late in hostile)
    onsets = sum(late.onsets for late in hostile)
    medians = [late.median_s for late in hostile if late.median_s is not None]
    quick = (
        f"{min(medians):.0f} to {max(medians):.0f} s after their onset (medians, phase by phase)"
        if medians
        else "so rarely that no phase has a median delay"
    )
    return (
        f"Hostile phases are called {quick}; {100 * missed / onsets:.0f} % of {onsets} were never "
        "called while they lasted."
    )


def _alarms(row: ModelReport) -> str:
    alarms = row.timeline.false_alarms
    low, high = alarms.across_hosts or (alarms.low, alarms.high)
    return (
        f"On benign time it raises {alarms.rate:.0f} false alarms an hour "
        f"({low:.0f} to {high:.0f}): {alarms.events} in {alarms.hours:.1f} host-hours."
    )


def _unknown(report: Report) -> str:
    cells = len(report.untested_pairs)
    parts = [
        *report.untested_profiles,
        *(name.replace("_", " ") for name in report.untested_phases),
    ]
    told = f"Never tested: {', '.join(parts)}. " if parts else ""
    many = f"{cells} pairs of host and profile were not judged. " if cells else ""
    return f"{told}{many}{never_recorded(report)}".strip()


def never_recorded(report: Report) -> str:
    """What no recording holds, as a sentence; empty where the schema names nothing."""
    if not report.never_recorded:
        return ""
    told = " and ".join(report.never_recorded)
    verb = "were" if len(report.never_recorded) > 1 else "was"
    return f"{told[0].upper()}{told[1:]} {verb} not tested at all."


def interval_text(score: Score | None) -> str:
    """An interval, or why there is none."""
    if score is None:
        return ""
    if score.low is None or score.high is None:
        return f"not given: {score.episodes} episodes are too few"
    return f"{score.low:.3f} to {score.high:.3f}"


def p_value(p: float) -> str:
    """A p value: none is 0."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
