"""Leakage checks between training and evaluation, one function a rule.

A rule gets the data of one fold and returns whether it is clean, and a finding in words. A leak
stops the run unless its rule is waived by name, which the report states. For every rule the tests
plant a leak that it must find. Findings are part of posteriors.parquet.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from phasewatch import metrics, progress, splits
from phasewatch.episode import Identity
from phasewatch.errors import Refused, counted
from phasewatch.evaluation import baselines, timing
from phasewatch.evaluation.neighbours import NearestTraining, nearest_other, nearest_value
from phasewatch.features.normalizer import Normalizer
from phasewatch.schema import NS, Schema
from phasewatch.splits import Split
from phasewatch.training.fitting import fit_model
from phasewatch.windowing import WindowSet, of_episodes

MIN_EPISODE_DISTANCE, MIN_OVERLAP_DISTANCE = 0.3, 0.5
"""Shares of the usual distance between windows of two episodes. Two episodes that are nearer are
copies of one; two windows that overlap in time and are nearer are of one machine."""

MAX_IDENTIFIED_EPISODES = 0.5
"""Largest share of the episodes that one channel may identify."""

PAIRINGS, PAIRING_ALPHA = 999, 0.05
"""How many exchanges of halves a telling channel is held against, and the share of them that
may identify as many episodes."""

MAX_NAMED_CHANNELS = 4
"""How many more of such channels a finding lists."""

MAX_IDENTIFIED_HOSTS = 0.9
"""Share of the episodes whose host a channel identifies, from which on it identifies hosts."""

PERMUTATIONS, ENOUGH_EPISODES = 4, 30
"""How many permutations are averaged where fewer than ENOUGH_EPISODES episodes are held out."""

MOST_PERMUTED = 2000
"""Episodes of a part whose labels are permuted, at most: more of them teach trees no more."""

CHANCE_MARGIN = 0.1
"""Macro F1 above chance that is still attributed to chance."""

HELD_OUT = ("validation", "seen", "unseen")


@dataclass(frozen=True)
class Check:
    """The result of a rule for a fold; `passed` is false for a leak whose rule is waived."""

    rule: str
    fold: str
    passed: bool
    found: str


@dataclass(frozen=True)
class FoldData:
    """The data of a fold: its split, the usable episodes by id, and the windows of each subset.

    The windows have all channels of `schema`. After training, `normalizers` has the normalizer of
    each checkpoint, with the training windows of which it must be fitted.
    """

    split: Split
    episodes: Mapping[str, Identity]
    schema: Schema
    windows: Mapping[str, WindowSet]
    normalizers: Mapping[str, tuple[Normalizer, WindowSet]] | None = None

    @cached_property
    def nearest_training(self) -> NearestTraining:
        """Distances to the training windows, which several rules need."""
        return NearestTraining(self.windows["train"])

    @cached_property
    def training_halves(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The medians of every channel in both halves of every training episode, by its id."""
        return _halves(self.windows["train"])


Outcome = tuple[bool, str]
Rule = Callable[[FoldData], Outcome]
BEFORE_TRAINING: dict[str, Rule] = {}
AFTER_TRAINING: dict[str, Rule] = {}
"""Rules by name, applied before models are trained and after all are."""


def before_training(rule: Rule) -> Rule:
    """Register a rule on episodes and windows."""
    BEFORE_TRAINING[rule.__name__] = rule
    return rule


def after_training(rule: Rule) -> Rule:
    """Register a rule on fitted models."""
    AFTER_TRAINING[rule.__name__] = rule
    return rule


def check_leakage(data: FoldData, waived: Sequence[str] = ()) -> list[Check]:
    """Apply the rules before training, or those after it where `data` has normalizers.

    Raises Refused for the first leak whose rule is not `waived`, and for an unknown rule there.
    """
    if unknown := set(waived) - {*BEFORE_TRAINING, *AFTER_TRAINING}:
        raise Refused(
            "--waive",
            f"{', '.join(sorted(unknown))} is no rule",
            f"one of {', '.join([*BEFORE_TRAINING, *AFTER_TRAINING])}",
            "Use one of these, or none.",
        )
    found = []
    rules = BEFORE_TRAINING if data.normalizers is None else AFTER_TRAINING
    for name, rule in progress.each("checking for leakage", rules.items()):
        clean, finding = rule(data)
        if not clean and name not in waived:
            raise Refused(
                f"leakage checks of {data.split.held_out}: {name}",
                finding,
                "nothing that is both in training and evaluated",
                f"Correct it, or accept it with --waive {name}: the report will state it.",
                code=f"leak_{name}",
            )
        found.append(Check(name, data.split.held_out, clean, finding))
    return found


