"""The report of a run: scores, delays, false alarms, calibration, comparisons, what is untested.

Everything is computed from stored predictions; this module is independent of models. Every
score is a sum over the confusion matrices of episodes. What was not tested is listed, and enters no
average. Temperatures and thresholds are chosen in each fold, on its validation part, before folds
are pooled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from phasewatch import metrics, progress, splits
from phasewatch.evaluation import calibration, incidents, predictions, timeline, timing
from phasewatch.evaluation.calibration import CalibrationReport
from phasewatch.evaluation.incidents import IncidentCurve
from phasewatch.evaluation.predictions import Fold, LevelSource, Predictions, PredictionSet
from phasewatch.evaluation.smoothing import MarkovChain
from phasewatch.evaluation.timeline import AlarmBudget, EvaluationContext, Timeline
from phasewatch.metrics import Confusions, Score
from phasewatch.schema import Mode
from phasewatch.temperature import fit_temperature

TARGET_RISK = 0.1
"""Error rate on validation of the predictions that remain after abstention."""

LOGIT_FACTORS = (8.0, 4.0, 2.0, 1.0, 0.5, 0.25)
"""Factors for logits before smoothing, of which the best on validation is taken."""


@dataclass(frozen=True)
class Abstention:
    """The predictions that remain after abstention, on the held-out subset.

    These are the ones above the confidence that has `target_error_rate` on validation. `thresholds`
    has one for each fold; None where no confidence is enough, and no prediction remains. `coverage`
    is the share of predictions that remain, and `error_rate` is theirs.
    """

    target_error_rate: float
    thresholds: tuple[float | None, ...]
    coverage: float
    error_rate: float | None


@dataclass(frozen=True)
class ModelScores:
    """The scores of one model in one mode: macro F1 on each subset, and the held-out one in parts.

    `unseen` has its interval over other episodes of these hosts, `across_hosts` over other hosts,
    from MIN_HOSTS new ones on. `by_host` is of the held-out subset; hosts without an episode in it
    have the score of the seen subset.
    """

    model: str
    mode: Mode
    validation: Score
    seen: Score
    unseen: Score
    across_hosts: Score | None
    worst_host: str
    by_class: dict[str, Score | None]
    by_profile: dict[str, Score]
    by_host: dict[str, Score]
    confusion: list[list[int]]

    def __repr__(self) -> str:
        """Return the held-out and the seen score; every field would be pages."""
        scores = f"held out {self.unseen}, in training {self.seen}"
        return f"<{type(self).__name__} {self.model} {self.mode}: macro F1 {scores}>"


@dataclass(frozen=True, repr=False)
class ModelReport(ModelScores):
    """The scores of a trained model, with its timing, calibration and robustness.

    `by_seed` is macro F1 on the held-out subset with each seed. `ablations` are scores without a
    source, the opening, or baseline recordings. `smoothed` and `smoothed_timeline` are of smoothed
    predictions. `temperatures` are one for each fold. `incidents` is None in a report of 0.2.0 or
    before.
    """

    by_seed: tuple[float, ...]
    ablations: dict[str, Score]
    timeline: Timeline
    smoothed: Score
    smoothed_timeline: Timeline
    alarm_budget: AlarmBudget
    temperatures: tuple[float, ...]
    calibration: CalibrationReport
    abstention: Abstention
    incidents: IncidentCurve | None = None


@dataclass(frozen=True)
class Comparison:
    """Macro F1 of `first` minus that of `second` on the same held-out episodes.

    `p` is adjusted for all pairs of the mode. `across_hosts` is true where interval and p are over
    other hosts. `outcome` is "better" or "worse", of `first`, or begins with "undecided".
    """

    first: str
    second: str
    mode: Mode
    difference: Score
    p: float
    across_hosts: bool
    outcome: str


@dataclass(frozen=True)
class AmbiguousWindows:
    """What a model predicts for held-out windows whose phase nothing observable distinguishes.

    No score contains them. `predicted` has, for each phase that they are labelled with, the number
    of windows by predicted phase; phases that are never predicted are left out.
    """

    model: str
    mode: Mode
    episodes: int
    windows: int
    predicted: dict[str, dict[str, int]]


@dataclass(frozen=True)
class FoldSizes:
    """The number of episodes in each part of a fold."""

    held_out: str
    train: int
    validation: int
    seen: int
    test: int


@dataclass(frozen=True)
class Report:
    """All results of a run, as plain values."""

    recipe: str
    folds: list[FoldSizes]
    classes: tuple[str, ...]
    windows: dict[str, int]
    rows: list[ModelReport]
    baselines: list[ModelScores]
    comparisons: list[Comparison]
    untested_profiles: list[str]
    untested_phases: list[str]
    untested_pairs: list[tuple[str, str]]
    never_recorded: tuple[str, ...]
    """What no recording of the store contains, from its schema."""
    profiles: list[str]
    ambiguous: list[AmbiguousWindows] = field(default_factory=list)
    """Held-out windows that are scored apart, a row a model and mode; none where none is marked."""
    levels: LevelSource | None = None
    """Which recordings teach the levels of machines; None where openings alone do."""
    simulated: bool = False
    """Whether the episodes are simulated, so that no score says anything about a machine."""

    def __repr__(self) -> str:
        """Return what was held out and how many rows; every field would be pages."""
        made = ", simulated" if self.simulated else ""
        return f"<Report: {self.held_out} held out, {len(self.rows)} rows{made}>"

    def __str__(self) -> str:
        """Return macro F1 of every model, mode and baseline, a line each."""
        rows: list[ModelScores] = [*self.rows, *self.baselines]
        lines = [f"  {row.model} {row.mode}: {row.unseen}, {row.seen} in training" for row in rows]
        made = "on simulated episodes, " if self.simulated else ""
        return "\n".join([f"macro F1, {made}{self.held_out} held out:", *lines])

    @property
    def unit(self) -> str:
        """The kind of what is held out: host, sample, campaign or episode."""
        return splits.unit_of(self.recipe)

    @property
    def held_out(self) -> str:
        """What is held out, in words."""
        if len(self.folds) == 1:
            return self.folds[0].held_out
        return splits.in_turn(self.recipe, len(self.folds))

    @property
    def hosts(self) -> list[str]:
        """Every host with a score."""
        return list(self.rows[0].by_host)

    @property
    def ablations(self) -> list[str]:
        """Every input that is left out in an ablation of any mode."""
        return list(dict.fromkeys(part for row in self.rows for part in row.ablations))


Key = tuple[str, Mode]
Parts = Mapping[str, Predictions]


def evaluate(run: PredictionSet) -> Report:
    """Return the report on the predictions of a run."""
    by_model: dict[Key, dict[str, dict[str, Predictions]]] = {}
    for one in run.predictions:
        folds = by_model.setdefault((one.model, one.mode), {})
        folds.setdefault(one.fold, {})[one.subset] = one
    trained = {key: folds for key, folds in by_model.items() if key[0] not in run.baselines}
    scores = {
        key: _scores(_pooled(folds), run)
        for key, folds in progress.each("scoring", by_model.items())
    }
    tested = [id for fold in run.folds for id in fold.split.test]
    first = _pooled(next(iter(by_model.values())))
    return Report(
        recipe=run.folds[0].split.recipe,
        folds=[_fold_sizes(fold) for fold in run.folds],
        classes=run.classes,
        windows={part: len(first[part].clear.windows) for part in predictions.REQUIRED_SUBSETS},
        rows=[
            _row(scores[key], folds, run)
            for key, folds in progress.each("delays, alarms and calibration", trained.items())
        ],
        baselines=[scores[key] for key in by_model if key not in trained],
        comparisons=_compare(
            {key: _pooled(folds)["unseen"] for key, folds in trained.items()}, run
        ),
        untested_profiles=splits.untested(run.usable, tested, "profile"),
        untested_phases=splits.untested(run.usable, tested, "phase"),
        untested_pairs=_untested_pairs(run, tested),
        never_recorded=run.untested,
        profiles=sorted({episode.profile for episode in run.usable}),
        ambiguous=[
            _ambiguous(unseen, run)
            for folds in trained.values()
            for unseen in [_pooled(folds)["unseen"]]
            if unseen.windows.ambiguous.any()
        ],
        levels=run.levels,
        simulated=run.simulated,
    )


def _ambiguous(unseen: Predictions, run: PredictionSet) -> AmbiguousWindows:
    """Return what a model predicts for the ambiguous windows of the held-out part."""
    marked = unseen.take(unseen.windows.ambiguous)
    total = metrics.confusions(
        marked.windows.episode, marked.windows.y, marked.predicted, len(run.classes)
    )[1].sum(axis=0)
    predicted = {
        run.classes[true]: {
            run.classes[place]: int(row[place]) for place in np.flatnonzero(row).tolist()
        }
        for true, row in enumerate(total)
        if row.any()
    }
    episodes = len(np.unique(marked.windows.episode))
    return AmbiguousWindows(unseen.model, unseen.mode, episodes, len(marked.windows), predicted)


def _fold_sizes(fold: Fold) -> FoldSizes:
    split = fold.split
    sides = (split.train, split.validation, split.seen, split.test)
    return FoldSizes(split.held_out, *(len(side) for side in sides))


def _untested_pairs(run: PredictionSet, tested: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of an evaluated host and a profile that no evaluated episode has."""
    evaluated = [episode for episode in run.usable if episode.id in set(tested)]
    there = {(episode.host, episode.profile) for episode in evaluated}
    profiles = sorted({episode.profile for episode in run.usable})
    hosts = sorted({episode.host for episode in evaluated})
    return [(host, name) for host in hosts for name in profiles if (host, name) not in there]


