"""Is anything leaking from what is judged into what is learned from, or the other way?

One function a rule. Each looks at the evidence of one fold and says what it found; a leak stops the
run, unless its rule is waived by name, which the report then tells. Every rule has a planted leak
in the tests that it must catch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from phasewatch import metrics, splits
from phasewatch.episode import Identity
from phasewatch.errors import Refused
from phasewatch.evaluation import baselines
from phasewatch.features.normalizer import Normalizer
from phasewatch.schema import NS, Schema
from phasewatch.splits import Split
from phasewatch.training.fitting import fit_model
from phasewatch.windowing import Windows, join, log

MIN_EPISODE_DISTANCE, MIN_OVERLAP_DISTANCE = 0.3, 0.5
"""Of the usual distance between windows of two episodes: under which two episodes are one run, and
two windows that overlap in time are one machine's."""

MAX_IDENTIFIED_EPISODES = 0.5
"""Share of recordings that one channel may not name."""

MAX_NAMED_CHANNELS = 4
"""How many more of such channels are told by name."""

MAX_IDENTIFIED_HOSTS = 0.9
"""Share of episodes whose host one channel must name to be said to name hosts."""

PERMUTATIONS, ENOUGH_EPISODES = 4, 30
"""How often label sequences are dealt to other episodes where fewer than so many are judged."""

CHANCE_MARGIN = 0.1
"""Macro F1 over chance that is put down to chance."""

HELD_OUT = ("validation", "seen", "unseen")


@dataclass(frozen=True)
class Check:
    """What a rule found in a fold; `passed` is false for a leak that was waived."""

    rule: str
    fold: str
    passed: bool
    found: str


@dataclass(frozen=True)
class FoldData:
    """One fold: its split, every episode of the store by id, and the windows of each part.

    The windows have all channels of `schema`. After training, `normalizers` has that of each
    checkpoint, with the training windows from which it must have been fitted.
    """

    split: Split
    episodes: Mapping[str, Identity]
    schema: Schema
    windows: Mapping[str, Windows]
    normalizers: Mapping[str, tuple[Normalizer, Windows]] | None = None


Outcome = tuple[bool, str]
Rule = Callable[[FoldData], Outcome]
BEFORE_TRAINING: dict[str, Rule] = {}
AFTER_TRAINING: dict[str, Rule] = {}
"""Rules by name: looked at before a model is trained, and when all are."""


def before_training(look: Rule) -> Rule:
    """Register a rule on episodes and windows: whether a fold is clean, and what was found."""
    BEFORE_TRAINING[look.__name__] = look
    return look


def after_training(look: Rule) -> Rule:
    """Register a rule on what was trained."""
    AFTER_TRAINING[look.__name__] = look
    return look


def check_leakage(evidence: FoldData, waived: Sequence[str] = ()) -> list[Check]:
    """Every rule of its time on one fold. Raises Refused for the first leak that is not waived."""
    if unknown := set(waived) - {*BEFORE_TRAINING, *AFTER_TRAINING}:
        raise Refused(
            "--waive",
            f"{', '.join(sorted(unknown))} is no rule",
            f"one of {', '.join([*BEFORE_TRAINING, *AFTER_TRAINING])}",
            "Use one of these, or none.",
        )
    found = []
    for name, look in (BEFORE_TRAINING if evidence.normalizers is None else AFTER_TRAINING).items():
        clean, told = look(evidence)
        if not clean and name not in waived:
            raise Refused(
                f"leakage audit of {evidence.split.held_out}: {name}",
                told,
                "nothing that stands on both sides of the split",
                f"Mend it, or accept it by name with --waive {name}: the report will say so.",
                code=f"leak_{name}",
            )
        found.append(Check(name, evidence.split.held_out, clean, told))
    return found


def _sides(split: Split) -> dict[str, Sequence[str]]:
    return {
        "train": split.train,
        "validation": split.validation,
        "seen": split.seen,
        "unseen": split.test,
    }


def _told(some: Sequence[str]) -> str:
    return ", ".join(some[:3]) + (f" and {len(some) - 3} more" if len(some) > 3 else "")


# ---------------------------------------------------------------- who stands where


