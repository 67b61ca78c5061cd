"""Inner folds: trainings that choose how long the last one takes, each on some groups less.

The groups are what the split holds out: hosts, samples, campaigns or episodes. The first inner fold
is the split itself: it trains on the training part and stops by validation, and it is also what
predicts validation. Each of the others leaves out some training groups. The model that counts is
then fitted on both parts, for as long as the inner folds took on average.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from phasewatch.errors import Refused
from phasewatch.splits import HELD_OUT_BY
from phasewatch.windowing import AnyWindows, WindowSet, concatenate


def sides(
    train: AnyWindows, validation: AnyWindows, recipe: str, number: int, folds: int
) -> tuple[AnyWindows, AnyWindows]:
    """Return what inner fold `number` of `folds` trains on, and what it stops by.

    `recipe` names the split. Training groups are dealt to the folds after the first one by one,
    profile by profile. Raises Refused where there are fewer groups than such folds.
    """
    if number == 0:
        return train, validation
    left_out = np.array(_dealt(_groups(train, recipe), folds - 1)) == number - 1
    return concatenate([train.take(~left_out), validation]), train.take(left_out)


def mean_choices(chosen: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over the inner folds of each choice."""
    every = list(chosen)
    return {name: float(np.mean([one[name] for one in every])) for name in every[0]}


def _groups(windows: WindowSet, recipe: str) -> list[tuple[str, str]]:
    """Return the group of each window behind its profile, or behind "" where groups mix profiles.

    Hosts and campaigns run several profiles; a sample and an episode are of one.
    """
    key = HELD_OUT_BY[recipe]
    groups: NDArray[np.str_] = getattr(windows, "episode" if key == "id" else key)
    alone = key in ("host", "campaign")
    profiles = [""] * len(windows) if alone else windows.profile.tolist()
    return list(zip(profiles, groups.tolist(), strict=True))


def _dealt(groups: Sequence[tuple[str, str]], parts: int) -> list[int]:
    """Return the part of each window. Raises Refused for fewer groups than parts."""
    order = sorted(set(groups))
    if len(order) < parts:
        raise Refused(
            "--inner-folds",
            f"{parts + 1} inner folds of {len(order)} training groups",
            f"at most {len(order) + 1}",
            "Take fewer inner folds, or hold out something smaller.",
            code="inner_folds",
        )
    place = {group: number % parts for number, group in enumerate(order)}
    return [place[group] for group in groups]