def _pooled(folds: Mapping[str, Parts]) -> dict[str, Predictions]:
    """Return the predictions of every subset over all folds."""
    names = dict.fromkeys(name for parts in folds.values() for name in parts)
    return {
        name: predictions.pool_folds([parts[name] for parts in folds.values() if name in parts])
        for name in names
    }


def _confusions(one: Predictions, run: PredictionSet) -> Confusions:
    clear = one.clear
    windows = clear.windows
    return metrics.confusions(windows.episode, windows.y, clear.predicted, len(run.classes))[1]


def _macro(one: Predictions, run: PredictionSet) -> Score:
    return metrics.macro_f1_score(_confusions(one, run), run.seed)


def _hosts(one: Predictions) -> NDArray[np.str_]:
    """Return the host of each episode, in the order of its confusion matrices."""
    windows = one.clear.windows
    _, first = np.unique(windows.episode, return_index=True)
    return windows.host[first]


def _scores(parts: Parts, run: PredictionSet) -> ModelScores:
    seed, unseen = run.seed, parts["unseen"]
    matrices = _confusions(unseen, run)
    total = matrices.sum(axis=0)
    true = total.sum(axis=1) > 0
    by_host = _by("host", unseen, run)
    return ModelScores(
        model=unseen.model,
        mode=unseen.mode,
        validation=_macro(parts["validation"], run),
        seen=_macro(parts["seen"], run),
        unseen=metrics.macro_f1_score(matrices, seed),
        across_hosts=metrics.across_hosts(matrices, _hosts(unseen), seed)
        if run.new_hosts
        else None,
        worst_host=min(by_host, key=lambda host: by_host[host].value),
        by_class={
            name: metrics.class_f1_score(matrices, label, seed) if true[label] else None
            for label, name in enumerate(run.classes)
        },
        by_profile=_by("profile", unseen, run),
        by_host={**_by("host", parts["seen"], run), **by_host},
        confusion=total.tolist(),
    )


