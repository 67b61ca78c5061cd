"""When an incident opens, gains a phase, or closes, from the predictions of machines."""

from collections.abc import Iterator

from phasewatch.live.incident_log import IncidentSpan
from phasewatch.live.incidents import Incident
from phasewatch.live.outputs.ocsf import Activity
from phasewatch.live.watcher import Prediction


class Changes:
    """The changes of the incidents of some machines, each by its name, under one model."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._open: dict[str, IncidentSpan] = {}

    def take(self, prediction: Prediction) -> Iterator[tuple[Activity, Incident]]:
        """Take the next prediction of a machine, and yield what has changed with it."""
        before, now = self._open.get(prediction.machine), prediction.incident
        if before is not None and (now is None or now.opened_ns != before.opened_ns):
            del self._open[prediction.machine]
            yield "closed", self._incident(prediction.machine, before, before.last_ns)
            before = None
        if now is None:
            return
        self._open[prediction.machine] = now
        if before is None:
            yield "opened", self._incident(prediction.machine, now, None)
        elif now.phases != before.phases:
            yield "changed", self._incident(prediction.machine, now, None)

    def _incident(self, machine: str, span: IncidentSpan, closed_ns: int | None) -> Incident:
        numbers = span.opened_ns, closed_ns, span.peak, span.windows, span.phases
        return Incident(machine, machine, self._model, *numbers)
