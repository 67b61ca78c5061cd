"""A watch: machines are opened, read, and what they say goes to lines, predictions and episodes."""

import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from phasewatch.attach.collector import Target, checked
from phasewatch.attach.probe import Gone
from phasewatch.attach.watch import report
from phasewatch.attach.watch.alerts import Alerts
from phasewatch.attach.watch.episodes import Recorder
from phasewatch.attach.watch.lines import line
from phasewatch.attach.watch.metrics import Metrics
from phasewatch.attach.watch.predictions import Predictions
from phasewatch.attach.watch.sending import Sending
from phasewatch.attach.watch.stream import HZ, Clock, SystemClock, stream
from phasewatch.attach.watch.watched import Event, Say, Watched
from phasewatch.errors import Refused
from phasewatch.live.watcher import Prediction
from phasewatch.schema import Schema

if TYPE_CHECKING:
    from phasewatch.store.local import Store


def machines(targets: Sequence[Target], say: Say, clock: Clock) -> list[Watched]:
    """Return the machines of some targets, opened, after saying what is measured of each.

    Raises Refused for a machine that is not there, and for two of one name.
    """
    found: list[Watched] = []
    for target in targets:
        watched = Watched(target, say)
        with refusing_gone(target):
            opened = watched.open(clock.wall_ns(), clock.mono_ns())
            layout = schema_of(target)
        for said in report.opening(watched.name, opened, layout, watched.missing()):
            say(said)
        found.append(watched)
    _refuse_double([one.name for one in found])
    return found


@contextmanager
def refusing_gone(target: Target) -> Iterator[None]:
    """Raise Refused in place of Gone: the machine of a target is not there."""
    try:
        yield
    except Gone as gone:
        remedy = "Start it, or correct the target."
        place = f"{target.kind} {target.target}".strip()
        raise Refused(place, str(gone), "a running machine", remedy, "gone") from gone


def schema_of(target: Target) -> Schema:
    """Return the schema of the channels of one machine. Raises Refused."""
    with refusing_gone(target):
        return checked(target).schema_of(target)


def _refuse_double(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise Refused(
                f"machine {name}",
                "is the name of two machines",
                "different names",
                "Give one of them a name with --name.",
                code="machine_name",
            )


def one_schema(targets: Sequence[Target]) -> Schema:
    """Return the schema of all targets. Raises Refused where they have several."""
    found = {schema_of(target).name for target in targets}
    if len(found) > 1:
        raise Refused(
            "machines",
            f"have the schemas {', '.join(sorted(found))}",
            "one schema in one store or bundle",
            "Watch machines of different schemas by commands of their own.",
            code="machine_schemas",
        )
    return schema_of(targets[0])


@dataclass
class Session:
    """Machines under watch, and what becomes of what they say.

    `run` yields predictions where there are some to be made, else the readings as lines, unless
    `sending` sends them elsewhere. `recorders` write episodes, by machine; `alerts` sends the
    incidents of predictions, and `metrics` counts.
    """

    watched: Sequence[Watched]
    say: Say
    clock: Clock = field(default_factory=SystemClock)
    predictions: Predictions | None = None
    recorders: dict[str, Recorder] = field(default_factory=dict)
    alerts: Alerts | None = None
    sending: Sending | None = None
    metrics: Metrics | None = None
    marks: "queue.Queue[str]" = field(default_factory=queue.Queue)

    def record(self, store: "Store", label: str, episode_s: float, profile: str = "") -> None:
        """Write what is read into a store, as episodes of `episode_s` with a label or without."""
        for one in self.watched:
            recorder = Recorder(store, one.name, one.target.kind, self.say, label, episode_s)
            recorder.profile = profile
            recorder.missing = one.missing
            self.recorders[one.name] = recorder

    def run(self, seconds: float = 0.0, hz: float = HZ) -> Iterator[str | Prediction]:
        """Yield lines or predictions until the watch ends; episodes are finished at its end."""
        try:
            for event in stream(self.watched, self.clock, self.say, hz, seconds):
                self._mark()
                if event.machine in self.recorders:
                    self.recorders[event.machine].take(event)
                if self.sending is not None:
                    self.sending.take(event)
                if self.metrics is not None:
                    self.metrics.read(event, self._missing(event.machine))
                yield from self._out(event)
        finally:
            for recorder in self.recorders.values():
                recorder.finish()
            for one in self.watched:
                one.close()
            if self.alerts is not None:
                self.alerts.close()
            if self.sending is not None:
                self.sending.close()
            if self.metrics is not None:
                self.metrics.close()

    def _out(self, event: Event) -> Iterator[str | Prediction]:
        if self.predictions is None:
            if self.sending is None:
                yield line(event, many=len(self.watched) > 1)
        else:
            for prediction in self.predictions.take(event):
                if self.alerts is not None:
                    self.alerts.take(prediction)
                if self.metrics is not None:
                    self.metrics.predicted(prediction)
                yield prediction

    def _missing(self, machine: str) -> int:
        """Return how many channels of a machine are not measured now."""
        return next((len(one.missing()) for one in self.watched if one.name == machine), 0)

    def _mark(self) -> None:
        """Label with the phases that were typed since the last event."""
        while not self.marks.empty():
            phase = self.marks.get()
            for recorder in self.recorders.values():
                recorder.mark(phase)
            self.say(f"{phase} from now on")


def refuse_phase(layout: Schema, phase: str) -> None:
    """Raise Refused for a label that is no phase of a schema; "" is none and is taken."""
    if phase and phase not in layout.classes:
        expected = f"one of {', '.join(layout.classes)}"
        raise Refused(f"label {phase}", "is no phase", expected, "Correct it.", code="label")


def typed(session: Session, layout: Schema, read: Callable[[], str] = sys.stdin.readline) -> None:
    """Take phases from a keyboard, a line each, as marks of a session, in a thread of its own."""

    def work() -> None:
        while text := read():
            try:
                refuse_phase(layout, text.strip())
            except Refused as refused:
                session.say(str(refused))
            else:
                if text.strip():
                    session.marks.put(text.strip())

    threading.Thread(target=work, name="marks", daemon=True).start()
