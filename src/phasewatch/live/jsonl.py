"""Samples as JSON Lines in, predictions out: a bundle on a small machine."""

import json
import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasewatch.alarm import AlarmRule
from phasewatch.artifacts.contract import Predictor
from phasewatch.baseline import MOST_STRETCHES, levels_of
from phasewatch.episode import UNIX_CEILING_NS, UNIX_FLOOR_NS, Samples
from phasewatch.errors import Refused
from phasewatch.live.buffer import GRACE_S
from phasewatch.live.watcher import Prediction, Watcher
from phasewatch.schema import NS

MOST_AHEAD_S = 3600.0
"""How far a line may be ahead of the end of the next window."""
REQUIRED = ("source", "t_wall_ns", "values")
FIELDS = (*REQUIRED, "t_mono_ns", "machine")
GAP_FIELDS = ("gap", "t_wall_ns", "machine")
MOST_MACHINES = 1000
"""Most machines that lines may name: each is a buffer of its own."""

EXAMPLE = 'a line like {"source": "proc", "t_wall_ns": 1790000000000000000, "values": {…}}'


@dataclass
class _Machines:
    """The watchers of the machines that lines name; "" is the one that they do not name."""

    bundle: Predictor
    rule: AlarmRule | None
    stretches: NDArray[np.float32] | None
    watchers: dict[str, Watcher] = field(default_factory=dict)

    def of(self, sample: Mapping[str, Any], where: str) -> Watcher:
        """Return the watcher of a line's machine. Raises Refused for too many machines."""
        name = _text(sample, "machine", where) if "machine" in sample else ""
        if name and self.stretches is not None:
            expected = "lines without it: the baseline is of one machine"
            raise _refused(f"{where}: machine", f"is {reprlib.repr(name)}", expected)
        if name not in self.watchers:
            if len(self.watchers) >= MOST_MACHINES:
                problem = f"is the name of one more than {MOST_MACHINES:,} machines"
                raise _refused(f"{where}: machine", problem, "the name of a machine, not of a line")
            self.watchers[name] = Watcher(
                self.bundle, self.rule, machine=name, stretches=self.stretches
            )
        return self.watchers[name]


def watch(
    bundle: Predictor,
    lines: Iterable[str],
    rule: AlarmRule | None = None,
    stretches: NDArray[np.float32] | None = None,
) -> Iterator[Prediction]:
    """Yield a prediction every stride from the first sample on, once the opening is over.

    Each of `lines` is one sample of one source, or a gap, after which windows begin anew; `rule`
    raises incidents; `stretches[M,C]` are benign levels of the one machine that lines are of, see
    `read_stretches`, which join that of its opening. A source may be late, but its own samples come
    in the order of time, to within `GRACE_S`. Raises Refused naming the line and the field that is
    wrong.
    """
    machines = _Machines(bundle, rule, stretches)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"standard input: line {number}"
        sample = _object(line, where)
        watcher = machines.of(sample, where)
        if "gap" in sample:
            watcher.gap()
            continue
        source, samples = _sample(bundle, sample, where)
        now = int(samples.t_wall_ns[0])
        _refuse_leap(now, watcher.next_end_ns(now), number)
        _refuse_return(now, watcher.buffer.sources.get(source), number)
        yield from watcher.add(source, samples)


def read_stretches(bundle: Predictor, path: Path) -> NDArray[np.float32]:
    """Return the benign levels `[M,C]` of a file of samples, one for each stretch of a window.

    The file has the lines that `watch` reads, of this machine in benign use, in any order of
    sources. Raises Refused for a line that cannot be used, and for less than one window.
    """
    rows: dict[str, list[Samples]] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                where = f"{path}: line {number}"
                source, sample = _sample(bundle, _object(line, where), where)
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


def _sample(bundle: Predictor, sample: Mapping[str, Any], where: str) -> tuple[str, Samples]:
    """Return the source and the samples of a line's object.

    A channel that is absent, null or NaN was not measured. Raises Refused naming `where`.
    """
    source, values = _text(sample, "source", where), _values(sample, where)
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
    """Return a line as an object with the fields of a sample, or of a gap. Raises Refused."""
    try:
        sample = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _refused(where, f"is no JSON: {error}", EXAMPLE) from error
    if not isinstance(sample, dict):
        raise _refused(where, f"is {reprlib.repr(sample)}", EXAMPLE)
    for name in () if "gap" in sample else REQUIRED:
        if name not in sample:
            raise _refused(f"{where}: {name}", "is missing", EXAMPLE)
    for name in sample:
        if name not in (GAP_FIELDS if "gap" in sample else FIELDS):
            raise _refused(f"{where}: {reprlib.repr(name)}", "is an unknown field", EXAMPLE)
    return sample


def _text(sample: Mapping[str, Any], field: str, where: str) -> str:
    """Return the name of a sample's source or machine. Raises Refused."""
    name = sample[field]
    if not isinstance(name, str):
        raise _refused(f"{where}: {field}", f"is {reprlib.repr(name)}", f"the name of a {field}")
    return name


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