@before_training
def same_episode(evidence: FoldData) -> Outcome:
    """No episode has windows in two parts, nor in a part that the split did not give it to."""
    strays = [
        str(id)
        for part, ids in _sides(evidence.split).items()
        for id in np.unique(evidence.windows[part].episode)
        if id not in set(ids)
    ]
    if strays:
        return False, f"windows of {_told(strays)} stand in a part that is not theirs"
    return True, f"{sum(map(len, _sides(evidence.split).values()))} episodes, each in one part"


@before_training
def same_key(evidence: FoldData) -> Outcome:
    """What is held out by host, sample or campaign is held out of training and of validation."""
    key = splits.KEYS.get(evidence.split.recipe, "id")

    def values(ids: Sequence[str]) -> set[str]:
        return {str(getattr(evidence.episodes[id], key)) for id in ids}

    split = evidence.split
    learned, chosen, judged = (values(own) for own in (split.train, split.validation, split.test))
    both = sorted((learned & judged) | (learned & chosen) | (chosen & judged))
    if both:
        return False, f"{key} {_told(both)} on two sides"
    return (
        True,
        f"{key}: {len(learned)} learned from, {len(chosen)} chosen by, {len(judged)} judged",
    )


@before_training
def time_running_back(evidence: FoldData) -> Outcome:
    """Where time is held out, training lies before validation, and that before what is judged."""
    if evidence.split.recipe != "held_out_time":
        return True, "time is not what is held out"
    split = evidence.split

    def span(ids: Sequence[str]) -> tuple[int, int]:
        starts = [evidence.episodes[id].start_ns for id in ids]
        return min(starts), max(starts)

    learned, chosen, judged = (span(own) for own in (split.train, split.validation, split.test))
    if learned[1] < chosen[0] and chosen[1] < judged[0]:
        return True, f"training ends {(judged[0] - learned[1]) / NS:.0f} s before what is judged"
    return False, "episodes of training or validation began after the first that is judged"


# ---------------------------------------------------------------- what the windows give away


class _NearestTraining:
    """How far windows are from those of training: by the mean and spread of each channel."""

    def __init__(self, learned: Windows) -> None:
        self.windows = learned
        raw = self._raw(learned)
        self._centre, self._scale = raw.mean(axis=0), raw.std(axis=0)
        self._scale[self._scale < 1e-9] = 1.0
        self.known = (raw - self._centre) / self._scale
        self.usual = self._usual()

    @staticmethod
    def _raw(windows: Windows) -> NDArray[np.float64]:
        """`[N,2C]`; what was not measured counts as 0."""
        z = np.nan_to_num(log(windows.x))
        return np.concatenate([z.mean(axis=2), z.std(axis=2)], axis=1)

    def _usual(self) -> float:
        """The median distance from a window to the nearest of another episode."""
        some = np.random.default_rng(0).permutation(len(self.known))[:500]
        apart = cdist(self.known[some], self.known)
        episode = self.windows.episode
        apart[episode[some][:, None] == episode[None, :]] = np.inf
        usual = float(np.median(apart.min(axis=1)))
        return usual if 0 < usual < np.inf else 1.0

    def points(self, windows: Windows) -> NDArray[np.float64]:
        """Windows as points `[N,2C]` beside the known ones."""
        return np.asarray((self._raw(windows) - self._centre) / self._scale)


@before_training
def near_duplicates(evidence: FoldData) -> Outcome:
    """No judged episode is a training episode again, recorded twice or copied.

    The middle one of its windows' distances to training windows must be a fair part of the usual
    distance between windows of two episodes.
    """
    near = _NearestTraining(evidence.windows["train"])
    nearest, pair = np.inf, ("", "")
    for part in HELD_OUT:
        judged = evidence.windows[part]
        apart = cdist(near.points(judged), near.known)
        place, least = apart.argmin(axis=1), apart.min(axis=1)
        for id in np.unique(judged.episode):
            own = judged.episode == id
            middle = float(np.median(least[own])) / near.usual
            if middle < nearest:
                names, counts = np.unique(near.windows.episode[place[own]], return_counts=True)
                nearest, pair = middle, (str(id), str(names[counts.argmax()]))
    told = f"the nearest, {pair[0]} to {pair[1]}, is at {nearest:.2f} of the usual distance"
    return nearest >= MIN_EPISODE_DISTANCE, told


