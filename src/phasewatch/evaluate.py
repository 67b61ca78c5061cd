"""How good, how sure, how late, how noisy, on whom, and on what never.

Everything is computed from the answers on file, and every score is a sum over episodes of the cube.
Nothing here knows how a model works. What was not tested is listed, and enters no average.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from phasewatch import calibration, scores, timing
from phasewatch.answers import Answered, Answers
from phasewatch.calibration import Confidence
from phasewatch.schema import Mode
from phasewatch.scores import Cube, Score
from phasewatch.splits import untested
from phasewatch.timing import Alarms, Lateness, Onset, Segments
from phasewatch.windows import Windows

BUDGET = 0.1
"""False alarms per host-hour that somebody might accept."""

RISK = 0.1
"""Share of wrong calls that somebody who may abstain might accept."""

SHARPNESS = (8.0, 4.0, 2.0, 1.0, 0.5, 0.25)
"""Factors of a window's logits, of which decoding takes one."""

BENIGN = 0
"""The class that raises no alarm: the first of every schema."""


@dataclass(frozen=True)
class Budgeted:
    """Alarms at the threshold that met `budget` on validation, and what they did elsewhere.

    `threshold` is of the probability of any phase but benign; None where none met the budget.
    `verifiable` is false when validation's benign time is too short to show so low a rate.
    `raised` is the share of hostile phases on unseen episodes during which an alarm stood.
    """

    budget: float
    threshold: float | None
    chosen: Alarms
    verifiable: bool
    achieved: Alarms | None
    raised: float | None


@dataclass(frozen=True)
class Abstaining:
    """Calls above the confidence at which validation's risk was `risk`, on unseen windows."""

    risk: float
    threshold: float | None
    coverage: float | None
    achieved: float | None


@dataclass(frozen=True)
class Course:
    """Calls in the order of time: delay a phase, false alarms, and segments."""

    lateness: dict[str, Lateness | None]
    alarms: Alarms
    segments: Segments


@dataclass(frozen=True)
class Row:
    """One model in one mode: on what training had, on what it never had, and that broken down.

    `without` is the score where a source, or the opening, is missing; `decoded` and
    `decoded_course` where calls know the calls before them.
    """

    model: str
    mode: Mode
    validation: Score
    seen: Score
    unseen: Score
    without: dict[str, Score]
    by_class: dict[str, Score | None]
    by_profile: dict[str, Score]
    by_host: dict[str, Score]
    confusion: list[list[int]]
    course: Course
    decoded: Score
    decoded_course: Course
    budgeted: Budgeted
    confidence: Confidence
    abstaining: Abstaining


@dataclass(frozen=True)
class Comparison:
    """Macro F1 of `ours` minus `other` on the same unseen episodes, and a verdict in words.

    `p` is adjusted for all pairs of the mode.
    """

    ours: str
    other: str
    mode: Mode
    gap: Score
    p: float
    verdict: str


@dataclass(frozen=True)
class Report:
    """All that a reader may ask, as plain values."""

    recipe: str
    held_out: str
    classes: tuple[str, ...]
    episodes: dict[str, int]
    windows: dict[str, int]
    rows: list[Row]
    comparisons: list[Comparison]
    untested_profiles: list[str]
    untested_phases: list[str]
    profiles: list[str]

    @property
    def unit(self) -> str:
        """What was held out: host, sample or campaign."""
        held = self.recipe.removeprefix("held_out_")
        return "campaign" if held == "time" else held

    @property
    def lost(self) -> list[str]:
        """All that was taken from the unseen windows, in any mode."""
        return list(dict.fromkeys(part for row in self.rows for part in row.without))


Key = tuple[str, Mode]


