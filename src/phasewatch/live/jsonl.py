"""Samples as JSON Lines in, a prediction every stride out: a bundle on a small machine."""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from phasewatch.alarm import AlarmRule
from phasewatch.artifacts.contract import Inputs, Predictor
from phasewatch.episode import UNIX_CEILING_NS, UNIX_FLOOR_NS, Samples
from phasewatch.errors import Refused
from phasewatch.live.buffer import Buffer, first_end, missing
from phasewatch.live.incident_log import IncidentLog, IncidentSpan
from phasewatch.schema import NS
from phasewatch.windowing import opening_level, past_at, window_at

MOST_AHEAD_S = 3600.0
"""How far a line may be ahead of the end of the next window."""


@dataclass(frozen=True)
class Prediction:
    """The prediction for the window that ended at `end_ns`.

    `probability` has one value for each phase, the softmax of the logits without a temperature;
    `missing` are the sources without a value in the window. `incident` is the one that is open at
    it; None where none is, and always where no rule is known that raises one.
    """

    end_ns: int
    phase: str
    probability: dict[str, float]
    missing: list[str]
    incident: IncidentSpan | None = None


def watch(
    bundle: Predictor, lines: Iterable[str], rule: AlarmRule | None = None
) -> Iterator[Prediction]:
    """Yield a prediction every stride from the first sample on, once the opening is over.

    Each of `lines` is one sample of one source; `rule` raises incidents. Raises Refused naming the
    line that is not one.
    """
    buffer, origin, level = Buffer(), None, None
    log = IncidentLog(rule, bundle.schema.classes) if rule else None
    grid = bundle.schema.grid
    end = first_end(grid, bundle.opening_s)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        source, samples = _sample(bundle, line, number)
        now = int(samples.t_wall_ns[0])
        origin = now if origin is None else origin
        _refuse_leap(now, origin + end * grid.step_ns, number)
        buffer.add(source, samples)
        while buffer.ready(origin + end * grid.step_ns, now):
            if level is None:
                level = opening_level(buffer.sources, bundle.schema, origin, bundle.opening_s)
            x = window_at(buffer.sources, bundle.schema, origin, end)
            past = past_at(buffer.sources, bundle.schema, origin, end)
            yield _predict(bundle, (x, level, past), origin + end * grid.step_ns, log)
            end += grid.stride
            buffer.forget(origin + end * grid.step_ns, grid)


def _refuse_leap(now_ns: int, end_ns: int, number: int) -> None:
    """Raise Refused for a clock that leapt: one line must not make years of windows due."""
    ahead = (now_ns - end_ns) / NS
    if ahead > MOST_AHEAD_S:
        raise Refused(
            f"standard input: line {number}: t_wall_ns",
            f"is {ahead:.0f} s past the end of the next window",
            f"at most {MOST_AHEAD_S:g} s, in nanoseconds since 1970",
            "Correct the clock, or start again.",
            code="clock",
        )


def _predict(bundle: Predictor, window: Inputs, end_ns: int, log: IncidentLog | None) -> Prediction:
    logits = bundle.logits(*(part[None] for part in window))[0]
    if log is not None:
        log.add(end_ns, logits)
    chance = np.exp(logits - logits.max())
    chance /= chance.sum()
    return Prediction(
        end_ns=end_ns,
        phase=bundle.schema.classes[int(chance.argmax())],
        probability=dict(zip(bundle.schema.classes, chance.tolist(), strict=True)),
        missing=list(missing(bundle.schema, window[0])),
        incident=log.current if log else None,
    )


def _sample(bundle: Predictor, line: str, number: int) -> tuple[str, Samples]:
    """Parse a line `{"source": …, "t_wall_ns": …, "values": {channel: number or null}}`.

    Raises Refused.
    """
    try:
        sample: dict[str, Any] = json.loads(line)
        source, values = str(sample["source"]), dict(sample["values"])
        t_ns = int(sample["t_wall_ns"])
        mono = int(sample.get("t_mono_ns", t_ns))
        names = tuple(channel.name for channel in bundle.schema.channels_of(source))
        row = [math.nan if values.get(name) is None else float(values[name]) for name in names]
        times = np.array([t_ns], dtype=np.int64), np.array([mono], dtype=np.int64)
    except (
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
        AttributeError,
        RecursionError,
    ) as error:
        raise Refused(
            f"standard input: line {number}",
            f"{type(error).__name__}: {error}",
            'a line like {"source": "proc", "t_wall_ns": 1790000000000000000, "values": {…}}',
            "Correct what writes it.",
            code="line",
        ) from error
    if not UNIX_FLOOR_NS <= t_ns < UNIX_CEILING_NS:
        raise Refused(
            f"standard input: line {number}: t_wall_ns",
            f"{t_ns} is not between the years 2000 and 2100",
            "nanoseconds since 1970",
            "Correct what writes it.",
            code="clock",
        )
    if not names:
        expected = ", ".join(bundle.schema.sources)
        problem = f"source {source!r} is none of the bundle's"
        remedy = "Leave out sources that the bundle does not read."
        raise Refused(f"standard input: line {number}", problem, expected, remedy, code="source")
    if values and not values.keys() & set(names):
        problem = f"{', '.join(list(values)[:3])} is no channel of {source}"
        expected, remedy = f"some of {', '.join(names)}", "Correct what writes it."
        raise Refused(f"standard input: line {number}", problem, expected, remedy, code="channel")
    return source, Samples(names, *times, np.array([row]), 1.0)