@before_training
def overlapping_windows(evidence: FoldData) -> Outcome:
    """No judged window shows seconds that a training window shows too, under whatever name.

    Two windows of one host that overlap in time must differ as windows of two machines do: hosts
    are kinds of machines, of which several may run at once.
    """
    span_ns = round(evidence.schema.grid.window_s * NS)
    near = _NearestTraining(evidence.windows["train"])
    shared, nearest = 0, np.inf
    for part in HELD_OUT:
        judged = evidence.windows[part]
        points = near.points(judged)
        for row, together in enumerate(_together(judged, near.windows, span_ns)):
            if len(together):
                apart = np.linalg.norm(near.known[together] - points[row], axis=1)
                shared, nearest = shared + 1, min(nearest, float(apart.min()) / near.usual)
    if not shared:
        return True, "no judged window shares a second with a training window of its host"
    return nearest >= MIN_OVERLAP_DISTANCE, (
        f"{shared} judged windows share seconds with training windows of a host of that name; the "
        f"nearest is at {nearest:.2f} of the usual distance"
    )


def _together(judged: Windows, learned: Windows, span_ns: int) -> Iterator[NDArray[np.int64]]:
    """For each judged window, the training windows of its host that overlap it in time."""
    order = np.argsort(learned.t_ns, kind="stable")
    ends = learned.t_ns[order]
    begin = np.searchsorted(ends, judged.t_ns - span_ns, side="right")
    end = np.searchsorted(ends, judged.t_ns + span_ns, side="left")
    for row in range(len(judged)):
        some = order[begin[row] : end[row]]
        yield some[learned.host[some] == judged.host[row]]


@before_training
def telling_channel(evidence: FoldData) -> Outcome:
    """No channel alone says which recording a window is of.

    A channel is asked to name the episodes of training by its median in their first halves, given
    that in their last halves; one that stays as it is through a recording would name them all.
    """
    learned = evidence.windows["train"]
    ids, windows = np.unique(learned.episode, return_counts=True)
    if (windows > 1).sum() < 2:
        return True, "not asked: no two training episodes have two windows"
    halves = _halves(learned.take(np.isin(learned.episode, ids[windows > 1])))
    found = []
    for row in range(learned.x.shape[1]):
        first, last = halves[0][:, row], halves[1][:, row]
        known = np.isfinite(first) & np.isfinite(last)
        if known.sum() < 2:
            continue
        apart = np.abs(last[known][:, None] - first[known][None, :])
        # A tie names nothing: only being nearer than every other counts.
        own = np.diagonal(apart).copy()
        np.fill_diagonal(apart, np.inf)
        found.append((float((own < apart.min(axis=1)).mean()), evidence.schema.names[row]))
    found.sort(reverse=True)
    share, name = found[0] if found else (0.0, "none")
    told = f"{name} names {100 * share:.0f} % of {len(halves[0])} training episodes by itself"
    others = [
        f"{own} {100 * part:.0f} %" for part, own in found[1:] if part > MAX_IDENTIFIED_EPISODES
    ]
    more = (
        [f"and {len(others) - MAX_NAMED_CHANNELS} more"] if len(others) > MAX_NAMED_CHANNELS else []
    )
    return share <= MAX_IDENTIFIED_EPISODES, ", ".join([told, *others[:MAX_NAMED_CHANNELS], *more])