def evaluate(answered: Answered) -> Report:
    """The report on all answers."""
    split, classes = answered.split, answered.classes
    keys = list(dict.fromkeys((one.model, one.mode) for one in answered.answers))
    parts = {key: _parts(answered, key) for key in keys}
    first = parts[keys[0]]
    return Report(
        recipe=split.recipe,
        held_out=split.held_out,
        classes=classes,
        episodes={
            name: len(getattr(split, name)) for name in ("train", "validation", "seen", "test")
        },
        windows={part: len(first[part].windows) for part in ("validation", "seen", "unseen")},
        rows=[_row(parts[key], answered) for key in keys],
        comparisons=_compare({key: parts[key]["unseen"] for key in keys}, answered),
        untested_profiles=untested(answered.usable, split.test, "profile"),
        untested_phases=untested(answered.usable, split.test, "phase"),
        profiles=sorted({episode.profile for episode in answered.usable}),
    )


def _parts(answered: Answered, key: Key) -> dict[str, Answers]:
    return {one.part: one for one in answered.answers if (one.model, one.mode) == key}


def _cube(windows: Windows, guess: NDArray[np.int64], classes: int) -> Cube:
    return scores.cube(windows.episode, windows.y, guess, classes)[1]


def _macro(one: Answers, answered: Answered) -> Score:
    return scores.macro(_cube(one.windows, one.guess, len(answered.classes)), answered.seed)


def _row(parts: Mapping[str, Answers], answered: Answered) -> Row:
    classes, seed = answered.classes, answered.seed
    validation, seen, unseen = (parts[name] for name in ("validation", "seen", "unseen"))
    cube = _cube(unseen.windows, unseen.guess, len(classes))
    total = cube.sum(axis=0)
    true = total.sum(axis=1) > 0
    decoded = _decoded(unseen, answered, _sharpness(validation, answered))
    temperature = calibration.temperature(validation.logits, validation.windows.y)
    return Row(
        model=unseen.model,
        mode=unseen.mode,
        validation=_macro(validation, answered),
        seen=_macro(seen, answered),
        unseen=scores.macro(cube, seed),
        without={
            part.removeprefix("without "): _macro(own, answered)
            for part, own in parts.items()
            if part.startswith("without ")
        },
        by_class={
            name: scores.single(cube, label, seed) if true[label] else None
            for label, name in enumerate(classes)
        },
        by_profile=_by("profile", unseen, answered),
        by_host={**_by("host", seen, answered), **_by("host", unseen, answered)},
        confusion=total.tolist(),
        course=_course(unseen, answered),
        decoded=_macro(decoded, answered),
        decoded_course=_course(decoded, answered),
        budgeted=_budgeted(validation, unseen, temperature, answered),
        confidence=calibration.confidence(unseen.logits, unseen.windows.y, temperature),
        abstaining=_abstaining(validation, unseen, temperature),
    )


def _by(name: str, one: Answers, answered: Answered) -> dict[str, Score]:
    values: NDArray[np.str_] = getattr(one.windows, name)
    found = {}
    for value in np.unique(values):
        own = values == value
        cube = _cube(one.windows.take(own), one.guess[own], len(answered.classes))
        found[str(value)] = scores.macro(cube, answered.seed)
    return found


def _decoded(one: Answers, answered: Answered, sharpness: float) -> Answers:
    """The same answers, each filtered through the chain with those before it."""
    logits = np.empty_like(one.logits)
    for rows in timing.each(one.windows.episode, one.windows.t_ns):
        logits[rows] = answered.chain.filter(sharpness * one.logits[rows])
    return replace(one, logits=logits)


def _sharpness(validation: Answers, answered: Answered) -> float:
    """How much a window's own evidence counts beside the chain's: what does best on validation.

    Windows overlap and no model's logits are likelihoods, so taken at their word they count for
    too much or too little.
    """
    return max(
        SHARPNESS,
        key=lambda tried: _macro(_decoded(validation, answered, tried), answered).value,
    )


# ---------------------------------------------------------------- in the order of time


def _course(one: Answers, answered: Answered) -> Course:
    windows, guess = one.windows, one.guess
    found: list[Onset] = []
    pairs = []
    for rows in timing.each(windows.episode, windows.t_ns):
        y, t_s = windows.y[rows], (windows.t_ns[rows] - windows.t_ns[rows[0]]) / 1e9
        told = (guess[rows], t_s, windows.since_s[rows])
        found += timing.onsets(str(windows.episode[rows[0]]), y, *told)
        pairs.append((y, guess[rows]))
    late: dict[str, Lateness | None] = {}
    for label, name in enumerate(answered.classes):
        own = [onset for onset in found if onset.label == label]
        late[name] = timing.lateness(own) if own else None
    return Course(late, _alarms(windows, guess != BENIGN, answered), timing.segments(pairs))