def _by(name: str, one: Predictions, run: PredictionSet) -> dict[str, Score]:
    one = one.clear
    values: NDArray[np.str_] = getattr(one.windows, name)
    return {str(value): _macro(one.take(values == value), run) for value in np.unique(values)}


def _row(scores: ModelScores, folds: Mapping[str, Parts], run: PredictionSet) -> ModelReport:
    parts = _pooled(folds)
    chains = {fold.split.held_out: fold.chain for fold in run.folds}
    chosen = [(parts["validation"], parts["unseen"]) for parts in folds.values()]
    temperatures = tuple(
        fit_temperature(one.clear.logits, one.clear.windows.y) for one, _ in chosen
    )
    calibrated = [
        (_scaled(one, 1 / temperature), _scaled(other, 1 / temperature))
        for (one, other), temperature in zip(chosen, temperatures, strict=True)
    ]
    smoothed = predictions.pool_folds(
        [
            _smoothed(other, chains[fold], _logit_factor(one, chains[fold], run))
            for fold, (one, other) in zip(folds, chosen, strict=True)
        ]
    )
    unseen = predictions.pool_folds([unseen for _, unseen in calibrated]).clear
    context = EvaluationContext.of(run)
    return ModelReport(
        **vars(scores),
        by_seed=(
            scores.unseen.value,
            *(
                float(metrics.macro_f1(_confusions(one, run).sum(axis=0)))
                for part, one in parts.items()
                if part.startswith("again ")
            ),
        ),
        ablations={
            part.removeprefix("without "): _macro(one, run)
            for part, one in parts.items()
            if part.startswith("without ")
        },
        timeline=timeline.timeline(parts["unseen"], context),
        smoothed=_macro(smoothed, run),
        smoothed_timeline=timeline.timeline(smoothed, context),
        alarm_budget=timeline.alarm_budget(calibrated, context),
        temperatures=temperatures,
        calibration=calibration.confidence_report(unseen.logits, unseen.windows.y, 1.0),
        abstention=_abstention([(one.clear, other.clear) for one, other in calibrated]),
        incidents=incidents.incident_curve(chosen, temperatures, run.stride_s),
    )


