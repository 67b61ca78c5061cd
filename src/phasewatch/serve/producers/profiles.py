"""Where is it untested? One event for each profile: what was recorded, and what the split tests."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from threading import Event as Signal
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from phasewatch import windowing
from phasewatch.schema import NS
from phasewatch.serve import events
from phasewatch.serve.events import Event, Record
from phasewatch.splits import Split
from phasewatch.store.local import Store
from phasewatch.training.recipes import RECIPES
from phasewatch.validation.sweep import validate_episode
from phasewatch.validation.verdict import ValidationResult

TOP = 8
"""Channels listed as those by which a profile differs most."""


class Verdicts(Record):
    """Episodes by the validator's verdict."""

    accepted: int
    degraded: int
    rejected: int
    errored: int


class HostCount(Record):
    """Usable episodes on one host; 0 where the profile was never recorded there."""

    host: str
    episodes: int


class Quantiles(Record):
    """Quantiles of the lengths of usable episodes, in seconds."""

    p10: float
    p50: float
    p90: float


class Coverage(Record):
    """Episodes in each part of a run's split. "untested" is a verdict, never a score of 0."""

    recipe: str
    train: int
    val: int
    seen: int
    test: int
    status: Literal["tested", "untested"]


class Fingerprint(Record):
    """Mean and spread of each channel's log rate beside its machine's level, over all windows.

    In standard deviations of all profiles together; null where not measured.
    """

    mean_z: list[float | None]
    sd_z: list[float | None]


class Importance(Record):
    """A channel by which the profile differs from all others together."""

    channel: str
    importance: float


class ProfileSummary(Event):
    """One load profile: how much was recorded where, what it looks like, what was tested on it."""

    # The title in docs/events, from before the class had this name.
    model_config = ConfigDict(title="ProfileTold")
    kind = "profile"
    source = "profiles"
    profile: str
    summary: str
    episodes: Verdicts
    hosts: list[HostCount]
    duration_s: Quantiles | None
    phase_share_ratio: dict[str, float]
    coverage: list[Coverage]
    fingerprint: Fingerprint
    top_channels: list[Importance]

    @property
    def subject(self) -> str:
        """The name of the profile, which is what the event is about."""
        return self.profile


class Producer(events.Producer):
    """Publishes every profile once, when all of the store has been read."""

    kinds: ClassVar[tuple[type[Event], ...]] = (ProfileSummary,)
    fill = "phasewatch serve --store STORE"

    def work(self, stop: Signal) -> None:
        """Validate every episode, cut the windows of usable ones, and publish each profile."""
        store = self.context.store
        if store is None:
            return
        read: list[tuple[ValidationResult, Facts | None]] = []
        for id in store.ids():
            if stop.is_set():
                return
            result = validate_episode(store, id)
            read.append((result, _facts(store, id) if result.usable else None))
        for event in summaries(read, store, self.context.run.split if self.context.run else None):
            self.publish(event)


Facts = tuple[dict[str, float], NDArray[np.float64]]


def _facts(store: Store, id: str) -> Facts:
    """Return seconds by phase, and each window's mean beside the machine's level, `[N,C]`."""
    episode = store.read(id)
    times = [label.t_wall_ns for label in episode.labels] + [episode.end_ns]
    spent: dict[str, float] = defaultdict(float)
    for label, (begin, end) in zip(episode.labels, pairwise(times), strict=True):
        spent[label.phase] += (end - begin) / NS
    cut = windowing.cut_windows(episode, store.schema)
    opening_s = max(RECIPES["all"].opening_s, store.schema.grid.window_s)
    level = windowing.opening_level(episode.sources, store.schema, episode.start_ns, opening_s)
    z = windowing.signed_log(cut.x)
    known = np.isfinite(z)
    count = known.sum(axis=2)
    mean = np.where(known, z, 0.0).sum(axis=2) / np.maximum(count, 1)
    return dict(spent), np.where(count > 0, mean, np.nan) - level


