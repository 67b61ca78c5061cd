"""How good, how sure, how late, how noisy, on whom, and on what never.

Everything is computed from the answers on file, and every score is a sum over episodes of the cube.
Nothing here knows how a model works. What was not tested is listed, and enters no average. What is
chosen (temperatures, thresholds) is chosen a fold, on its validation part, before folds are pooled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from phasewatch import metrics, splits
from phasewatch.evaluation import calibration, predictions, timeline, timing
from phasewatch.evaluation.calibration import CalibrationReport
from phasewatch.evaluation.predictions import Fold, Predictions, PredictionSet
from phasewatch.evaluation.smoothing import MarkovChain
from phasewatch.evaluation.timeline import AlarmBudget, EvaluationContext, Timeline
from phasewatch.metrics import Confusions, Score
from phasewatch.schema import Mode

TARGET_RISK = 0.1
"""Share of wrong calls that somebody who may abstain might accept."""

LOGIT_FACTORS = (8.0, 4.0, 2.0, 1.0, 0.5, 0.25)
"""Factors of a window's logits, of which decoding takes one."""


@dataclass(frozen=True)
class Abstention:
    """Calls above the confidence at which a fold's validation had `risk`, on unseen windows.

    `thresholds` one a fold; None where no confidence was enough, and nothing was called.
    """

    target_error_rate: float
    thresholds: tuple[float | None, ...]
    coverage: float
    error_rate: float | None


@dataclass(frozen=True)
class ModelScores:
    """One model in one mode: on what training had, on what it never had, and that broken down.

    `unseen` has its interval for other episodes of these hosts, `across` for hosts like these, from
    five new ones on. `by_host` is of the unseen, and of hosts in training where none of theirs is.
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


@dataclass(frozen=True)
class ModelReport(ModelScores):
    """And all that is asked of a model that learns.

    `again` is macro F1 on the unseen from this and every other seed; `without` the score where a
    source, or the opening, is missing; `decoded` and `decoded_course` where calls know the calls
    before them; `temperatures` one a fold.
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


@dataclass(frozen=True)
class Comparison:
    """Macro F1 of `ours` minus `other` on the same unseen episodes, and a verdict in words.

    `p` is adjusted for all pairs of the mode. `across_hosts` when it is about hosts like these.
    """

    first: str
    second: str
    mode: Mode
    difference: Score
    p: float
    across_hosts: bool
    outcome: str


@dataclass(frozen=True)
class FoldSizes:
    """How many episodes a fold had on each side."""

    held_out: str
    train: int
    validation: int
    seen: int
    test: int


@dataclass(frozen=True)
class Report:
    """All that a reader may ask, as plain values."""

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
    """What no recording of the store holds, as its schema says."""
    profiles: list[str]

    @property
    def unit(self) -> str:
        """What was held out: host, sample or campaign."""
        return splits.KEYS.get(self.recipe, self.recipe)

    @property
    def held_out(self) -> str:
        """What was never seen, in words."""
        if len(self.folds) == 1:
            return self.folds[0].held_out
        return f"{len(self.folds)} {self.unit}s in turn"

    @property
    def hosts(self) -> list[str]:
        """All that were judged."""
        return list(self.rows[0].by_host)

    @property
    def ablations(self) -> list[str]:
        """All that was taken from the unseen windows, in any mode."""
        return list(dict.fromkeys(part for row in self.rows for part in row.ablations))


Key = tuple[str, Mode]
Parts = Mapping[str, Predictions]


def evaluate(answered: PredictionSet) -> Report:
    """The report on all answers."""
    found: dict[Key, dict[str, dict[str, Predictions]]] = {}
    for one in answered.predictions:
        found.setdefault((one.model, one.mode), {}).setdefault(one.fold, {})[one.subset] = one
    learned = {key: own for key, own in found.items() if key[0] not in answered.baselines}
    plain = {key: _plain(_pooled(own), answered) for key, own in found.items()}
    tested = [id for fold in answered.folds for id in fold.split.test]
    first = _pooled(next(iter(found.values())))
    return Report(
        recipe=answered.folds[0].split.recipe,
        folds=[_sides(fold) for fold in answered.folds],
        classes=answered.classes,
        windows={part: len(first[part].windows) for part in predictions.REQUIRED_SUBSETS},
        rows=[_row(plain[key], own, answered) for key, own in learned.items()],
        baselines=[plain[key] for key in found if key not in learned],
        comparisons=_compare(
            {key: _pooled(own)["unseen"] for key, own in learned.items()}, answered
        ),
        untested_profiles=splits.untested(answered.usable, tested, "profile"),
        untested_phases=splits.untested(answered.usable, tested, "phase"),
        untested_pairs=_cells(answered, tested),
        never_recorded=answered.untested,
        profiles=sorted({episode.profile for episode in answered.usable}),
    )