def _episodes_by_subset(split: Split) -> dict[str, Sequence[str]]:
    return {
        "train": split.train,
        "validation": split.validation,
        "seen": split.seen,
        "unseen": split.test,
    }


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# ---------------------------------------------------------------- episodes in subsets


@before_training
def same_episode(data: FoldData) -> Outcome:
    """No episode has windows in a subset other than the one that the split assigns it to."""
    strays = [
        str(id)
        for part, ids in _episodes_by_subset(data.split).items()
        for id in np.setdiff1d(data.windows[part].episodes[0], np.array(ids, dtype=np.str_))
    ]
    if strays:
        return False, f"windows of {_shortened(strays)} stand in a part that is not theirs"
    return (
        True,
        f"{sum(map(len, _episodes_by_subset(data.split).values()))} episodes, each in one part",
    )


@before_training
def same_key(data: FoldData) -> Outcome:
    """A host, sample or campaign that is held out is in neither training nor validation."""
    key = splits.HELD_OUT_BY.get(data.split.recipe, "id")

    def values(ids: Sequence[str]) -> set[str]:
        return {str(getattr(data.episodes[id], key)) for id in ids}

    split = data.split
    training, validation, evaluated = (
        values(own) for own in (split.train, split.validation, split.test)
    )
    both = sorted((training & evaluated) | (training & validation) | (validation & evaluated))
    if both:
        return False, f"{key} {_shortened(both)} on two sides"
    sizes = (len(training), len(validation), len(evaluated))
    return True, "{}: {} learned from, {} chosen by, {} judged".format(key, *sizes)


@before_training
def time_running_back(data: FoldData) -> Outcome:
    """Where time is held out, training is before validation, and validation before the rest."""
    if data.split.recipe != "held_out_time":
        return True, "time is not what is held out"
    split = data.split

    def span(ids: Sequence[str]) -> tuple[int, int]:
        starts = [data.episodes[id].start_ns for id in ids]
        return min(starts), max(starts)

    training, validation, evaluated = (
        span(own) for own in (split.train, split.validation, split.test)
    )
    if training[1] < validation[0] and validation[1] < evaluated[0]:
        return (
            True,
            f"training ends {(evaluated[0] - training[1]) / NS:.0f} s before what is judged",
        )
    return False, "episodes of training or validation began after the first that is judged"


# ---------------------------------------------------------------- similar windows


@before_training
def near_duplicates(data: FoldData) -> Outcome:
    """No evaluated episode is a copy of a training episode, or a second recording of it.

    The median distance of its windows to the nearest training windows must be at least
    MIN_EPISODE_DISTANCE of the usual distance between windows of two episodes. Windows in which
    nothing happens are left out: hours without an alert are alike and no copies of each other.
    """
    training = data.windows["train"]
    judged = [data.windows[part] for part in HELD_OUT]
    active = [_active(windows) for windows in judged]
    left, known = _silent(judged, active), _active(training)
    if not len(known) or not any(map(len, active)):
        return True, f"not asked: nothing happens in the windows of one side{left}"
    near = data.nearest_training if known is training else NearestTraining(known)
    nearest, pair = (np.inf, 0), ("", "")
    for bound, number, id, windows in _by_lower_bound(near, active):
        if bound > nearest[0]:
            break
        place, least = near.nearest(near.standardised(windows()))
        if (found := (float(np.median(least)), number)) < nearest:
            names, counts = np.unique(near.windows.take(place).episode, return_counts=True)
            nearest, pair = found, (id, str(names[counts.argmax()]))
    share = nearest[0] / near.usual
    finding = f"the nearest, {pair[0]} to {pair[1]}, is at {share:.2f} of the usual distance{left}"
    return share >= MIN_EPISODE_DISTANCE, finding


def _active(windows: WindowSet) -> WindowSet:
    """Return the windows in which some value is measured and not 0: the same object if all are."""
    blocks = [
        (np.nan_to_num(block.x) != 0).any(axis=(1, 2)) for block in windows.blocks(past=False)
    ]
    rows = np.concatenate([np.zeros(0, dtype=np.bool_), *blocks])
    return windows if rows.all() else windows.take(rows)


def _silent(judged: Sequence[WindowSet], active: Sequence[WindowSet]) -> str:
    """Return how many judged windows are left out because nothing happens, in words."""
    windows = sum(map(len, judged)) - sum(map(len, active))
    if not windows:
        return ""
    every, kept = ({id for one in some for id in one.episode} for some in (judged, active))
    whole = f", of {counted(len(every - kept), 'episode')} all" if every - kept else ""
    return f"; {counted(windows, 'window')} in which nothing happens left out{whole}"


