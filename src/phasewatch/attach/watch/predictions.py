"""Predictions of machines under watch, by a bundle that is fed as they are read."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phasewatch.artifacts.contract import Predictor
from phasewatch.attach.watch.watched import Event, Gap
from phasewatch.episode import Samples
from phasewatch.errors import Refused, counted
from phasewatch.live.watcher import Prediction, Watcher
from phasewatch.schema import Schema

if TYPE_CHECKING:
    from phasewatch.artifacts.dropout import Dropout


class Predictions:
    """The predictions of some machines, each by its name, under one bundle."""

    def __init__(self, bundle: Any) -> None:
        self.bundle = bundle
        self._sources = set(bundle.schema.sources)
        self.watchers: dict[str, Watcher] = {}

    def take(self, event: Event) -> Iterator[Prediction]:
        """Take an event, and yield what it makes due. Sources the bundle does not read are left."""
        watcher = self._of(event.machine)
        if isinstance(event, Gap):
            watcher.gap()
        elif event.source in self._sources:
            times = np.array([event.t_wall_ns], np.int64), np.array([event.t_mono_ns], np.int64)
            values = np.array([event.values], np.float64)
            yield from watcher.add(event.source, Samples(event.names, *times, values, 1.0))

    def _of(self, machine: str) -> Watcher:
        if machine not in self.watchers:
            self.watchers[machine] = Watcher(self.bundle, self.bundle.alarm, machine=machine)
        return self.watchers[machine]


def refuse_other(bundle: Predictor, collected: Schema, kind: str) -> None:
    """Raise Refused for a bundle that means other things by the names of a collector's channels."""
    theirs = {channel.name: channel for channel in collected.channels}
    common = [channel for channel in bundle.schema.channels if channel.name in theirs]
    wrong = [one.name for one in common if _meaning(one) != _meaning(theirs[one.name])]
    if common and not wrong:
        return
    what = f"defines {', '.join(wrong[:3])} otherwise" if wrong else "has none of its channels"
    raise Refused(
        f"bundle for {kind}",
        what,
        f"a bundle trained on {collected.name}, or on some of its channels",
        "Export a model that was trained on such episodes.",
        code="bundle_schema",
    )


def _meaning(channel: Any) -> tuple[str, str]:
    return channel.unit, channel.kind


def lacking(bundle: Predictor, missing: Iterable[str]) -> list[str]:
    """Return the channels that a bundle reads and that are not measured, in the bundle's order."""
    absent = set(missing)
    return [name for name in bundle.schema.names if name in absent]


def cost(bundle: Predictor, absent: Sequence[str], measured: "Dropout | None") -> str:
    """Return a line about channels that a bundle reads and that are not measured; "" for none.

    It has the score without them where `phasewatch dropout` has measured it, and says else that it
    is not known.
    """
    if not absent:
        return ""
    lost = f"reads {counted(len(absent), 'channel')} not measured here ({', '.join(absent)})"
    score = measured.score_without(absent) if measured else None
    if measured is None or score is None:
        return f"{lost}; what it scores without is not known: `phasewatch dropout` measures it"
    return (
        f"{lost}: macro F1 {score:.3f} instead of {measured.macro_f1:.3f}, on {measured.windows} "
        f"windows of {measured.hosts}"
    )
