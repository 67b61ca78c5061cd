"""The events of a fleet: what a machine is doing now, and that an incident has changed."""

from typing import Literal

from phasewatch.serve.events import Event, Nanoseconds, Record


class RibbonPart(Record):
    """One window of a machine's last minutes: its phase, and the probability of that."""

    label: str
    p: float


class MachineNow(Event):
    """What one machine is doing now, by the model chosen on validation.

    `state` is "starting" before the first prediction and "stopped" after the last. `position_s` is
    where in `episode_id` the last window ended, `phase_since_ns` when the predicted phase began.
    `agreement_ratio` is the share of the other models of the same mode that predict the phase; null
    where no other model judges the machine. `incident_id` is null while no incident is open.
    """

    kind = "machine"
    source = "fleet"
    machine: str
    host: str
    episode_id: str
    model: str | None
    labels: list[str]
    stride_s: float
    state: Literal["starting", "running", "stopped"]
    position_s: float | None
    end_wall_ns: Nanoseconds | None
    label: str | None
    p: list[float] | None
    phase_since_ns: Nanoseconds | None
    agreement_ratio: float | None
    incident_id: str | None
    ribbon: list[RibbonPart]
    skipped_total: int
    lag_s: float | None

    @property
    def subject(self) -> str:
        """The name of the machine."""
        return self.machine


class IncidentChanged(Event):
    """The incident of a machine that opened, grew or closed last; `GET /api/incidents` has all."""

    kind = "incident"
    source = "fleet"
    machine: str
    incident_id: str
    open: bool

    @property
    def subject(self) -> str:
        """The name of the machine, so that what is kept for new viewers is bounded."""
        return self.machine