def _alarms(windows: Windows, alarm: NDArray[np.bool_], answered: Answered) -> Alarms:
    benign = windows.y == BENIGN
    events = sum(
        timing.false_alarms(benign[rows], alarm[rows])
        for rows in timing.each(windows.episode, windows.t_ns)
    )
    hours = max(int(benign.sum()), 1) * answered.stride_s / 3600
    return timing.alarms(events, hours)


def _hostile(one: Answers, temperature: float) -> NDArray[np.float64]:
    """The probability of any phase but benign, `[N]`."""
    return np.asarray(1 - softmax(one.logits / temperature, axis=1)[:, BENIGN])


def _budgeted(
    validation: Answers, unseen: Answers, temperature: float, answered: Answered
) -> Budgeted:
    """The lowest threshold that meets the budget on validation, tried on what is unseen."""
    chance = _hostile(validation, temperature)
    none = _alarms(validation.windows, np.zeros(len(chance), dtype=np.bool_), answered)
    threshold: float | None = None
    chosen = none
    # From the strictest on: the rate of alarm events need not rise evenly as it is lowered.
    for tried in np.quantile(chance, np.linspace(1, 0, 201)):
        now = _alarms(validation.windows, chance >= tried, answered)
        if now.rate > BUDGET:
            break
        threshold, chosen = float(tried), now
    verifiable = none.high <= BUDGET
    if threshold is None:
        return Budgeted(BUDGET, None, none, verifiable, None, None)
    alarm = _hostile(unseen, temperature) >= threshold
    raised = [
        bool(alarm[rows[begin:end]].any())
        for rows in timing.each(unseen.windows.episode, unseen.windows.t_ns)
        for begin, end in timing.runs(unseen.windows.y[rows])
        if unseen.windows.y[rows[begin]] != BENIGN
    ]
    achieved = _alarms(unseen.windows, alarm, answered)
    share = float(np.mean(raised)) if raised else None
    return Budgeted(BUDGET, threshold, chosen, verifiable, achieved, share)


def _abstaining(validation: Answers, unseen: Answers, temperature: float) -> Abstaining:
    asked = (validation.logits, validation.windows.y, temperature, RISK)
    threshold = calibration.abstention(*asked)
    if threshold is None:
        return Abstaining(RISK, None, None, None)
    kept = softmax(unseen.logits / temperature, axis=1).max(axis=1) >= threshold
    wrong = (unseen.guess != unseen.windows.y)[kept]
    return Abstaining(
        RISK, threshold, float(kept.mean()), float(wrong.mean()) if len(wrong) else None
    )


# ---------------------------------------------------------------- one against another


def _compare(unseen: Mapping[Key, Answers], answered: Answered) -> list[Comparison]:
    """Every pair of models of a mode on the same draws, adjusted for all pairs."""
    count = len(answered.classes)
    found = []
    for mode in dict.fromkeys(mode for _, mode in unseen):
        cubes = {
            name: _cube(one.windows, one.guess, count)
            for (name, own), one in unseen.items()
            if own == mode
        }
        pairs = list(combinations(cubes, 2))
        gaps = [scores.difference(cubes[one], cubes[two], answered.seed) for one, two in pairs]
        adjusted = scores.holm([p for _, p in gaps])
        found += [
            Comparison(one, two, mode, gap, p, _words(gap, p))
            for (one, two), (gap, _), p in zip(pairs, gaps, adjusted, strict=True)
        ]
    return found


def _words(gap: Score, p: float) -> str:
    if gap.low is None:
        return "undecided: too few episodes"
    if p >= 0.05:
        return "undecided"
    return "better" if gap.value > 0 else "worse"


def best(rows: Sequence[Row]) -> Row:
    """The row that chose itself on validation, and never on what is judged."""
    return max(rows, key=lambda row: row.validation.value)
