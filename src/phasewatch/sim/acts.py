"""The acts of episodes and their programs: what a machine does in each step.

The lab's schedule of an episode follows from its manifest, so that the programs of a recorded
episode are known without having been recorded. An episode that the lab did not record has one act
for each label, of no program.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.features.views import Array
from phasewatch.lab.hosts import Host, hosts
from phasewatch.lab.profile import Profile, catalogue, schedule
from phasewatch.lab.script import Line
from phasewatch.lab.timetable import Act
from phasewatch.schema import NS, Schema

INTENSITY = {"rate": 1, "rate_kbs": 1, "ops": 1, "pps": 1, "duty": 1, "period_s": -1}
"""Settings that say how much a program does, with the sign of their effect; the first one counts.
"""

NOTHING = Act(0.0, "side", "", "")
"""The act of a slot of which nothing is known."""


@dataclass(frozen=True)
class RecordedActs:
    """The acts of some episodes, and which of them is the work and the side of each step, `[N]`."""

    acts: tuple[Act, ...]
    work: NDArray[np.int64]
    side: NDArray[np.int64]


def recorded_acts(episodes: Sequence[Episode], schema: Schema) -> RecordedActs:
    """Return the acts of episodes under `schema`, for all their steps one after another."""
    acts: list[Act] = []
    places: tuple[list[NDArray[np.int64]], ...] = ([], [])
    known = hosts(), catalogue()
    for episode in episodes:
        steps = (episode.end_ns - episode.start_ns) // schema.grid.step_ns
        ends: Array = schema.grid.step_s * np.arange(1.0, steps + 1)
        for slot, place in zip(by_slot(acts_of(episode, *known)), places, strict=True):
            place.append(at_times(slot, ends) + len(acts))
            acts += slot
    return RecordedActs(tuple(acts), *(np.concatenate(place) for place in places))


def by_slot(acts: Iterable[Act]) -> tuple[list[Act], list[Act]]:
    """Return the work acts and the side acts; the side is `NOTHING` where there is none."""
    slots = {"work": list[Act](), "side": list[Act]()}
    for act in acts:
        slots[act.slot].append(act)
    return slots["work"], slots["side"] or [NOTHING]


def at_times(acts: Sequence[Act], seconds: Array) -> NDArray[np.int64]:
    """Return which act of a slot runs at each time `[T]`; before the first one, the first one."""
    begins = [act.at_s for act in acts]
    return np.asarray(np.maximum(np.searchsorted(begins, seconds, side="left") - 1, 0))


def acts_of(
    episode: Episode, known: dict[str, Host], profiles: dict[str, Profile]
) -> tuple[Act, ...]:
    """Return the acts of a recorded episode, or one of no program for each of its labels."""
    acts = _scheduled(episode, known, profiles)
    phases = [act.phase for act in acts if act.slot == "work"]
    changes = [now for before, now in zip(["", *phases], phases, strict=False) if now != before]
    if changes == [label.phase for label in episode.labels]:
        return acts
    begins = [(label.t_wall_ns - episode.start_ns) / NS for label in episode.labels]
    return tuple(
        Act(at_s, "work", label.phase, "")
        for at_s, label in zip(begins, episode.labels, strict=True)
    )


def _scheduled(
    episode: Episode, known: dict[str, Host], profiles: dict[str, Profile]
) -> tuple[Act, ...]:
    """Return the lab's schedule of an episode, or nothing when the lab has none."""
    host, profile = known.get(episode.host), profiles.get(episode.profile)
    seed, background = (episode.notes.get(key) for key in ("seed", "background"))
    if not (host and profile and isinstance(seed, int) and isinstance(background, str)):
        return ()
    then = host.model_copy(update={"background": background})
    try:
        sample = profile.sample(episode.sample)
        return schedule(profile, sample, then, seed, round(episode.seconds))
    except Refused:
        return ()


def seed_of(act: Act) -> int:
    """Return a seed that all acts of one phase, program and settings share."""
    digest = hashlib.sha256(f"{act.phase} {act.program}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def program(act: Act) -> str:
    """Return the slot and the program of an act without its settings, such as "side sync"."""
    return f"{act.slot} {act.program.partition(' ')[0]}"


def intensity(act: Act) -> float:
    """Return how much an act does, as the logarithm of a setting; NaN where none says it."""
    line = Line(act.phase, act.program or NOTHING.slot)
    for key, sign in INTENSITY.items():
        value = line.setting(key, 0.0)
        if value > 0:
            return sign * math.log(value)
    return math.nan


@dataclass(frozen=True)
class Programs:
    """Known programs, with the lowest and highest intensity `[L,2]` of their acts."""

    names: tuple[str, ...]
    intensity: Array

    @classmethod
    def of(cls, acts: Iterable[Act]) -> "Programs":
        """Return the programs of some acts; an act of no program has none."""
        found: dict[str, list[float]] = {}
        for act in acts:
            if act.program:
                value = intensity(act)
                found.setdefault(program(act), []).extend([value] if math.isfinite(value) else [])
        names = tuple(sorted(found))
        ends = [(min(found[name], default=0.0), max(found[name], default=0.0)) for name in names]
        return cls(names, np.array(ends).reshape(-1, 2))

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def design(self, acts: Sequence[Act]) -> Array:
        """Return the columns of acts in a linear model, `[n,2L]`.

        A program has two: whether it is the act's, and the act's intensity from -1 to 1 between the
        lowest and the highest.
        """
        columns = np.zeros((len(acts), 2 * len(self.names)))
        for row, act in enumerate(acts):
            place = self._place.get(program(act))
            if place is not None:
                columns[row, 2 * place] = 1.0
                columns[row, 2 * place + 1] = self._relative(place, intensity(act))
        return columns

    def _relative(self, place: int, value: float) -> float:
        low, high = self.intensity[place]
        known = math.isfinite(value) and high > low
        return min(1.0, max(-1.0, (2 * value - low - high) / (high - low))) if known else 0.0