def _sides(fold: Fold) -> FoldSizes:
    split = fold.split
    sides = (split.train, split.validation, split.seen, split.test)
    return FoldSizes(split.held_out, *(len(side) for side in sides))


def _cells(answered: PredictionSet, tested: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of a judged host and a profile of the store of which no episode was judged."""
    judged = [episode for episode in answered.usable if episode.id in set(tested)]
    there = {(episode.host, episode.profile) for episode in judged}
    profiles = sorted({episode.profile for episode in answered.usable})
    hosts = sorted({episode.host for episode in judged})
    return [(host, name) for host in hosts for name in profiles if (host, name) not in there]


def _pooled(folds: Mapping[str, Parts]) -> dict[str, Predictions]:
    """Every part over all folds."""
    names = dict.fromkeys(name for parts in folds.values() for name in parts)
    return {
        name: predictions.pool_folds([parts[name] for parts in folds.values() if name in parts])
        for name in names
    }


def _cube(one: Predictions, answered: PredictionSet) -> Confusions:
    windows = one.windows
    return metrics.confusions(windows.episode, windows.y, one.predicted, len(answered.classes))[1]


def _macro(one: Predictions, answered: PredictionSet) -> Score:
    return metrics.macro_f1_score(_cube(one, answered), answered.seed)


def _hosts(one: Predictions) -> NDArray[np.str_]:
    """The host of each episode of its cube."""
    _, first = np.unique(one.windows.episode, return_index=True)
    return one.windows.host[first]


def _plain(parts: Parts, answered: PredictionSet) -> ModelScores:
    seed, unseen = answered.seed, parts["unseen"]
    cube = _cube(unseen, answered)
    total = cube.sum(axis=0)
    true = total.sum(axis=1) > 0
    by_host = _by("host", unseen, answered)
    return ModelScores(
        model=unseen.model,
        mode=unseen.mode,
        validation=_macro(parts["validation"], answered),
        seen=_macro(parts["seen"], answered),
        unseen=metrics.macro_f1_score(cube, seed),
        across_hosts=metrics.across_hosts(cube, _hosts(unseen), seed)
        if answered.new_hosts
        else None,
        worst_host=min(by_host, key=lambda host: by_host[host].value),
        by_class={
            name: metrics.class_f1_score(cube, label, seed) if true[label] else None
            for label, name in enumerate(answered.classes)
        },
        by_profile=_by("profile", unseen, answered),
        by_host={**_by("host", parts["seen"], answered), **by_host},
        confusion=total.tolist(),
    )


def _by(name: str, one: Predictions, answered: PredictionSet) -> dict[str, Score]:
    values: NDArray[np.str_] = getattr(one.windows, name)
    return {str(value): _macro(one.take(values == value), answered) for value in np.unique(values)}


def _row(plain: ModelScores, folds: Mapping[str, Parts], answered: PredictionSet) -> ModelReport:
    parts = _pooled(folds)
    chains = {fold.split.held_out: fold.chain for fold in answered.folds}
    told = [(own["validation"], own["unseen"]) for own in folds.values()]
    temperatures = tuple(calibration.fit_temperature(one.logits, one.windows.y) for one, _ in told)
    calm = [
        (_scaled(one, 1 / degree), _scaled(other, 1 / degree))
        for (one, other), degree in zip(told, temperatures, strict=True)
    ]
    decoded = predictions.pool_folds(
        [
            _decoded(other, chains[fold], _sharpness(one, chains[fold], answered))
            for fold, (one, other) in zip(folds, told, strict=True)
        ]
    )
    warm = predictions.pool_folds([unseen for _, unseen in calm])
    asked = EvaluationContext.of(answered)
    return ModelReport(
        **vars(plain),
        by_seed=(
            plain.unseen.value,
            *(
                float(metrics.macro_f1(_cube(own, answered).sum(axis=0)))
                for part, own in parts.items()
                if part.startswith("again ")
            ),
        ),
        ablations={
            part.removeprefix("without "): _macro(own, answered)
            for part, own in parts.items()
            if part.startswith("without ")
        },
        timeline=timeline.timeline(parts["unseen"], asked),
        smoothed=_macro(decoded, answered),
        smoothed_timeline=timeline.timeline(decoded, asked),
        alarm_budget=timeline.alarm_budget(calm, asked),
        temperatures=temperatures,
        calibration=calibration.confidence_report(warm.logits, warm.windows.y, 1.0),
        abstention=_abstaining(calm),
    )


def _scaled(one: Predictions, factor: float) -> Predictions:
    return replace(one, logits=one.logits * factor)


def _decoded(one: Predictions, chain: MarkovChain, sharpness: float) -> Predictions:
    """The same answers, each filtered through the chain with those before it."""
    logits = np.empty_like(one.logits)
    for rows in timing.rows_by_episode(one.windows.episode, one.windows.t_ns):
        logits[rows] = chain.filter(sharpness * one.logits[rows])
    return replace(one, logits=logits)


def _sharpness(validation: Predictions, chain: MarkovChain, answered: PredictionSet) -> float:
    """How much a window's own evidence counts beside the chain's: what does best on validation.

    Windows overlap and no model's logits are likelihoods, so taken at their word they count for
    too much or too little.
    """

    def value(tried: float) -> float:
        cube = _cube(_decoded(validation, chain, tried), answered)
        return float(metrics.macro_f1(cube.sum(axis=0)))

    return max(LOGIT_FACTORS, key=value)


def _abstaining(folds: Sequence[tuple[Predictions, Predictions]]) -> Abstention:
    thresholds = tuple(
        calibration.abstention_threshold(one.logits, one.windows.y, 1.0, TARGET_RISK)
        for one, _ in folds
    )
    kept, wrong = [], []
    for (_, unseen), threshold in zip(folds, thresholds, strict=True):
        least = np.inf if threshold is None else threshold
        own = softmax(unseen.logits, axis=1).max(axis=1) >= least
        kept.append(own)
        wrong.append((unseen.predicted != unseen.windows.y)[own])
    errors = np.concatenate(wrong)
    return Abstention(
        TARGET_RISK,
        thresholds,
        float(np.concatenate(kept).mean()),
        float(errors.mean()) if len(errors) else None,
    )


# ---------------------------------------------------------------- one against another


def _compare(unseen: Mapping[Key, Predictions], answered: PredictionSet) -> list[Comparison]:
    """Every pair of models of a mode on the same draws, adjusted for all pairs."""
    found = []
    for mode in dict.fromkeys(mode for _, mode in unseen):
        own = {name: one for (name, other), one in unseen.items() if other == mode}
        cubes = {name: _cube(one, answered) for name, one in own.items()}
        hosts = _hosts(next(iter(own.values())))
        across = answered.new_hosts and len(np.unique(hosts)) >= metrics.MIN_HOSTS
        pairs = list(combinations(cubes, 2))
        gaps = [
            metrics.difference_across_hosts(cubes[one], cubes[two], hosts, answered.seed)
            if across
            else metrics.difference(cubes[one], cubes[two], answered.seed)
            for one, two in pairs
        ]
        adjusted = metrics.holm_adjusted([p for _, p in gaps])
        found += [
            Comparison(one, two, mode, gap, p, across, _words(gap, p))
            for (one, two), (gap, _), p in zip(pairs, gaps, adjusted, strict=True)
        ]
    return found


def _words(gap: Score, p: float) -> str:
    if gap.low is None:
        return "undecided: too few episodes"
    if p >= 0.05:
        return "undecided"
    return "better" if gap.value > 0 else "worse"


def best_on_validation(rows: Sequence[ModelReport]) -> ModelReport:
    """The row that chose itself on validation, and never on what is judged."""
    return max(rows, key=lambda row: row.validation.value)
