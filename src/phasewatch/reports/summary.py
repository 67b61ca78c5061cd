"""The abstract of a report: its main numbers in a few plain sentences, and what is unknown."""

from phasewatch.errors import counted
from phasewatch.evaluation.evaluate import Comparison, ModelReport, Report, best_on_validation
from phasewatch.evaluation.incidents import DEPLOYED_RATE, Share
from phasewatch.evaluation.timing import FalseAlarmRate
from phasewatch.metrics import Score

SIMULATED = "Every episode is simulated: no number here says anything about a real machine."


def sentences(report: Report) -> list[str]:
    """Return the sentences of the abstract: accuracy, intervals, comparisons, failures, gaps."""
    row = best_row(report)
    found = [
        SIMULATED if report.simulated else "",
        _accuracy(report, row),
        _interval(report, row),
        _drop(report, row),
        _levels(report, row),
        _comparisons(report, row),
        _baselines(report, row),
        _delays(row),
        _false_alarms(row),
        _ambiguous(report),
        _incidents(row),
        _untested(report),
    ]
    return [sentence for sentence in found if sentence]


def best_row(report: Report) -> ModelReport:
    """Return the row that the abstract is about: the best on validation, in realistic mode."""
    realistic = [row for row in report.rows if row.mode == "realistic"]
    return best_on_validation(realistic or report.rows)


def operated(report: Report) -> ModelReport | None:
    """Return that row, when it has operating points of incidents, else None."""
    row = best_row(report)
    return None if row.incidents is None else row


def _name(row: ModelReport) -> str:
    return f"{row.model} in {row.mode} mode"


def _accuracy(report: Report, row: ModelReport) -> str:
    return (
        f"On {_held(report)}, {_name(row)}, the best on validation, reaches a macro F1 of "
        f"{row.unseen.value:.3f} over {len(_tested(row))} phases "
        f"({counted(row.unseen.episodes, 'episode')}, {row.unseen.windows:,} windows)."
    )


def _tested(row: ModelReport) -> list[str]:
    return [name for name, score in row.by_class.items() if score is not None]


def _held(report: Report) -> str:
    """Return what was held out of training, in words."""
    if len(report.folds) > 1:
        return f"{report.held_out.removesuffix(' in turn')}, each held out of training in turn"
    return (
        f"{report.unit} {report.held_out.removeprefix('sample ')}, which was held out of training"
    )


def _interval(report: Report, row: ModelReport) -> str:
    text = interval_text(row.unseen)
    these = f"For other episodes of {_these(report)}, the 95 % interval is {text}"
    if row.across_hosts is not None:
        worst = row.by_host[row.worst_host].value
        return (
            f"{these}; for other hosts of the same kinds it is {interval_text(row.across_hosts)}. "
            f"The worst host, {row.worst_host}, has {worst:.3f}."
        )
    if report.unit == "host":
        return (
            f"{these}. Fewer than five hosts were held out, so nothing can be said about hosts in "
            "general, whatever the effect."
        )
    return f"{these}. Their hosts were in training, so nothing is said about a new machine."


def _these(report: Report) -> str:
    return "these hosts" if len(report.folds) > 1 else "the held-out part"


def _drop(report: Report, row: ModelReport) -> str:
    cost = row.seen.value - row.unseen.value
    known = f"On other episodes of {report.unit}s in training it reaches {row.seen.value:.3f}"
    return f"{known}, {cost:.3f} more." if cost > 0 else f"{known}."


def _levels(report: Report, row: ModelReport) -> str:
    """Return which recordings teach the levels of machines, and the score without them."""
    if report.levels is None:
        return ""
    declared, earlier, parts = report.levels.declared, report.levels.earlier, []
    if declared:
        many = counted(sum(declared.values()), "recording")
        hosts = counted(len(declared), "host")
        parts.append(f"{many} of {hosts} declared baseline, which are in no part of the split")
    if earlier:
        parts.append(f"{counted(earlier, 'benign episode')}, each for later ones of its host")
    without = row.ablations.get("baseline")
    beside = f" With openings alone it reaches {without.value:.3f}." if without else ""
    return f"The levels of machines are also from {', and '.join(parts)}.{beside}"


def _comparisons(report: Report, row: ModelReport) -> str:
    compared = [one for one in report.comparisons if row.mode == one.mode]
    against = {_other(one, row): _outcome(one, row) for one in compared if row.model in _pair(one)}
    parts = [
        f"{word} than {', '.join(names)}"
        for word in ("better", "worse")
        if (names := [name for name, outcome in against.items() if outcome == word])
    ]
    undecided = [name for name, outcome in against.items() if outcome not in ("better", "worse")]
    if undecided:
        parts.append(f"undecided versus {', '.join(undecided)}")
    if not parts:
        return "No other model was trained to compare it with."
    return f"Compared with the other models, adjusted for all pairs, it is {'; '.join(parts)}."


def _pair(one: Comparison) -> tuple[str, str]:
    return one.first, one.second


