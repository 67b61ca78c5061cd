"""How good, how sure, on whom, and on what never: every number is a sum over episodes of the cube.

Nothing here knows how a model works, only what it said about which window. What was not tested is
listed, and enters no average.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from phasewatch import scores
from phasewatch.episode import Identity
from phasewatch.schema import Mode
from phasewatch.scores import Cube, Score
from phasewatch.splits import Split, untested
from phasewatch.windows import Windows


@dataclass(frozen=True)
class Answers:
    """What one model in one mode said of the windows of one part.

    `part` is seen, unseen, or the unseen `without` a source or their opening.
    """

    model: str
    mode: Mode
    part: str
    windows: Windows
    guess: NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """One model in one mode: on what training had, on what it never had, and that broken down.

    `without` is the score where a source, or the opening, is missing.
    """

    model: str
    mode: Mode
    seen: Score
    unseen: Score
    without: dict[str, Score]
    by_class: dict[str, Score | None]
    by_profile: dict[str, Score]
    by_host: dict[str, Score]
    confusion: list[list[int]]


@dataclass(frozen=True)
class Comparison:
    """Macro F1 of `ours` minus `other` on the same unseen episodes, and a verdict in words."""

    ours: str
    other: str
    mode: Mode
    gap: Score
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
    profiles: list[str] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """What was held out: host, sample or campaign."""
        held = self.recipe.removeprefix("held_out_")
        return "campaign" if held == "time" else held

    @property
    def lost(self) -> list[str]:
        """All that was taken from the unseen windows, in any mode."""
        return list(dict.fromkeys(part for row in self.rows for part in row.without))


def evaluate(
    answers: Sequence[Answers],
    split: Split,
    episodes: Sequence[Identity],
    classes: tuple[str, ...],
    seed: int,
) -> Report:
    """The report on all answers; `episodes` are all usable ones of the store."""
    parts = {(a.model, a.mode, a.part): a for a in answers}
    keys = list(dict.fromkeys((a.model, a.mode) for a in answers))
    rows = [_row([a for a in answers if (a.model, a.mode) == key], classes, seed) for key in keys]
    first = next(iter(keys))
    return Report(
        recipe=split.recipe,
        held_out=split.held_out,
        classes=classes,
        episodes={
            name: len(getattr(split, name)) for name in ("train", "validation", "seen", "test")
        },
        windows={part: len(parts[*first, part].windows) for part in ("seen", "unseen")},
        rows=rows,
        comparisons=_compare(parts, keys, len(classes), seed),
        untested_profiles=untested(episodes, split.test, "profile"),
        untested_phases=untested(episodes, split.test, "phase"),
        profiles=sorted({episode.profile for episode in episodes}),
    )


def _cube(answers: Answers, chosen: NDArray[np.bool_], classes: int) -> Cube:
    windows = answers.windows
    return scores.cube(windows.episode[chosen], windows.y[chosen], answers.guess[chosen], classes)[
        1
    ]


def _all(answers: Answers) -> NDArray[np.bool_]:
    return np.ones(len(answers.windows), dtype=np.bool_)


def _row(answers: Sequence[Answers], classes: tuple[str, ...], seed: int) -> Row:
    lost = {answer.part: answer for answer in answers}
    seen, unseen = lost.pop("seen"), lost.pop("unseen")
    count = len(classes)
    parts = _cube(unseen, _all(unseen), count)
    total = parts.sum(axis=0)
    true = total.sum(axis=1) > 0

    def by(name: str, answers: Answers) -> dict[str, Score]:
        values: NDArray[np.str_] = getattr(answers.windows, name)
        return {
            str(value): scores.macro(_cube(answers, values == value, count), seed)
            for value in np.unique(values)
        }

    return Row(
        model=unseen.model,
        mode=unseen.mode,
        seen=scores.macro(_cube(seen, _all(seen), count), seed),
        unseen=scores.macro(parts, seed),
        without={
            part.removeprefix("without "): scores.macro(_cube(own, _all(own), count), seed)
            for part, own in lost.items()
        },
        by_class={
            name: scores.single(parts, label, seed) if true[label] else None
            for label, name in enumerate(classes)
        },
        by_profile=by("profile", unseen),
        by_host={**by("host", seen), **by("host", unseen)},
        confusion=total.tolist(),
    )


def _compare(
    parts: Mapping[tuple[str, Mode, str], Answers],
    keys: Sequence[tuple[str, Mode]],
    classes: int,
    seed: int,
) -> list[Comparison]:
    """The first model of each mode against every other one, on the same draws."""
    found = []
    for mode in dict.fromkeys(mode for _, mode in keys):
        names = [name for name, own in keys if own == mode]
        ours = parts[names[0], mode, "unseen"]
        for name in names[1:]:
            other = parts[name, mode, "unseen"]
            gap = scores.difference(
                _cube(ours, _all(ours), classes), _cube(other, _all(other), classes), seed
            )
            found.append(Comparison(names[0], name, mode, gap, _words(gap)))
    return found


def _words(gap: Score) -> str:
    if gap.low is None or gap.high is None:
        return "undecided: too few episodes"
    if gap.low > 0:
        return "better"
    return "worse" if gap.high < 0 else "undecided"