def _halves(windows: Windows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The median of every channel in the first and the last windows of every episode, `[E,C]`."""
    first: list[NDArray[np.float64]] = []
    last: list[NDArray[np.float64]] = []
    for id in np.unique(windows.episode):
        rows = np.flatnonzero(windows.episode == id)
        rows = rows[np.argsort(windows.t_ns[rows])]
        middle = max(len(rows) // 2, 1)
        for kept, some in ((first, rows[:middle]), (last, rows[-middle:])):
            level = np.full(windows.x.shape[1], np.nan)
            steps = windows.x[some].astype(np.float64).swapaxes(0, 1).reshape(len(level), -1)
            known = np.isfinite(steps).any(axis=1)
            level[known] = np.nanmedian(steps[known], axis=1)
            kept.append(level)
    return np.array(first), np.array(last)


@before_training
def host_tells_phase(evidence: FoldData) -> Outcome:
    """Where one channel names the host, the host's name must not say the phase.

    Hosts differ in memory and size, so a channel that names one is no leak in itself; it is one
    where phases belong to hosts.
    """
    learned = evidence.windows["train"]
    classes = len(evidence.schema.classes)

    def value(name: str) -> float:
        guess = baselines.BASELINES[name](learned, learned, learned, classes)
        return float(
            metrics.macro_f1(
                metrics.confusions(learned.episode, learned.y, guess, classes)[1].sum(axis=0)
            )
        )

    gain = value("host only") - value("chance")
    share, name = _host_named(learned, evidence.schema)
    told = (
        f"{name} names the host of {100 * share:.0f} % of training episodes; the host alone says "
        f"the phase {gain:+.2f} macro F1 better than chance"
    )
    return share <= MAX_IDENTIFIED_HOSTS or gain <= CHANCE_MARGIN, told


def _host_named(learned: Windows, schema: Schema) -> tuple[float, str]:
    """The channel whose level names most episodes' hosts, by the nearest other episode."""
    halves = _halves(learned)
    level = np.nanmean(np.where(np.isfinite(halves), halves, 0.0), axis=0)
    _, first = np.unique(learned.episode, return_index=True)
    host = learned.host[first]
    found = []
    for row in range(level.shape[1]):
        apart = np.abs(level[:, row][:, None] - level[:, row][None, :])
        np.fill_diagonal(apart, np.inf)
        found.append((float((host[apart.argmin(axis=1)] == host).mean()), schema.names[row]))
    return max(found)


@before_training
def permuted_labels(evidence: FoldData) -> Outcome:
    """Boosted trees on whole label sequences dealt to other episodes find nothing.

    Permuting window by window would hide a leak between overlapping windows; whole sequences keep
    their order, so the clock alone may say a little, and that much is allowed. In one deal few
    episodes agree with their labels by luck: then it is the mean of several that counts.
    """
    many = len(np.unique(evidence.windows["unseen"].episode)) >= ENOUGH_EPISODES
    deals = [_dealt(evidence, seed) for seed in range(1 if many else PERMUTATIONS)]
    found, luck = (float(np.mean(part)) for part in zip(*deals, strict=True))
    told = f"macro F1 {found:.3f} over {len(deals)} deals; by chance or the clock {luck:.3f}"
    return found <= luck + CHANCE_MARGIN, told


def _dealt(evidence: FoldData, seed: int) -> tuple[float, float]:
    """Macro F1 of trees, and of the better of chance and the clock, after one deal."""
    classes = len(evidence.schema.classes)
    parts = _permuted(evidence, seed)
    train, validation, judged = (parts[name] for name in ("train", "validation", "unseen"))
    fitted = fit_model("gbt", evidence.schema, 0, (train, validation))

    def value(guess: NDArray[np.int64]) -> float:
        cube = metrics.confusions(judged.episode, judged.y, guess, classes)[1]
        return float(metrics.macro_f1(cube.sum(axis=0)))

    found = value(fitted.predict(judged))
    blind = (baselines.BASELINES[name] for name in ("chance", "time only"))
    return found, max(value(answer(train, validation, judged, classes)) for answer in blind)


def _permuted(evidence: FoldData, seed: int) -> dict[str, Windows]:
    """The same windows; each episode has the labels of another, in their order."""
    whole = join(evidence.windows[part] for part in ("train", *HELD_OUT))
    ids = np.unique(whole.episode)
    rows = {id: np.flatnonzero(whole.episode == id) for id in ids}
    rows = {id: own[np.argsort(whole.t_ns[own], kind="stable")] for id, own in rows.items()}
    other = dict(zip(ids, np.random.default_rng(seed).permutation(ids), strict=True))
    y = whole.y.copy()
    for id, own in rows.items():
        lent = whole.y[rows[other[id]]]
        y[own] = lent[np.minimum(np.arange(len(own)), len(lent) - 1)]
    ends = np.cumsum([len(evidence.windows[part]) for part in ("train", *HELD_OUT)])[:-1]
    dealt = zip(("train", *HELD_OUT), np.split(y, ends), strict=True)
    return {part: replace(evidence.windows[part], y=own) for part, own in dealt}


# ---------------------------------------------------------------- what was fitted on what


@after_training
def fitted_beyond_training(evidence: FoldData) -> Outcome:
    """Every checkpoint's lens is, to the bit, the one that training windows alone give."""
    normalizers = evidence.normalizers or {}
    for name, (normalizer, train) in normalizers.items():
        again = Normalizer.fit(normalizer.view, train)
        for field in ("opening", "mean", "std"):
            if not np.array_equal(getattr(normalizer, field), getattr(again, field)):
                return False, f"{name}: its {field} is not that of the training windows"
    return True, f"{len(normalizers)} lenses, each that of the training windows to the bit"