def _other(one: Comparison, row: ModelReport) -> str:
    return one.second if one.first == row.model else one.first


def _outcome(one: Comparison, row: ModelReport) -> str:
    if one.first == row.model or one.outcome not in ("better", "worse"):
        return one.outcome
    return {"better": "worse", "worse": "better"}[one.outcome]


def _baselines(report: Report, row: ModelReport) -> str:
    baselines = {one.model: one for one in report.baselines if one.mode in (row.mode, "realistic")}
    if not baselines:
        return "No baseline was evaluated."
    scores = ", ".join(f"{name} {one.unseen.value:.3f}" for name, one in baselines.items())
    unbeaten = [name for name, one in baselines.items() if one.unseen.value >= row.unseen.value]
    warning = f" It does not beat {', '.join(unbeaten)}." if unbeaten else ""
    return f"Baselines that need no detector reach {scores}.{warning}"


def _delays(row: ModelReport) -> str:
    hostile = [one for one in list(row.timeline.delays.values())[1:] if one is not None]
    if not hostile:
        return "The held-out part contains no hostile phase."
    missed = sum(one.missed * one.onsets for one in hostile)
    onsets = sum(one.onsets for one in hostile)
    medians = [one.median_s for one in hostile if one.median_s is not None]
    delay = (
        f"{min(medians):.0f} to {max(medians):.0f} s after onset (median of each phase)"
        if medians
        else "too rarely for any phase to have a median delay"
    )
    return (
        f"Hostile phases are detected {delay}; {100 * missed / onsets:.0f} % of {onsets} onsets "
        "are never detected while the phase lasts."
    )


def _false_alarms(row: ModelReport) -> str:
    alarms = row.timeline.false_alarms
    low, high = alarms.across_hosts or (alarms.low, alarms.high)
    return (
        f"It raises {alarms.rate:.0f} false alarms per hour of benign time "
        f"({low:.0f} to {high:.0f}): {alarms.events} in {alarms.hours:.1f} host-hours."
    )


def _ambiguous(report: Report) -> str:
    if not report.ambiguous:
        return ""
    marked = report.ambiguous[0]
    return (
        f"{counted(marked.windows, 'window')} in {counted(marked.episodes, 'episode')} whose phase "
        "nothing observable distinguishes are scored apart and enter no number above."
    )


def _incidents(row: ModelReport) -> str:
    point = row.incidents.at(DEPLOYED_RATE) if row.incidents else None
    if point is None:
        return ""
    noticed = ""
    if point.phases is not None and point.episodes is not None:
        noticed = (
            f"notice {100 * point.phases.value:.0f} % of {point.phases.of} hostile phases and "
            f"{100 * point.episodes.value:.0f} % of {point.episodes.of} hostile episodes, with "
        )
    unshown = (
        "" if point.verifiable else ", too few hours to show that rate, whatever happens in them"
    )
    return (
        f"Incidents, aimed at {DEPLOYED_RATE:g} false ones per host-hour, {noticed}"
        f"{point.false_incidents.events} false in {point.false_incidents.hours:.1f} calm host-hours"
        f"{unshown}."
    )


def false_rate(rate: FalseAlarmRate) -> str:
    """Return a rate of false incidents as text, with its interval or its upper bound."""
    seen = f"{counted(rate.events, 'incident')} in {rate.hours:.2f} h"
    if not rate.events:
        return f"below {rate.high:.2f} ({seen})"
    return f"{rate.rate:.2f} [{rate.low:.2f}, {rate.high:.2f}] ({seen})"


def share(one: Share | None) -> str:
    """Return a share as text, with its interval; a dash where there is nothing to count."""
    if one is None:
        return "–"
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}] ({one.count} of {one.of})"


def _untested(report: Report) -> str:
    cells = len(report.untested_pairs)
    parts = [
        *report.untested_profiles,
        *(name.replace("_", " ") for name in report.untested_phases),
    ]
    named = f"Not tested: {', '.join(parts)}. " if parts else ""
    many = f"{cells} pairs of host and profile were not evaluated. " if cells else ""
    return f"{named}{many}{never_recorded(report)}".strip()


def never_recorded(report: Report) -> str:
    """Return as a sentence what no recording contains; empty where the schema names nothing."""
    if not report.never_recorded:
        return ""
    names = " and ".join(report.never_recorded)
    verb = "were" if len(report.never_recorded) > 1 else "was"
    return f"{names[0].upper()}{names[1:]} {verb} never recorded, so never tested."


def interval_text(score: Score | None) -> str:
    """Return an interval as text, or why there is none; empty for no score."""
    if score is None:
        return ""
    if score.low is None or score.high is None:
        return f"not given: too few ({counted(score.episodes, 'episode')})"
    return f"{score.low:.3f} to {score.high:.3f}"


def p_value(p: float) -> str:
    """Return a p value as text; the smallest is "< 0.001", as none is 0."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
