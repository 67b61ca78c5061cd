"""One observed machine: its last windows as an event, and its incidents as findings."""

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from phasewatch.live.attribution import attribute
from phasewatch.live.ensemble import Ensemble, Member
from phasewatch.live.incident_log import IncidentSpan
from phasewatch.live.incidents import Incident
from phasewatch.live.machine import Machine, WindowPrediction
from phasewatch.serve.fleet.ledger import Finding
from phasewatch.serve.fleet.records import MachineNow, RibbonPart

RIBBON = 36
"""Windows of the ribbon of a machine: three minutes at a stride of 5 s."""

NAMED_CHANNELS = 3
"""Channels that an incident names."""


@dataclass
class Observed:
    """What is known of a machine `name` on `host` that one `member` of its ensemble judges.

    `member` is None where no model can be loaded: the machine is listed, and nothing is predicted.
    """

    name: str
    host: str
    episode: str
    machine: Machine
    member: Member | None
    stopped: bool = False
    _ribbon: deque[RibbonPart] = field(default_factory=lambda: deque(maxlen=RIBBON))
    _last: WindowPrediction | None = None
    _since_ns: int = 0
    _found: dict[int, Finding] = field(default_factory=dict)

    def take(self, window: WindowPrediction) -> list[Finding]:
        """Note a predicted window; return the incidents that opened, grew or closed with it."""
        if self.member is None:
            return []
        p = self.member.probabilities(window.logits[self.member.key])
        label = self.machine.ensemble.schema.classes[int(p.argmax())]
        if not self._ribbon or self._ribbon[-1].label != label:
            self._since_ns = window.end_ns
        self._ribbon.append(RibbonPart(label=label, p=round(float(p.max()), 3)))
        self._last = window
        return self._findings(window)

    def end(self) -> list[Finding]:
        """Close the open incident, since the machine runs no longer; return what changed."""
        self.stopped, closed = True, []
        for opened_ns, one in self._found.items():
            if one.incident.closed_ns is None:
                incident = replace(one.incident, closed_ns=one.last_ns)
                self._found[opened_ns] = replace(one, incident=incident)
                closed.append(self._found[opened_ns])
        return closed

    def _findings(self, window: WindowPrediction) -> list[Finding]:
        """Return what is new of the incidents under the member's alarm rule."""
        assert self.member is not None
        log = self.machine.incidents.get(self.member.key)
        changed = []
        for span in log.spans[-2:] if log else ():
            finding = self._finding(span, window)
            if self._found.get(span.opened_ns) != finding:
                self._found[span.opened_ns] = finding
                changed.append(finding)
        for opened_ns in sorted(self._found)[:-2]:
            del self._found[opened_ns]
        return changed

    def _finding(self, span: IncidentSpan, window: WindowPrediction) -> Finding:
        assert self.member is not None
        known = self._found.get(span.opened_ns)
        closed_ns = None if span.open else span.last_ns
        return Finding(
            Incident(
                *(self.name, self.host, self.member.key, span.opened_ns, closed_ns),
                *(span.peak, span.windows, span.phases),
            ),
            self.episode,
            (span.opened_ns - self.machine.origin_ns) / 1e9,
            span.last_ns,
            known.channels if known else self._channels(span, window),
        )

    def _channels(self, span: IncidentSpan, window: WindowPrediction) -> tuple[str, ...]:
        """Return the channels that contributed most to the phase in the window that opened it."""
        assert self.member is not None
        label = self.machine.ensemble.schema.classes.index(span.phase)
        shares = attribute(self.member, window, label).channels
        return tuple(one.name for one in shares if one.logit > 0)[:NAMED_CHANNELS]

    @property
    def open_incident(self) -> str | None:
        """The id of the incident that is open; None where none is."""
        spans = [one for one in self._found.values() if one.incident.closed_ns is None]
        return spans[-1].incident.id if spans else None

    def event(self) -> MachineNow:
        """Return what the machine is doing now."""
        ensemble, window = self.machine.ensemble, self._last
        state = "stopped" if self.stopped else "running" if window else "starting"
        p = None
        if window is not None and self.member is not None:
            p = self.member.probabilities(window.logits[self.member.key])
        return MachineNow(
            machine=self.name,
            host=self.host,
            episode_id=self.episode,
            model=self.member.key if self.member else None,
            labels=list(ensemble.schema.classes),
            stride_s=ensemble.schema.grid.stride_s,
            state=state,  # type: ignore[arg-type]
            position_s=window.end * ensemble.schema.grid.step_s if window else None,
            end_wall_ns=window.end_ns if window else None,
            label=self._ribbon[-1].label if self._ribbon else None,
            p=[round(float(one), 4) for one in p] if p is not None else None,
            phase_since_ns=self._since_ns if window else None,
            agreement_ratio=_agreement(ensemble, self.member, window),
            incident_id=self.open_incident,
            ribbon=list(self._ribbon),
            skipped_total=self.machine.skipped,
            lag_s=window.lag_s if window else None,
        )


def _agreement(
    ensemble: Ensemble, member: Member | None, window: WindowPrediction | None
) -> float | None:
    """Return the share of the other members of the mode that predict the same phase."""
    if member is None or window is None:
        return None
    mode = member.checkpoint.mode
    others = [
        one for one in ensemble.members if one.checkpoint.mode == mode and one.key != member.key
    ]
    if not others:
        return None
    label = window.logits[member.key].argmax()
    return float(np.mean([window.logits[one.key].argmax() == label for one in others]))
