"""Which machine needs attention? Every machine's last prediction, and the incidents on all of them.

With `--fleet N` these are N stored episodes played as machines. `show` gives those that run now to
`predicted`; else it is the one under watch.
"""

import time
from collections.abc import Sequence
from threading import Event as Signal
from typing import ClassVar

from phasewatch.errors import Refused
from phasewatch.live.machine import WindowPrediction
from phasewatch.serve import events
from phasewatch.serve.events import Event, ProducerContext, Publish
from phasewatch.serve.fleet import ledger
from phasewatch.serve.fleet.ledger import Finding, Ledger
from phasewatch.serve.fleet.observed import Observed
from phasewatch.serve.fleet.played import PlayedFleet, headlined
from phasewatch.serve.fleet.records import IncidentChanged, MachineNow
from phasewatch.serve.replay.library import Library
from phasewatch.serve.replay.playback import Playback

LOOK_S = 0.25
"""Seconds between two looks at the machine under watch."""


ENOUGH = 10
"""Held-out episodes that are enough for a fleet of any size."""


class Producer(events.Producer):
    """Publishes every machine when it has a new window, and every change of an incident.

    `ledger` is None without a store; `playback` is that of the machine under watch. Where `fed` is
    true, all machines are those that are given to `predicted`.
    """

    kinds: ClassVar[tuple[type[Event], ...]] = (MachineNow, IncidentChanged)
    fill = "phasewatch serve --run RUN --store STORE --fleet 50"

    def __init__(self, context: ProducerContext, publish: Publish) -> None:
        super().__init__(context, publish)
        self.playback: Playback | None = None
        self.fed = False
        self.ledger = _ledger(context)

    @property
    def known(self) -> Ledger:
        """The ledger. Raises Refused without a store."""
        if self.ledger is None:
            remedy = "Give it --store STORE."
            raise Refused("serve", "has no ledger of incidents", "an episode store", remedy)
        return self.ledger

    def work(self, stop: Signal) -> None:
        """Watch machines until `stop`. Raises Refused."""
        playback = self.playback
        if playback is None or self.ledger is None:
            return
        self.ledger.close_abandoned()
        if self.context.fleet:
            ids = _held_out(playback.library, self.context.fleet)
            PlayedFleet(playback.library, ids, self.context.fleet).run(stop, self.predicted)
        else:
            self._follow(playback, stop)

    def predicted(self, observed: Observed, window: WindowPrediction | None) -> None:
        """Publish a machine of the fleet, and count its window; any thread may call it."""
        if window is not None:
            self.context.counters.window(window.latency_s, window.skipped)
        self._show(observed, [window] if window else [])

    # ------------------------------------------------------------ the machine under watch

    def _follow(self, playback: Playback, stop: Signal) -> None:
        """Show the machine under watch, whichever that is, until `stop`."""
        observed: Observed | None = None
        seen = 0
        while not stop.wait(LOOK_S) and not self.fed:
            watched, windows, ended = playback.look(seen)
            if watched is None:
                continue
            if observed is None or observed.machine is not watched.machine:
                member = headlined(playback.library) if playback.library.ensemble.members else None
                episode = watched.episode
                observed = Observed(episode.host, episode.host, episode.id, watched.machine, member)
                seen, windows = 0, playback.look(0)[1]
            if windows or ended != observed.stopped:
                observed.stopped = ended
                self._show(observed, windows)
            seen = max([seen, *(one.end for one in windows)])

    # ------------------------------------------------------------ events

    def _show(self, observed: Observed, windows: Sequence[WindowPrediction]) -> None:
        """Publish a machine with its new windows, and what they change of its incidents."""
        findings = [finding for window in windows for finding in observed.take(window)]
        if observed.stopped:
            findings += observed.end()
        event = observed.event()
        self.publish(event)
        if windows and event.p and event.label:
            p = dict(zip(event.labels, event.p, strict=True))
            incident = event.incident_id is not None
            end_s = windows[-1].end_ns / 1e9
            self.context.counters.machine(observed.name, p, end_s, windows[-1].lag_s, incident)
        for finding in findings:
            self._record(finding)

    def _record(self, finding: Finding) -> None:
        incident = finding.incident
        if not self.known.rows(incident.id):
            self.context.counters.incident_opened(incident.machine)
        self.known.record(finding)
        self._changed(incident.machine, incident.id, incident.closed_ns is None)

    def _changed(self, machine: str, id: str, is_open: bool) -> None:
        self.publish(IncidentChanged(machine=machine, incident_id=id, open=is_open))

    def act(self, id: str, operation: str, text: str, minutes: float) -> None:
        """Do what a person wants of an incident, and let all viewers know.

        `operation` is acknowledge, reopen, note with a `text`, mute with a reason as `text` for
        some `minutes`, or unmute. Raises Refused.
        """
        now_ns = time.time_ns()
        if operation == "acknowledge":
            self.known.acknowledge(id, now_ns)
        elif operation == "reopen":
            self.known.acknowledge(id, None)
        elif operation == "note":
            self.known.note(id, text, now_ns)
        elif operation == "mute":
            self.known.mute(id, text, now_ns + round(minutes * 60e9))
        else:
            self.known.unmute(id)
        (row,) = self.known.rows(id)
        self._changed(row["machine"], id, row["closed_ns"] is None)


def _ledger(context: ProducerContext) -> Ledger | None:
    """Return the ledger at the path that is given, or beside the store; None without a store."""
    if context.store is None:
        return None
    return Ledger(context.ledger or ledger.beside(context.store.root))


def _held_out(library: Library, count: int) -> tuple[str, ...]:
    """Return the episodes of a fleet: those that the run holds out, if they are enough."""
    roles = library.split()[1]
    held_out = tuple(id for id in library.manifests if roles.get(id) in ("test", "seen"))
    return held_out if len(held_out) >= min(count, ENOUGH) else tuple(library.manifests)