def _by_lower_bound(
    near: NearestTraining, parts: Iterable[WindowSet]
) -> list[tuple[float, int, str, Callable[[], WindowSet]]]:
    """Return evaluated episodes with their numbers, by how near they may be.

    That is the median of lower bounds of its windows' distances to the nearest training window.
    Each comes with a function that returns its windows.
    """
    found: list[tuple[float, int, str, Callable[[], WindowSet]]] = []
    for windows in parts:
        if not len(windows):
            continue
        (ids, place), bounds = windows.episodes, near.lower_bounds(windows)
        for rows in timing.rows_by_episode(place, windows.t_ns):
            bound, id = float(np.median(bounds[rows])), str(ids[place[rows[0]]])
            found.append((bound, len(found), id, partial(windows.take, rows)))
    return sorted(found, key=lambda one: one[:2])


@before_training
def overlapping_windows(data: FoldData) -> Outcome:
    """No evaluated window covers the same seconds of a machine as a training window.

    Two windows of one host that overlap in time must differ as windows of two machines do: a host
    is a kind of machine, of which several may run at once.
    """
    span_ns = round(data.schema.grid.window_s * NS)
    near = data.nearest_training
    shared, nearest = 0, np.inf
    for part in HELD_OUT:
        evaluated = data.windows[part]
        for row, together in _overlapping(evaluated, near.windows, span_ns):
            point = near.standardised(evaluated.take(np.array([row])))
            apart = np.linalg.norm(near.at(together) - point, axis=1)
            shared, nearest = shared + 1, min(nearest, float(apart.min()) / near.usual)
    if not shared:
        return True, "no judged window shares a second with a training window of its host"
    return nearest >= MIN_OVERLAP_DISTANCE, (
        f"{shared} judged windows share seconds with training windows of a host of that name; the "
        f"nearest is at {nearest:.2f} of the usual distance"
    )


