"""Few labels of a new machine: what 5, 20 or 100 labelled windows of it are worth.

A mode of its own: no other score of a report uses a label of a held-out machine. The episodes of
each held-out machine are divided in time. Windows of the first half give labels, and only episodes
that begin `GAP_S` after it are judged, adapted and as they are (decision 45).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from phasewatch import metrics
from phasewatch.errors import Refused
from phasewatch.evaluation.predictions import Predictions, PredictionSet
from phasewatch.features.views import Array
from phasewatch.schema import NS, Mode
from phasewatch.temperature import fit_temperature
from phasewatch.windowing import Windows

LABELS = (5, 20, 100)
"""Numbers of labelled windows that are reported."""

GAP_S = 120.0
"""Seconds between the last labelled episode and the first that is judged."""

DRAWS = 5
"""Draws of the labelled windows, over which scores are averaged."""


@dataclass(frozen=True)
class Prior:
    """How far an adapted model may move from the trained one, by `kind`, at a `strength`.

    "none" leaves logits as they are; "offsets" adds one number a class; "matrix" also multiplies
    logits by a matrix near the identity. A larger strength keeps them nearer.
    """

    kind: str
    strength: float = 1.0


PRIORS = (
    Prior("none"),
    *(Prior(kind, strength) for kind in ("offsets", "matrix") for strength in (1.0, 4.0, 16.0)),
)
USUAL = Prior("offsets", 1.0)
"""What is used where no validation machine can choose: see decision 45."""


@dataclass(frozen=True)
class Adaptation:
    """Adapted logits are `logits / temperature @ weights + offsets`."""

    temperature: float
    weights: Array
    offsets: Array

    @classmethod
    def fit(
        cls, logits: Array, y: NDArray[np.int64], temperature: float, prior: Prior
    ) -> "Adaptation":
        """Return the most likely adaptation under a prior, given labelled windows.

        It minimises cross-entropy summed over windows plus `strength` times the squared distance of
        weights from the identity and of offsets from 0: the mode of a normal prior.
        """
        classes = logits.shape[1]
        start = cls(temperature, np.eye(classes), np.zeros(classes))
        if prior.kind == "none" or not len(y):
            return start
        z, truth = logits / temperature, np.eye(classes)[y]
        free = classes * classes if prior.kind == "matrix" else 0

        def parts(flat: Array) -> tuple[Array, Array]:
            moved = flat[:free].reshape(-1, classes) if free else np.zeros((classes, classes))
            return moved, flat[free:]

        def loss(flat: Array) -> tuple[float, Array]:
            moved, offsets = parts(flat)
            adapted = z @ (start.weights + moved) + offsets
            error = softmax(adapted, axis=1) - truth
            slope = np.concatenate([(z.T @ error).ravel()[:free], error.sum(axis=0)])
            cost = -float((truth * log_softmax(adapted, axis=1)).sum())
            return cost + prior.strength * float(flat @ flat), slope + 2 * prior.strength * flat

        found = minimize(loss, np.zeros(free + classes), jac=True, method="L-BFGS-B")
        moved, offsets = parts(found.x)
        return cls(temperature, start.weights + moved, offsets)

    def apply(self, logits: Array) -> Array:
        """Return adapted logits `[N,K]`."""
        return np.asarray(logits / self.temperature @ self.weights + self.offsets)


@dataclass(frozen=True)
class FewLabels:
    """Macro F1 of one model after adaptation to each held-out machine with so many labels.

    `score` is the mean over draws, `low` and `high` the least and the most; `none` is that of the
    unadapted model on the same windows of the same `hosts`. `worst` is the least host's mean, and
    `worst_none` that of the unadapted model. `priors` are what validation chose, by fold.
    """

    model: str
    mode: Mode
    labels: int
    none: float
    score: float
    low: float
    high: float
    worst_none: float
    worst: float
    hosts: int
    windows: int
    priors: dict[str, str]


@dataclass(frozen=True)
class Machine:
    """The predictions of one model on a held-out machine: to label, and later ones to judge."""

    first: Predictions
    later: Predictions
    temperature: float


def few_labels(run: PredictionSet, numbers: Sequence[int] = LABELS) -> list[FewLabels]:
    """Return what labels of held-out machines are worth to every trained model of a run.

    Raises Refused when the run holds out no machine, or no machine has episodes enough.
    """
    if not run.new_hosts:
        raise Refused(
            "few labels",
            "the run holds out no machine",
            "a split by host",
            "Run it with --split held_out_host or leave_one_host_out.",
            code="few_labels",
        )
    keys = dict.fromkeys(
        (one.model, one.mode) for one in run.predictions if one.model not in run.baselines
    )
    found = [row for key in keys for row in _of_model(run, key, numbers)]
    if not found:
        raise Refused(
            "few labels",
            "no held-out machine has windows enough to label and to judge",
            f"{min(numbers)} windows in the first half of its episodes, and episodes that begin "
            f"{GAP_S:g} s later",
            "Record more episodes of it, or ask for fewer labels.",
            code="few_labels",
        )
    return found


def _of_model(
    run: PredictionSet, key: tuple[str, Mode], numbers: Sequence[int]
) -> Iterator[FewLabels]:
    """Yield a row for each number of labels that some held-out machine has."""
    own = {(one.fold, one.subset): one for one in run.predictions if (one.model, one.mode) == key}
    folds = [fold.split.held_out for fold in run.folds]
    for number in numbers:
        cubes: list[Array] = []
        plain: list[Array] = []
        chosen: dict[str, str] = {}
        for fold in folds:
            validation = own[fold, "validation"].clear
            temperature = fit_temperature(validation.logits, validation.windows.y)
            prior = _choose(list(machines(validation, temperature)), number, len(run.classes))
            chosen[fold] = f"{prior.kind} {prior.strength:g}".removesuffix(" 1")
            for one in machines(own[fold, "unseen"].clear, temperature):
                if len(one.first.windows) >= number:
                    cubes.append(_adapted(one, number, prior, len(run.classes)))
                    plain.append(_confusion(one.later, one.later.logits, len(run.classes)))
        if cubes:
            yield _row(key, number, (np.array(cubes), np.array(plain)), chosen)


def _row(
    key: tuple[str, Mode], number: int, cubes: tuple[Array, Array], chosen: dict[str, str]
) -> FewLabels:
    """Return the scores of confusion matrices `[H,D,K,K]` adapted and `[H,K,K]` as they are."""
    adapted, plain = cubes
    draws = [float(metrics.macro_f1(one)) for one in adapted.sum(axis=0)]
    each = [np.mean([metrics.macro_f1(one) for one in host]) for host in adapted]
    return FewLabels(
        *key,
        number,
        none=float(metrics.macro_f1(plain.sum(axis=0))),
        score=float(np.mean(draws)),
        low=min(draws),
        high=max(draws),
        worst_none=float(min(metrics.macro_f1(one) for one in plain)),
        worst=float(min(each)),
        hosts=len(plain),
        windows=int(plain.sum()),
        priors=chosen,
    )


def machines(predicted: Predictions, temperature: float) -> Iterator[Machine]:
    """Yield each machine of some predictions whose later episodes can be judged.

    The first half of its episodes, in the order of time, is to be labelled. An episode is judged
    when its first window ends `GAP_S` after the last window of that half, or later.
    """
    windows = predicted.windows
    for host in np.unique(windows.host):
        ids = np.unique(windows.episode[windows.host == host])
        begins = {id: int(windows.t_ns[windows.episode == id].min()) for id in ids}
        order = sorted(begins, key=lambda id: begins[id])
        first = np.isin(windows.episode, order[: len(order) // 2])
        if not first.any():
            continue
        over = int(windows.t_ns[first].max()) + round(GAP_S * NS)
        later = np.isin(windows.episode, [id for id in order if begins[id] >= over])
        if later.any():
            yield Machine(predicted.take(first), predicted.take(later & ~first), temperature)


def adapted(windows: Windows, logits: Array, labelled: Sequence[str]) -> tuple[Windows, Array]:
    """Return the later windows of the machine of some labelled episodes, with adapted logits.

    All clear windows of `labelled` episodes are used. Of others, those of episodes of the same
    machine remain whose first window ends `GAP_S` after the last labelled one, or later. Raises
    Refused for episodes that are not there or of several machines, and where none remains.
    """
    known = np.isin(windows.episode, labelled)
    hosts = np.unique(windows.host[known])
    missing = sorted(set(labelled) - set(windows.episode[known].tolist()))
    if missing or len(hosts) > 1:
        raise Refused(
            "--labelled",
            f"{', '.join(missing)} has no window" if missing else f"is of {', '.join(hosts)}",
            "episodes of one machine",
            "Name episodes of the machine to adapt to.",
            code="few_labels",
        )
    over = int(windows.t_ns[known].max()) + round(GAP_S * NS)
    own = windows.episode[windows.host == hosts[0]]
    ids = [id for id in np.unique(own) if windows.t_ns[windows.episode == id].min() >= over]
    later = np.isin(windows.episode, ids)
    if not later.any():
        raise Refused(
            "--labelled",
            f"no episode of {hosts[0]} begins {GAP_S:g} s after those that are labelled",
            "a later episode of the machine",
            "Label earlier episodes, or predict another.",
            code="few_labels",
        )
    taught = known & ~windows.ambiguous
    adaptation = Adaptation.fit(logits[taught], windows.y[taught], 1.0, USUAL)
    return windows.take(later), adaptation.apply(logits[later])


def _choose(validation: Sequence[Machine], number: int, classes: int) -> Prior:
    """Return the prior that gains most on validation machines; the usual one without any."""
    able = [one for one in validation if len(one.first.windows) >= number]
    if not able:
        return USUAL

    def gained(prior: Prior) -> float:
        cubes = np.array([_adapted(one, number, prior, classes) for one in able]).sum(axis=0)
        return float(np.mean([metrics.macro_f1(one) for one in cubes]))

    return max(PRIORS, key=gained)


def _adapted(one: Machine, number: int, prior: Prior, classes: int) -> Array:
    """Return confusion matrices `[D,K,K]` of a machine's later windows, one for each draw."""
    found = []
    for draw in range(DRAWS):
        generator = np.random.default_rng([draw, number])
        rows = generator.permutation(len(one.first.windows))[:number]
        y = one.first.windows.y[rows]
        adaptation = Adaptation.fit(one.first.logits[rows], y, one.temperature, prior)
        found.append(_confusion(one.later, adaptation.apply(one.later.logits), classes))
    return np.array(found)


def _confusion(later: Predictions, logits: Array, classes: int) -> Array:
    """Return the confusion matrix `[K,K]` of logits of a machine's later windows."""
    windows, predicted = later.windows, logits.argmax(axis=1)
    _, cube = metrics.confusions(windows.episode, windows.y, predicted, classes)
    return np.asarray(cube.sum(axis=0), dtype=np.float64)