def summaries(
    read: Sequence[tuple[ValidationResult, Facts | None]],
    store: Store,
    split: Split | None,
) -> Iterable[ProfileSummary]:
    """Yield one event for each profile among what was read; none without a usable episode."""
    every = [facts[1] for _, facts in read if facts is not None]
    if not every:
        return
    mean, std = _mean_and_std(np.concatenate(every))
    scale = np.where(std > 1e-9, std, 1.0)
    hosts = sorted({one.host for one, _ in read if one.host})
    for profile in sorted({one.profile for one, _ in read if one.profile}):
        of_profile = [(one, facts) for one, facts in read if one.profile == profile]
        usable = [(one, facts) for one, facts in of_profile if facts is not None]
        columns = [facts[1] for _, facts in usable if facts is not None]
        centre, width = (
            _mean_and_std((np.concatenate(columns) - mean) / scale)
            if columns
            else (np.full(len(mean), np.nan),) * 2
        )
        yield ProfileSummary(
            profile=profile,
            summary=_summary(profile),
            episodes=_verdicts(one for one, _ in of_profile),
            hosts=[
                HostCount(host=host, episodes=sum(one.host == host for one, _ in usable))
                for host in hosts
            ],
            duration_s=_quantiles([(one.end_ns - one.start_ns) / NS for one, _ in usable]),
            phase_share_ratio=_shares(
                [facts[0] for _, facts in usable if facts is not None], store.schema.classes
            ),
            coverage=[_coverage(split, [one.id for one, _ in usable])] if split else [],
            fingerprint=Fingerprint(mean_z=_nullable(centre), sd_z=_nullable(width)),
            top_channels=_top(centre, store.schema.names),
        )


def _mean_and_std(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each column, NaN where nothing was measured."""
    known = np.isfinite(rows)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / count
    off = np.where(known, rows - mean, 0.0)
    absent = ~known.any(axis=0)
    std = np.sqrt((off**2).sum(axis=0) / count)
    return np.where(absent, np.nan, mean), np.where(absent, np.nan, std)


def _summary(profile: str) -> str:
    """Return the lab's description of a profile; empty for one recorded elsewhere."""
    from phasewatch.lab import profile as lab

    known = lab.profiles()
    return known[profile].meaning if profile in known else ""


def _verdicts(results: Iterable[ValidationResult]) -> Verdicts:
    found = Counter(one.verdict for one in results)
    return Verdicts(
        accepted=found["accepted"],
        degraded=found["degraded"],
        rejected=found["rejected"],
        errored=found["errored"],
    )


def _quantiles(seconds: Sequence[float]) -> Quantiles | None:
    if not seconds:
        return None
    p10, p50, p90 = np.percentile(seconds, [10, 50, 90])
    return Quantiles(p10=p10, p50=p50, p90=p90)


def _shares(spent: Sequence[Mapping[str, float]], classes: Sequence[str]) -> dict[str, float]:
    """Return each phase's share of the time, in the schema's order; 0 where it never occurs."""
    total = dict.fromkeys(classes, 0.0)
    for one in spent:
        for phase, seconds in one.items():
            total[phase] += seconds
    all_s = sum(total.values()) or 1.0
    return {phase: round(seconds / all_s, 4) for phase, seconds in total.items()}


def _coverage(split: Split, ids: Sequence[str]) -> Coverage:
    def count(part: Sequence[str]) -> int:
        return len(set(ids) & set(part))

    return Coverage(
        recipe=f"{split.recipe} {split.held_out}",
        train=count(split.train),
        val=count(split.validation),
        seen=count(split.seen),
        test=count(split.test),
        status="tested" if count(split.test) else "untested",
    )


def _nullable(values: NDArray[np.float64]) -> list[float | None]:
    return [round(float(one), 3) if np.isfinite(one) else None for one in values]


def _top(centre: NDArray[np.float64], names: Sequence[str]) -> list[Importance]:
    known = np.where(np.isfinite(centre), np.abs(centre), 0.0)
    order = np.argsort(-known, kind="stable")[:TOP]
    return [Importance(channel=names[row], importance=round(float(known[row]), 3)) for row in order]
