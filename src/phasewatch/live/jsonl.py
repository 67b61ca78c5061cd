"""Samples as JSON Lines in, a prediction every stride out: a bundle on a small machine."""

import json
import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasewatch.alarm import AlarmRule
from phasewatch.artifacts.contract import Inputs, Predictor
from phasewatch.baseline import MOST_STRETCHES, levels_of
from phasewatch.episode import UNIX_CEILING_NS, UNIX_FLOOR_NS, Samples
from phasewatch.errors import Refused
from phasewatch.live.buffer import GRACE_S, Buffer, first_end, missing
from phasewatch.live.incident_log import IncidentLog, IncidentSpan
from phasewatch.schema import NS
from phasewatch.windowing import median_opening, opening_level, past_at, window_at

MOST_AHEAD_S = 3600.0
"""How far a line may be ahead of the end of the next window."""
REQUIRED = ("source", "t_wall_ns", "values")
FIELDS = (*REQUIRED, "t_mono_ns")
EXAMPLE = 'a line like {"source": "proc", "t_wall_ns": 1790000000000000000, "values": {…}}'


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
    bundle: Predictor,
    lines: Iterable[str],
    rule: AlarmRule | None = None,
    stretches: NDArray[np.float32] | None = None,
) -> Iterator[Prediction]:
    """Yield a prediction every stride from the first sample on, once the opening is over.

    Each of `lines` is one sample of one source; `rule` raises incidents; `stretches[M,C]` are
    benign levels of this machine, see `read_stretches`, which join that of its opening. A source
    may be late, but its own samples come in the order of time, to within `GRACE_S`. Raises Refused
    naming the line and the field that is wrong.
    """
    buffer, origin, level = Buffer(), None, None
    log = IncidentLog(rule, bundle.schema.classes) if rule else None
    grid = bundle.schema.grid
    end = first_end(grid, bundle.opening_s)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        source, samples = _sample(bundle, line, f"standard input: line {number}")
        now = int(samples.t_wall_ns[0])
        origin = now if origin is None else origin
        _refuse_leap(now, origin + end * grid.step_ns, number)
        _refuse_return(now, buffer.sources.get(source), number)
        buffer.add(source, samples)
        while buffer.ready(origin + end * grid.step_ns, now):
            if level is None:
                current = opening_level(buffer.sources, bundle.schema, origin, bundle.opening_s)
                level = median_opening([current], stretches).astype(np.float32)
            x = window_at(buffer.sources, bundle.schema, origin, end)
            past = past_at(buffer.sources, bundle.schema, origin, end)
            yield _predict(bundle, (x, level, past), origin + end * grid.step_ns, log)
            end += grid.stride
            buffer.forget(origin + end * grid.step_ns, grid)


def read_stretches(bundle: Predictor, path: Path) -> NDArray[np.float32]:
    """Return the benign levels `[M,C]` of a file of samples, one for each stretch of a window.

    The file has the lines that `watch` reads, of this machine in benign use, in any order of
    sources. Raises Refused for a line that cannot be used, and for less than one window.
    """
    rows: dict[str, list[Samples]] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                source, sample = _sample(bundle, line, f"{path}: line {number}")
                rows.setdefault(source, []).append(sample)
    sources = {source: _joined(samples) for source, samples in rows.items()}
    ends = [int(end) for one in sources.values() for end in one.t_wall_ns[[0, -1]]]
    levels = levels_of(sources, bundle.schema, (min(ends), max(ends))) if ends else ()
    if not len(levels):
        expected = f"samples over {bundle.schema.grid.window_s:g} s or more"
        raise Refused(path, "has no complete window", expected, "Record a longer one.", "baseline")
    return np.asarray(levels)[-MOST_STRETCHES:]


def _joined(samples: Sequence[Samples]) -> Samples:
    """Return the samples of a source in the order of time."""
    order = np.argsort([int(one.t_wall_ns[0]) for one in samples], kind="stable")
    clocks = [(int(one.t_wall_ns[0]), int(one.t_mono_ns[0])) for one in samples]
    wall, mono = np.array(clocks, dtype=np.int64)[order].T
    values = np.concatenate([one.values for one in samples])[order]
    return replace(samples[0], t_wall_ns=wall, t_mono_ns=mono, values=values)


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