def _scaled(one: Predictions, factor: float) -> Predictions:
    return replace(one, logits=one.logits * factor)


def _smoothed(one: Predictions, chain: MarkovChain, factor: float) -> Predictions:
    """Return predictions smoothed by the chain, which weighs logits by `factor`."""
    logits = np.empty_like(one.logits)
    for rows in timing.rows_by_episode(one.windows.episode, one.windows.t_ns):
        logits[rows] = chain.filter(factor * one.logits[rows])
    return replace(one, logits=logits)


def _logit_factor(validation: Predictions, chain: MarkovChain, run: PredictionSet) -> float:
    """Return the factor for logits before smoothing with the best macro F1 on validation.

    Windows overlap and the logits of a model are no likelihoods, so unscaled they count for too
    much or too little.
    """

    def value(factor: float) -> float:
        matrices = _confusions(_smoothed(validation, chain, factor), run)
        return float(metrics.macro_f1(matrices.sum(axis=0)))

    return max(LOGIT_FACTORS, key=value)


def _abstention(folds: Sequence[tuple[Predictions, Predictions]]) -> Abstention:
    thresholds = tuple(
        calibration.abstention_threshold(one.logits, one.windows.y, 1.0, TARGET_RISK)
        for one, _ in folds
    )
    remaining, wrong = [], []
    for (_, unseen), threshold in zip(folds, thresholds, strict=True):
        least = np.inf if threshold is None else threshold
        keep = softmax(unseen.logits, axis=1).max(axis=1) >= least
        remaining.append(keep)
        wrong.append((unseen.predicted != unseen.windows.y)[keep])
    errors = np.concatenate(wrong)
    return Abstention(
        TARGET_RISK,
        thresholds,
        float(np.concatenate(remaining).mean()),
        float(errors.mean()) if len(errors) else None,
    )


# ---------------------------------------------------------------- comparisons of models


def _compare(unseen: Mapping[Key, Predictions], run: PredictionSet) -> list[Comparison]:
    """Compare every pair of models of a mode on the same replicates, adjusted for all pairs."""
    found = []
    for mode in dict.fromkeys(mode for _, mode in unseen):
        models = {name: one for (name, other), one in unseen.items() if other == mode}
        matrices = {name: _confusions(one, run) for name, one in models.items()}
        hosts = _hosts(next(iter(models.values())))
        across_hosts = run.new_hosts and len(np.unique(hosts)) >= metrics.MIN_HOSTS
        pairs = list(combinations(matrices, 2))
        gaps = [
            metrics.difference_across_hosts(matrices[one], matrices[two], hosts, run.seed)
            if across_hosts
            else metrics.difference(matrices[one], matrices[two], run.seed)
            for one, two in progress.each(f"comparing models, {mode}", pairs)
        ]
        adjusted = metrics.holm_adjusted([p for _, p in gaps])
        found += [
            Comparison(one, two, mode, gap, p, across_hosts, _outcome(gap, p))
            for (one, two), (gap, _), p in zip(pairs, gaps, adjusted, strict=True)
        ]
    return found


def _outcome(gap: Score, p: float) -> str:
    if gap.low is None:
        return "undecided: too few episodes"
    if p >= 0.05:
        return "undecided"
    return "better" if gap.value > 0 else "worse"


def best_on_validation(rows: Sequence[ModelReport]) -> ModelReport:
    """Return the model with the best score on validation; the held-out subset is not used."""
    return max(rows, key=lambda row: row.validation.value)
