"""Readings of a machine as episodes of a store, labelled as they are taken or not at all.

An episode ends at a gap, after its length, and with the watch. One without a label is rejected by
the validator until somebody labels it, so nothing trains on it by mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from phasewatch import __version__
from phasewatch.attach.watch.stream import HZ
from phasewatch.attach.watch.watched import Event, Gap, Reading, Say
from phasewatch.episode import ID, Episode, Label, Samples
from phasewatch.errors import Refused
from phasewatch.schema import NS

if TYPE_CHECKING:
    from phasewatch.store.local import Store

LEAD_NS = 2 * NS
"""What is measured before an episode's start, so that its first step has a rate."""

SHORTEST_S = 20.0
"""An episode that a gap ends sooner is dropped, and said to be."""

LONGEST_S = 600.0
"""The length of an episode without a gap: memory stays bounded, and a crash loses no more."""

_Source = list[Reading]


@dataclass
class Recorder:
    """Writes the readings of one machine into a store; `say` is given a line for each episode.

    `phase` is the label of what is read now, "" for none; `mark` changes it. `profile` names what
    the machine does in the episodes; without it their phases do.
    """

    store: "Store"
    machine: str
    collector: str
    say: Say
    phase: str = ""
    longest_s: float = LONGEST_S
    profile: str = ""
    missing: Callable[[], dict[str, str]] = dict
    _rows: dict[str, _Source] = field(default_factory=dict)
    _labels: list[Label] = field(default_factory=list)
    _start_ns: int = 0
    _last_ns: int = 0

    def take(self, event: Event) -> None:
        """Take a reading or a gap of the machine."""
        if isinstance(event, Gap):
            self.finish()
            return
        if self._start_ns and event.t_wall_ns - self._start_ns >= self.longest_s * NS:
            self.finish()
        if not self._start_ns:
            self._begin(event.t_wall_ns)
        self._rows.setdefault(event.source, []).append(event)
        self._last_ns = max(self._last_ns, event.t_wall_ns)

    def mark(self, phase: str) -> None:
        """Label what is read from now on."""
        self.phase = phase
        if not self._start_ns or (self._labels and self._labels[-1].phase == phase):
            return
        time = max(self._last_ns, self._start_ns)
        if self._labels and self._labels[-1].t_wall_ns == time:
            self._labels.pop()
        self._labels.append(Label(time, phase))

    def finish(self) -> None:
        """End the episode and publish it. A full disk is said, and the next episode goes on."""
        seconds = (self._last_ns - self._start_ns) / NS
        if self._start_ns and seconds >= SHORTEST_S:
            self._publish()
        elif self._start_ns:
            self.say(f"{self.machine}: an episode of {max(seconds, 0):.0f} s is too short, dropped")
        self._rows.clear()
        self._labels.clear()
        self._start_ns = self._last_ns = 0

    def _begin(self, t_ns: int) -> None:
        self._start_ns = t_ns + LEAD_NS
        self._labels = [Label(self._start_ns, self.phase)] if self.phase else []

    def _publish(self) -> None:
        episode = self._episode()
        try:
            self.store.publish(episode)
        except OSError as error:
            self.say(f"{self.machine}: {episode.id} is lost: {error.strerror or error}")
        except Refused as refused:
            self.say(f"{self.machine}: {episode.id} is lost: {refused}")
        else:
            what = " then ".join(label.phase for label in episode.labels) or "no label"
            self.say(f"{self.machine}: {episode.id}: {episode.seconds:.0f} s, {what}")

    def _episode(self) -> Episode:
        """Return the episode of what was read; a mark before its start labels all of it."""
        day = datetime.fromtimestamp(self._start_ns / NS, UTC)
        # Names become parts of the id, which allows fewer signs than names of machines do.
        host = "".join(sign if sign.isalnum() else "-" for sign in self.machine).strip("-")
        phases = "-".join(dict.fromkeys(label.phase for label in self._labels)) or "unlabelled"
        profile = self.profile or phases
        id = f"attached.{host}.{profile}.{day:%Y%m%dT%H%M%SZ}"
        return Episode(
            id=id if ID.fullmatch(id) else f"attached.{day:%Y%m%dT%H%M%SZ}",
            host=self.machine,
            sample=f"{self.machine}.{phases}",
            profile=profile,
            campaign=f"attached-{day:%Y-%m-%d}",
            start_ns=self._start_ns,
            end_ns=self._last_ns,
            labels=tuple(self._labels),
            sources={source: _samples(rows) for source, rows in self._rows.items()},
            notes=self._notes(),
        )

    def _notes(self) -> dict[str, object]:
        return {
            "tool": f"phasewatch {__version__}",
            "collector": self.collector,
            "not_measured": sorted(self.missing()),
        }


def _samples(rows: _Source) -> Samples:
    """Return the rows of a source in the order of time."""
    rows = sorted(rows, key=lambda row: row.t_wall_ns)
    return Samples(
        names=rows[0].names,
        t_wall_ns=np.array([row.t_wall_ns for row in rows], np.int64),
        t_mono_ns=np.array([row.t_mono_ns for row in rows], np.int64),
        values=np.array([row.values for row in rows], np.float64),
        rate_hz=HZ,
    )