def _refuse_return(now_ns: int, before: Samples | None, number: int) -> None:
    """Raise Refused for a clock set back: a sample well before the last of its source."""
    behind = (int(before.t_wall_ns[-1]) - now_ns) / NS if before else 0.0
    if behind > GRACE_S:
        raise Refused(
            f"standard input: line {number}: t_wall_ns",
            f"is {behind:.1f} s before the last sample of its source",
            f"samples in the order of time, at most {GRACE_S:g} s late",
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


def _sample(bundle: Predictor, line: str, where: str) -> tuple[str, Samples]:
    """Parse a line `{"source": …, "t_wall_ns": …, "values": {channel: number or null}}`.

    A channel that is absent, null or NaN was not measured. Raises Refused naming `where`.
    """
    sample = _object(line, where)
    source, values = _text(sample, where), _values(sample, where)
    t_ns = _time(sample["t_wall_ns"], f"{where}: t_wall_ns")
    mono = _time(sample.get("t_mono_ns", t_ns), f"{where}: t_mono_ns")
    if not UNIX_FLOOR_NS <= t_ns < UNIX_CEILING_NS:
        raise Refused(
            f"{where}: t_wall_ns",
            f"{t_ns} is not between the years 2000 and 2100",
            "nanoseconds since 1970",
            "Correct what writes it.",
            code="clock",
        )
    names = _channels(bundle, source, values, where)
    row = [_number(values.get(name), f"{where}: values: {name}") for name in names]
    times = np.array([t_ns], dtype=np.int64), np.array([mono], dtype=np.int64)
    return source, Samples(names, *times, np.array([row]), 1.0)


def _object(line: str, where: str) -> dict[str, Any]:
    """Return a line as an object with the fields of a sample and no others. Raises Refused."""
    try:
        sample = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _refused(where, f"is no JSON: {error}", EXAMPLE) from error
    if not isinstance(sample, dict):
        raise _refused(where, f"is {reprlib.repr(sample)}", EXAMPLE)
    for name in REQUIRED:
        if name not in sample:
            raise _refused(f"{where}: {name}", "is missing", EXAMPLE)
    for name in sample:
        if name not in FIELDS:
            raise _refused(f"{where}: {reprlib.repr(name)}", "is an unknown field", EXAMPLE)
    return sample


def _text(sample: Mapping[str, Any], where: str) -> str:
    """Return the name of a sample's source. Raises Refused."""
    source = sample["source"]
    if not isinstance(source, str):
        raise _refused(f"{where}: source", f"is {reprlib.repr(source)}", "the name of a source")
    return source


def _values(sample: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the values of a sample by channel. Raises Refused."""
    values = sample["values"]
    if not isinstance(values, dict):
        problem = f"is {reprlib.repr(values)}"
        raise _refused(f"{where}: values", problem, "an object with a number for each channel")
    return values


def _time(value: object, where: str) -> int:
    """Return a time in nanoseconds, a whole number of 64 bits. Raises Refused."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise _refused(where, f"is {reprlib.repr(value)}", "a whole number of nanoseconds")
    return value


def _number(value: object, where: str) -> float:
    """Return a value that was measured, NaN for one that was not. Raises Refused."""
    if value is None:
        return math.nan
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    except OverflowError:
        pass
    raise _refused(where, f"is {reprlib.repr(value)}", "a number, or null where none was measured")


def _channels(
    bundle: Predictor, source: str, values: Mapping[str, Any], where: str
) -> tuple[str, ...]:
    """Return the names of a source's channels. Raises Refused where the bundle has none of it."""
    names = tuple(channel.name for channel in bundle.schema.channels_of(source))
    if not names:
        expected = ", ".join(bundle.schema.sources)
        problem = f"source {source!r} is none of the bundle's"
        remedy = "Leave out sources that the bundle does not read."
        raise Refused(where, problem, expected, remedy, code="source")
    if values and not values.keys() & set(names):
        problem = f"{', '.join(list(values)[:3])} is no channel of {source}"
        expected, remedy = f"some of {', '.join(names)}", "Correct what writes it."
        raise Refused(where, problem, expected, remedy, code="channel")
    return names


def _refused(where: str, problem: str, expected: str) -> Refused:
    """Return the refusal of a line, or of a field of it."""
    return Refused(where, problem, expected, "Correct what writes it.", code="line")
