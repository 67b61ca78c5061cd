"""Learning curves: macro F1 on held-out data against the number of samples, hosts and episodes.

Every point is a mean over random draws of the training set, with an interval over other groups of
test episodes and other draws. The last step of a curve is judged by the interval of its difference.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasewatch import metrics
from phasewatch.baseline import Selection, of_episodes
from phasewatch.episode import Identity
from phasewatch.errors import Refused, counted
from phasewatch.experiment.curve_trainings import MODEL, Log, Trained, Trainer
from phasewatch.experiment.subsets import AXES, SEED, Axis, Fit, plan
from phasewatch.features.views import Array
from phasewatch.metrics import Confusions, Score
from phasewatch.resampling import Resampling, over_episodes, over_hosts
from phasewatch.schema import Mode
from phasewatch.splits import HELD_OUT_BY, unit_of
from phasewatch.store.local import Store
from phasewatch.training.recipes import RECIPES
from phasewatch.validation.sweep import validate_and_read
from phasewatch.windowing import concatenate, cut_windows, pool_openings

DRAWS = 3
FLAT = 0.01
"""A last step whose whole interval is within so much macro F1 of zero is flat."""

FITS = "fits"
"""The folder of what every training predicts, beside the curves."""


@dataclass(frozen=True)
class Point:
    """Macro F1 of training sets of one size.

    `score` is the mean over draws, each over all held-out episodes; `draws` has the score of each,
    and `episodes` the mean number of training episodes.
    """

    size: float
    episodes: float
    score: Score
    draws: tuple[float, ...]


@dataclass(frozen=True)
class LastStep:
    """The difference of the last two points, and whether the curve still rises."""

    begin: float
    end: float
    difference: Score
    outcome: str


@dataclass(frozen=True)
class Curve:
    """One learning curve. Without points, `missing` says why it cannot be drawn.

    Intervals are over other groups like the `groups` held-out ones (hosts or samples), or over
    other episodes where `over_groups` is false.
    """

    name: str
    unit: str
    held_out: str
    groups: int
    over_groups: bool
    points: tuple[Point, ...]
    last_step: LastStep | None
    missing: str = ""


@dataclass(frozen=True)
class LearningCurves:
    """The learning curves of one model in one mode, as plain values."""

    model: str
    mode: Mode
    draws: int
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class CurveOptions:
    """How curves are drawn: the opening in seconds, draws a point, and processes that train.

    `simulated` asks for a store of simulated episodes, which is refused otherwise.
    """

    opening_s: float = RECIPES["all"].opening_s
    draws: int = DRAWS
    jobs: int = 1
    simulated: bool = False


def learning_curves(store: Store, folder: Path, log: Log, how: CurveOptions) -> LearningCurves:
    """Draw all curves for boosted trees, in realistic mode where the store has it.

    Every training leaves its confusion matrices in a file under `folder`, so that an interrupted
    call resumes. Raises Refused for a simulated store unless it is asked for, and when no curve can
    be drawn.
    """
    store.refuse_simulated("survey", how.simulated)
    results, episodes = validate_and_read(store)
    baseline, judged = of_episodes(episodes, store.schema, Selection(noted=True))
    usable = [result.identity for result in results if result.id in set(judged)]
    plans, missing = _plans(usable, how.draws)
    for reason in missing.values():
        log(f"not drawn: {reason}")
    if not plans:
        raise Refused(store.root, "allows no learning curve", next(iter(missing.values())), "")
    mode: Mode = "realistic" if "realistic" in store.schema.modes else store.schema.modes[0]
    schema = store.schema.for_mode(mode)
    windows = pool_openings(
        concatenate(cut_windows(episodes[id], schema, how.opening_s) for id in judged),
        baseline.channels(store.schema, schema).known,
    ).clear
    del episodes
    digests = {result.id: result.digest for result in results if result.usable}
    trainer = Trainer(schema, windows, digests, how.opening_s, folder / FITS)
    found = trainer.confusions([fit for fits in plans.values() for fit in fits], how.jobs, log)
    drawn = (
        _curve(axis, plans[axis.name], found, usable)
        if axis.name in plans
        else _missing(axis, missing[axis.name])
        for axis in AXES
    )
    curves = tuple(_of_simulated(curve) for curve in drawn) if how.simulated else tuple(drawn)
    return LearningCurves(MODEL, mode, how.draws, curves)


def _of_simulated(curve: Curve) -> Curve:
    """Return a curve of simulated episodes, whose name and unit say so wherever it is shown."""
    return replace(curve, name=f"simulated {curve.name}", unit=f"simulated {curve.unit}")


def _plans(usable: Sequence[Identity], draws: int) -> tuple[dict[str, list[Fit]], dict[str, str]]:
    """Return the trainings of every curve that can be drawn, and why the others cannot, by name."""
    plans, missing = {}, {}
    for axis in AXES:
        try:
            plans[axis.name] = plan(axis, usable, draws)
        except Refused as refused:
            missing[axis.name] = str(refused)
    return plans, missing


def _missing(axis: Axis, reason: str) -> Curve:
    return Curve(axis.name, axis.unit, unit_of(axis.recipe), 0, False, (), None, reason)


# ---------------------------------------------------------------- points of a curve


def _curve(
    axis: Axis, fits: Sequence[Fit], found: Mapping[Fit, Trained], usable: Sequence[Identity]
) -> Curve:
    """Return a curve from what its trainings predict."""
    key = HELD_OUT_BY[axis.recipe]
    group = {one.id: str(getattr(one, key)) for one in usable}
    ids = sorted({id for fit in fits for id in found[fit]})
    groups = np.array([group[id] for id in ids])
    sizes = sorted({fit.size for fit in fits})
    cubes = {
        size: _stacked([(fit, found[fit]) for fit in fits if fit.size == size], ids)
        for size in sizes
    }
    samples = _Resampled(cubes, groups)
    return Curve(
        axis.name,
        axis.unit,
        unit_of(axis.recipe),
        len(np.unique(groups)),
        samples.over_groups,
        tuple(
            Point(size, _mean_episodes(fits, size), samples.score(size), samples.draws(size))
            for size in sizes
        ),
        samples.last_step(sizes[-2], sizes[-1]),
    )


def _mean_episodes(fits: Sequence[Fit], size: float) -> float:
    return round(float(np.mean([len(fit.train) for fit in fits if fit.size == size])), 1)


def _stacked(trained: Sequence[tuple[Fit, Trained]], ids: Sequence[str]) -> Confusions:
    """Return the confusion matrices `[D,E,K,K]` of all folds together, by draw and episode."""
    place = {id: row for row, id in enumerate(ids)}
    classes = next(iter(trained[0][1].values())).shape[0]
    draws = max(fit.draw for fit, _ in trained) + 1
    cubes = np.zeros((draws, len(ids), classes, classes), dtype=np.int64)
    for fit, matrices in trained:
        for id, matrix in matrices.items():
            cubes[fit.draw, place[id]] = matrix
    return cubes


class _Resampled:
    """Bootstrap replicates of the points of one curve, the same for all of its points.

    A replicate draws groups and then episodes of them, and as many of the draws of the training set
    as there are, all with replacement.
    """

    def __init__(self, cubes: Mapping[float, Confusions], groups: NDArray[np.str_]) -> None:
        count = len(np.unique(groups))
        self.over_groups = count >= metrics.MIN_HOSTS
        self._degrees = count if self.over_groups else 0
        self._cubes, episodes = cubes, len(groups)
        self._episodes = episodes
        resampling = over_hosts(groups, SEED) if self.over_groups else over_episodes(episodes, SEED)
        draws = len(next(iter(cubes.values())))
        chosen = np.random.default_rng(SEED).multinomial(
            draws, np.full(draws, 1 / draws), size=resampling.replicates
        )
        self._replicates = {
            size: (chosen * _by_draw(cube, resampling)).sum(axis=1) / draws
            for size, cube in cubes.items()
        }

    def draws(self, size: float) -> tuple[float, ...]:
        """Return macro F1 of every draw."""
        return tuple(float(metrics.macro_f1(cube.sum(axis=0))) for cube in self._cubes[size])

    def score(self, size: float) -> Score:
        """Return the mean over draws with its interval."""
        value = float(np.mean(self.draws(size)))
        return self._interval(value, self._replicates[size], int(self._cubes[size][0].sum()))

    def last_step(self, begin: float, end: float) -> LastStep:
        """Return the difference of two points, and what can be said of it."""
        gained = self._replicates[end] - self._replicates[begin]
        value = float(np.mean(self.draws(end)) - np.mean(self.draws(begin)))
        difference = self._interval(value, gained, int(self._cubes[end][0].sum()))
        return LastStep(begin, end, difference, outcome(difference))

    def _interval(self, value: float, replicates: Array, windows: int) -> Score:
        if self.over_groups:
            return metrics.student_interval(
                value, replicates, self._degrees, (self._episodes, windows)
            )
        low, high = metrics.percentile_interval(replicates, self._episodes)
        return Score(value, low, high, self._episodes, windows)


def _by_draw(cube: Confusions, resampling: Resampling) -> Array:
    """Return macro F1 of every replicate and draw, `[B,D]`, of matrices `[D,E,K,K]`."""
    return metrics.macro_f1(metrics.resampled_confusions(cube.swapaxes(0, 1), resampling))


def outcome(step: Score) -> str:
    """Return whether a last step rises, falls or is flat, or that its interval does not decide."""
    if step.low is None or step.high is None:
        return f"undecided: no interval from {counted(step.episodes, 'episode')}"
    if step.low > 0:
        return "still rises"
    if step.high < 0:
        return "falls"
    if step.low >= -FLAT and step.high <= FLAT:
        return f"flat to within {FLAT:g}"
    return f"undecided: between {step.low:+.3f} and {step.high:+.3f}"


# ---------------------------------------------------------------- as files


def table(found: LearningCurves) -> bytes:
    """Return the points of all curves as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["curve", "size", "training_episodes", "macro_f1", "low", "high", "least", "most", "draws"]
    )
    for curve in found.curves:
        for point in curve.points:
            score, draws = point.score, point.draws
            ends = (min(draws), max(draws), len(draws))
            row = (point.size, point.episodes, score.value, score.low, score.high, *ends)
            writer.writerow([curve.name, *row])
    return text.getvalue().encode()


def document(found: LearningCurves) -> bytes:
    """Return all curves as JSON."""
    return (json.dumps(asdict(found), indent=1) + "\n").encode()


def step_sentence(curve: Curve) -> str:
    """Return in words what the last step of a curve shows, or why the curve is missing."""
    if curve.last_step is None:
        return f"{curve.name}: not drawn ({curve.missing})"
    step = curve.last_step
    gap = f"{step.difference.value:+.3f}"
    if step.difference.low is not None:
        gap += f" [{step.difference.low:+.3f}, {step.difference.high:+.3f}]"
    return f"{curve.name}: from {step.begin:g} to {step.end:g} {curve.unit} {gap}, {step.outcome}"