def _overlapping(
    evaluated: WindowSet, training: WindowSet, span_ns: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each evaluated window that overlaps training windows of its host, and those."""
    ends, begins = training.t_ns, evaluated.t_ns
    order = np.argsort(ends, kind="stable")
    ends = ends[order]
    begin = np.searchsorted(ends, begins - span_ns, side="right")
    end = np.searchsorted(ends, begins + span_ns, side="left")
    near = np.flatnonzero(end > begin)
    if not len(near):
        return
    host, other = training.host, evaluated.host
    for row in near.tolist():
        some = order[begin[row] : end[row]]
        if len(together := some[host[some] == other[row]]):
            yield row, together


@before_training
def telling_channel(data: FoldData) -> Outcome:
    """No channel alone identifies the recording that a window is of.

    Each training episode is matched by the median of a channel in its last half to the nearest
    median in the first half of an episode; a channel that is constant in a recording would identify
    all of them. A share above MAX_IDENTIFIED_EPISODES must be so beyond chance, and one that
    exchanged halves rarely reach: a few episodes are identified by luck, or by what their
    hosts and profiles are.
    """
    ids, place = data.windows["train"].episodes
    several = np.bincount(place, minlength=len(ids)) > 1
    if several.sum() < 2:
        return True, "not asked: no two training episodes have two windows"
    named = ids[several]
    first, last = (half[several] for half in data.training_halves)
    nearest = [_nearest(first[:, row], last[:, row]) for row in range(first.shape[1])]
    found = sorted(
        (
            (_share(one, np.arange(len(named))), name)
            for one, name in zip(nearest, data.schema.names, strict=True)
            if one is not None
        ),
        reverse=True,
    )
    share, finding = found[0][0] if found else 0.0, _identified_text(found, len(named))
    if share <= MAX_IDENTIFIED_EPISODES:
        return True, finding
    if _least_share(share, len(named)) <= MAX_IDENTIFIED_EPISODES:
        return True, f"{finding}; of so few that is no evidence of more than half"
    strata = np.array([f"{data.episodes[id].host}\n{data.episodes[id].profile}" for id in named])
    p = _pairing_p([one for one in nearest if one is not None], strata, share)
    return p > PAIRING_ALPHA, (
        f"{finding}; p = {p:.3f} when halves are exchanged between episodes of one host and profile"
    )


@dataclass(frozen=True)
class _Nearest:
    """For each episode `[E]`, which first half is nearest to its last half in one channel.

    It is -1 where several are as near: a tie identifies nothing. `known` episodes have both halves.
    """

    place: NDArray[np.int64]
    known: int


def _nearest(first: NDArray[np.float64], last: NDArray[np.float64]) -> _Nearest | None:
    """Return the nearest first halves in one channel; None where fewer than two are known."""
    known = np.flatnonzero(np.isfinite(first) & np.isfinite(last))
    if len(known) < 2:
        return None
    found = nearest_value(first[known], last[known])
    place = np.full(len(first), -1)
    place[known] = np.where(found >= 0, known[found], -1)
    return _Nearest(place, len(known))


def _share(nearest: _Nearest, pairing: NDArray[np.int64]) -> float:
    """Return the share of episodes whose nearest first half is the one that it is paired with."""
    return float((nearest.place == pairing).sum() / nearest.known)


def _least_share(share: float, episodes: int) -> float:
    """Return the lower bound of a share, one-sided at PAIRING_ALPHA (Clopper and Pearson 1934)."""
    hits = round(share * episodes)
    return float(stats.beta.ppf(PAIRING_ALPHA, hits, episodes - hits + 1)) if hits else 0.0


def _pairing_p(
    channels: Sequence[_Nearest], strata: NDArray[np.str_], share: float, seed: int = 0
) -> float:
    """Return how often the best channel identifies as large a share under exchanged halves.

    Halves are permuted among the episodes of each stratum, PAIRINGS times, and the observed
    pairing counts as one of them, so that p is at most alpha for alpha of all random pairings.
    """
    generator = np.random.default_rng(seed)
    groups = [np.flatnonzero(strata == name) for name in np.unique(strata)]
    reached = 1
    for _ in range(PAIRINGS):
        pairing = np.arange(len(strata))
        for rows in groups:
            pairing[rows] = generator.permutation(rows)
        reached += max(_share(one, pairing) for one in channels) >= share
    return reached / (PAIRINGS + 1)


def _identified_text(found: Sequence[tuple[float, str]], episodes: int) -> str:
    """Return in words how many episodes the best channel identifies, and which others do."""
    share, name = found[0] if found else (0.0, "none")
    finding = f"{name} names {100 * share:.0f} % of {episodes} training episodes by itself"
    others = [
        f"{name} {100 * part:.0f} %" for part, name in found[1:] if part > MAX_IDENTIFIED_EPISODES
    ]
    more = (
        [f"and {len(others) - MAX_NAMED_CHANNELS} more"] if len(others) > MAX_NAMED_CHANNELS else []
    )
    return ", ".join([finding, *others[:MAX_NAMED_CHANNELS], *more])


def _halves(windows: WindowSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the medians of every channel in the first and last half of every episode, `[E,C]`."""
    first: list[NDArray[np.float64]] = []
    last: list[NDArray[np.float64]] = []
    for rows in timing.rows_of_episodes(windows):
        x = windows.take(rows).read(past=False).x
        middle = max(len(rows) // 2, 1)
        for medians, some in ((first, x[:middle]), (last, x[-middle:])):
            level = np.full(x.shape[1], np.nan)
            steps = some.astype(np.float64).swapaxes(0, 1).reshape(len(level), -1)
            known = np.isfinite(steps).any(axis=1)
            level[known] = np.nanmedian(steps[known], axis=1)
            medians.append(level)
    return np.array(first), np.array(last)


@before_training
def host_tells_phase(data: FoldData) -> Outcome:
    """Where one channel identifies the host, the host must not predict the phase.

    Hosts differ in memory and size, so a channel that identifies one is no leak in itself; it is
    one where phases depend on the host.
    """
    training = data.windows["train"]
    classes = len(data.schema.classes)

    def value(name: str) -> float:
        predicted = baselines.BASELINES[name](training, training, training, classes)
        return float(
            metrics.macro_f1(
                metrics.confusions(training.episode, training.y, predicted, classes)[1].sum(axis=0)
            )
        )

    gain = value("host only") - value("chance")
    share, name = _host_identified(data)
    finding = (
        f"{name} names the host of {100 * share:.0f} % of training episodes; the host alone says "
        f"the phase {gain:+.2f} macro F1 better than chance"
    )
    return share <= MAX_IDENTIFIED_HOSTS or gain <= CHANCE_MARGIN, finding


def _host_identified(data: FoldData) -> tuple[float, str]:
    """Return the channel that identifies most hosts by the nearest other episode, and its share."""
    halves = np.array(data.training_halves)
    level = np.nanmean(np.where(np.isfinite(halves), halves, 0.0), axis=0)
    host = np.array([data.episodes[str(id)].host for id in data.windows["train"].episodes[0]])
    found = []
    for row in range(level.shape[1]):
        nearest = nearest_other(level[:, row])
        found.append((float((host[nearest] == host).mean()), data.schema.names[row]))
    return max(found)


@before_training
def permuted_labels(data: FoldData) -> Outcome:
    """Boosted trees on label sequences that are permuted between episodes predict nothing.

    Permuting single windows would hide a leak between overlapping windows. Whole sequences keep
    their order, so the time alone may predict a little, and that much is allowed. With few
    episodes one permutation agrees with the labels by luck, so the mean of several counts.
    """
    many = len(data.windows["unseen"].episodes[0]) >= ENOUGH_EPISODES
    some = replace(data, windows={part: _few(one) for part, one in data.windows.items()})
    scores = [_permuted_scores(some, seed) for seed in range(1 if many else PERMUTATIONS)]
    found, luck = (float(np.mean(part)) for part in zip(*scores, strict=True))
    finding = f"macro F1 {found:.3f} over {len(scores)} deals; by chance or the clock {luck:.3f}"
    if len(some.windows["train"]) < len(data.windows["train"]):
        finding += f"; of {MOST_PERMUTED:,} training episodes, drawn at random"
    return found <= luck + CHANCE_MARGIN, finding


def _few(windows: WindowSet) -> WindowSet:
    """Return the windows of at most `MOST_PERMUTED` episodes, drawn at random."""
    ids, _ = windows.episodes
    if len(ids) <= MOST_PERMUTED:
        return windows
    drawn = np.random.default_rng(0).choice(ids, MOST_PERMUTED, replace=False)
    return of_episodes(windows, drawn.tolist())


def _permuted_scores(data: FoldData, seed: int) -> tuple[float, float]:
    """Return macro F1 of trees, and of the better of chance and time only, for one permutation."""
    classes = len(data.schema.classes)
    parts = _permuted(data, seed)
    train, validation, evaluated = (parts[name] for name in ("train", "validation", "unseen"))
    fitted = fit_model("gbt", data.schema, 0, (train, validation))

    def value(predicted: NDArray[np.int64]) -> float:
        cube = metrics.confusions(evaluated.episode, evaluated.y, predicted, classes)[1]
        return float(metrics.macro_f1(cube.sum(axis=0)))

    found = value(fitted.predict(evaluated))
    blind = (baselines.BASELINES[name] for name in ("chance", "time only"))
    return found, max(value(predict(train, validation, evaluated, classes)) for predict in blind)


def _permuted(data: FoldData, seed: int) -> dict[str, WindowSet]:
    """Return the same windows, each episode with the labels of another, in their order."""
    parts = {part: data.windows[part] for part in ("train", *HELD_OUT)}
    known = np.unique(np.concatenate([one.episodes[0] for one in parts.values()]))
    places = [np.searchsorted(known, ids)[at] for ids, at in (p.episodes for p in parts.values())]
    t_ns, before = (
        np.concatenate([getattr(one, name) for one in parts.values()]) for name in ("t_ns", "y")
    )
    rows = list(timing.rows_by_episode(np.concatenate(places), t_ns))
    y = before.copy()
    for one, other in zip(rows, np.random.default_rng(seed).permutation(len(rows)), strict=True):
        labels = before[rows[other]]
        y[one] = labels[np.minimum(np.arange(len(one)), len(labels) - 1)]
    ends = np.cumsum([len(one) for one in parts.values()])[:-1]
    permuted = zip(parts.items(), np.split(y, ends), strict=True)
    return {part: one.labelled(labels) for (part, one), labels in permuted}


# ---------------------------------------------------------------- fitted models


@after_training
def fitted_beyond_training(data: FoldData) -> Outcome:
    """The normalizer of every checkpoint is, to the bit, the one that training windows give."""
    normalizers = data.normalizers or {}
    fitted: dict[object, dict[str, NDArray[np.float64]]] = {}
    for name, (normalizer, train) in normalizers.items():
        # Models of one view and mode share a normalizer, which need not be fitted for each.
        same = (normalizer.view, normalizer.version, normalizer.pairs, id(train))
        if same not in fitted:
            fitted[same] = normalizer.again(train.clear).arrays()
        again = fitted[same]
        for field, values in normalizer.arrays().items():
            if not np.array_equal(values, again[field]):
                return False, f"{name}: its {field} is not that of the training windows"
    return True, f"{len(normalizers)} lenses, each that of the training windows to the bit"
