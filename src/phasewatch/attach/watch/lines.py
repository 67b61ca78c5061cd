"""Readings as JSON Lines, one a line, as `phasewatch watch` reads them."""

import json

from phasewatch.attach.watch.watched import Event, Gap, measured


def line(event: Event, many: bool = False) -> str:
    """Return an event as a line; with `many` it names its machine.

    A channel that was not measured is left out. A gap is a line with the field `gap`.
    """
    named = {"machine": event.machine} if many else {}
    if isinstance(event, Gap):
        return json.dumps({**named, "gap": event.reason, "t_wall_ns": event.t_wall_ns}) + "\n"
    values = {name: int(v) if v.is_integer() else v for name, v in measured(event).items()}
    times = {"t_wall_ns": event.t_wall_ns, "t_mono_ns": event.t_mono_ns}
    return json.dumps({**named, "source": event.source, **times, "values": values}) + "\n"
