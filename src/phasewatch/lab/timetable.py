"""Timetables: when an episode's acts begin, in a short run, in a long run and on a benign day.

Every timetable is drawn from sample, host, seed and length alone. Spans, pauses and companions are
random, so that the time in an episode does not give its phase away.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from phasewatch.errors import Refused
from phasewatch.lab.hosts import Host
from phasewatch.lab.script import BENIGN, Line, Sample

OPENING_S = 15.0
HOSTILE_S = (8.0, 25.0)
BETWEEN_S = 5.0
CLOSING_S = 6.0
PIECE_S = 7.0
FEWEST = 2
"""Smallest number of hostile acts in a run, if its script has as many."""

COMPANY = 0.45
"""Probability of a benign program beside a work act, the same for benign and hostile acts."""

LONG_HOSTILE_S = (8.0, 75.0)
LONGEST_CALLS_S = 150.0
CALLS = 2.5
"""Smallest length of an act that calls home periodically, in periods of its calls."""

HOSTILE_SHARE = (0.25, 0.6)
MOST_OF_ROOM = 0.4
"""Largest share of a run that one hostile act takes."""

CHAINED = 0.35
"""Probability that a hostile act of a long run follows another without a pause."""

AGAIN_S = 540.0
"""Seconds after which the background is started again: a guest's program ends after 600 s."""

Slot = Literal["work", "side"]


@dataclass(frozen=True)
class Act:
    """At `at_s` seconds a slot starts a program; a work act puts the machine into its phase."""

    at_s: float
    slot: Slot
    phase: str
    program: str


@dataclass(frozen=True)
class _Span:
    line: Line | None
    seconds: float


def short_run(
    sample: Sample, ordered: bool, host: Host, seed: int, seconds: float
) -> tuple[Act, ...]:
    """Return the acts of a run that goes through its script once, in order of time.

    It opens with at least 15 s of benign work. Hostile acts last 8 to 25 s, with benign work
    between and after them, and come in script order if `ordered`. Raises Refused when `seconds` is
    too short for the script.
    """
    rng = random.Random(f"{sample.id} {host.name} {seed}")
    hostile = [line for line in sample.lines if line.phase != BENIGN]
    # A run leaves hostile lines out, or the timetable of a script would be much the same each time.
    count = rng.randint(min(FEWEST, len(hostile)), len(hostile))
    hostile = [hostile[place] for place in sorted(rng.sample(range(len(hostile)), count))]
    if not ordered:
        rng.shuffle(hostile)
    programs = tuple(line.program for line in sample.lines if line.phase == BENIGN) + host.programs
    work: list[Act] = []
    at = 0.0
    for span in _spans(rng, hostile, seconds):
        if span.line:
            work.append(Act(round(at, 3), "work", span.line.phase, span.line.program))
        else:
            work += _benign(rng, at, span.seconds, programs)
        at += span.seconds
    side = _company(rng, work, seconds, host, programs)
    return tuple(sorted(work + side, key=lambda act: (act.at_s, act.slot)))


def _spans(rng: random.Random, hostile: Sequence[Line], seconds: float) -> list[_Span]:
    """Return benign and hostile spans that fill `seconds`; a span without a line is benign."""
    least = [OPENING_S, *[BETWEEN_S] * (len(hostile) - 1), CLOSING_S] if hostile else [OPENING_S]
    shortest, longest = HOSTILE_S
    spare = seconds - sum(least) - shortest * len(hostile)
    if spare < 0:
        raise Refused(
            f"{seconds:g} s",
            f"is too short for {len(hostile)} hostile acts",
            f"at least {seconds - spare:g} s",
            "Record longer.",
        )
    wanted = [rng.uniform(0, longest - shortest) for _ in hostile]
    # Part of the spare time stays benign even in a long script, or its openings would not vary.
    share = min(1.0, spare * rng.uniform(0.3, 0.9) / max(sum(wanted), 1e-9))
    lengths = [shortest + share * length for length in wanted]
    weights = [rng.random() ** 2 + 0.02 for _ in least]
    weights[0] *= 3
    rest = seconds - sum(least) - sum(lengths)
    pauses = [
        floor + rest * weight / sum(weights) for floor, weight in zip(least, weights, strict=True)
    ]
    spans = [_Span(None, pauses[0])]
    for line, length, pause in zip(hostile, lengths, pauses[1:], strict=True):
        spans += [_Span(line, length), _Span(None, pause)]
    return spans


def _benign(rng: random.Random, at: float, seconds: float, programs: Sequence[str]) -> list[Act]:
    """Return a benign span that begins at `at` as acts of 7 to about 25 s."""
    most = max(1, int(seconds / PIECE_S))
    count = rng.randint(max(1, int(seconds / 25)), min(most, max(1, round(seconds / 12))))
    weights = [1 + rng.random() for _ in range(count)]
    acts = []
    for weight in weights:
        acts.append(Act(round(at, 3), "work", BENIGN, rng.choice(programs)))
        at += seconds * weight / sum(weights)
    return acts


def _company(
    rng: random.Random, work: Sequence[Act], seconds: float, host: Host, programs: Sequence[str]
) -> list[Act]:
    """Return the side slot: the background, replaced by benign work beside some work acts."""
    acts = [Act(0.0, "side", BENIGN, host.background)]
    free = 2.0
    for index, act in enumerate(work):
        ends = work[index + 1].at_s if index + 1 < len(work) else seconds
        begin = max(free, act.at_s + rng.uniform(-3, 3))
        end = min(seconds, ends + rng.uniform(-3, 3))
        chosen = rng.choice(programs)
        if rng.random() < COMPANY and end - begin >= 4:
            acts.append(Act(round(begin, 3), "side", BENIGN, chosen))
            acts.append(Act(round(end, 3), "side", BENIGN, host.background))
            free = end + 1
    return [act for act in acts if act.at_s < seconds]


def long_run(
    sample: Sample, ordered: bool, host: Host, seed: int, seconds: float
) -> tuple[Act, ...]:
    """Return the acts of a run of two minutes or more, in order of time.

    It goes through its script again and again, in passes that leave lines out. Hostile acts fill a
    quarter to six tenths of the time; benign work comes before, between, after and beside them.
    Raises Refused when `seconds` is too short.
    """
    rng = random.Random(f"long {sample.id} {host.name} {seed}")
    hostile = [line for line in sample.lines if line.phase != BENIGN]
    programs = tuple(line.program for line in sample.lines if line.phase == BENIGN) + host.programs
    room = seconds - OPENING_S - CLOSING_S
    budget = min(seconds * rng.uniform(*HOSTILE_SHARE), room) if hostile else 0.0
    acts = _passes(rng, hostile, ordered, budget, MOST_OF_ROOM * room)
    spans = _with_pauses(rng, acts, room - sum(act.seconds for act in acts))
    work: list[Act] = []
    at = 0.0
    for span in spans:
        if span.line:
            work.append(Act(round(at, 3), "work", span.line.phase, span.line.program))
        elif span.seconds > 0:
            work += _benign(rng, at, span.seconds, programs)
        at += span.seconds
    side = _companions(rng, seconds, host.background, programs)
    return tuple(sorted(work + side, key=lambda act: (act.at_s, act.slot)))


def _passes(
    rng: random.Random, hostile: Sequence[Line], ordered: bool, budget: float, most: float
) -> list[_Span]:
    """Return hostile acts for `budget` seconds, in passes over the script that leave lines out.

    None lasts more than `most` seconds, so that there is room for `FEWEST` acts.
    """
    acts: list[_Span] = []
    left = budget
    while hostile and (left > 0 or len(acts) < min(FEWEST, len(hostile))):
        order = [line for line in hostile if rng.random() < 0.75] or [rng.choice(hostile)]
        if not ordered:
            rng.shuffle(order)
        for line in order:
            length = min(most, _length(rng, line))
            if length > left and len(acts) >= FEWEST:
                return acts
            acts.append(_Span(line, length))
            left -= length
    return acts


def _length(rng: random.Random, line: Line) -> float:
    """Return the length of an act in seconds: log-uniform, and at least `CALLS` periods."""
    low, high = LONG_HOSTILE_S
    if line.program.split()[0] in ("beacon", "tasking"):
        low = min(LONGEST_CALLS_S, max(low, CALLS * line.setting("period_s", 10)))
        high = max(high, min(LONGEST_CALLS_S, 2 * low))
    return _between(rng, low, high)


def _with_pauses(rng: random.Random, acts: Sequence[_Span], spare: float) -> list[_Span]:
    """Return the acts with benign spans around and between them that last `spare` seconds."""
    if spare < 0:
        raise Refused(
            "schedule",
            f"is {-spare:.0f} s too short for its {len(acts)} hostile acts",
            "room for benign work around them",
            "Record longer.",
        )
    weights = [3 * rng.expovariate(1) + 0.05]
    weights += [0.0 if rng.random() < CHAINED else rng.expovariate(1) for _ in acts[1:]]
    weights += [rng.expovariate(1) + 0.05] if acts else []
    pauses = [spare * weight / sum(weights) for weight in weights]
    pauses[0] += OPENING_S
    pauses[-1] += CLOSING_S
    spans = [_Span(None, pauses[0])]
    for act, pause in zip(acts, pauses[1:], strict=True):
        spans += [act, _Span(None, pause)]
    return spans


def _companions(
    rng: random.Random, seconds: float, background: str, programs: Sequence[str]
) -> list[Act]:
    """Return the side slot of a long run: background and benign programs, whatever the phase."""
    acts: list[Act] = []
    at = 0.0
    while at < seconds:
        acts.append(Act(round(at, 3), "side", BENIGN, background))
        at += _between(rng, 5.0, 90.0)
        if at < seconds:
            acts.append(Act(round(at, 3), "side", BENIGN, rng.choice(programs)))
            at += _between(rng, 6.0, 90.0)
    return acts


def day(sample: Sample, host: Host, seed: int, seconds: float) -> tuple[Act, ...]:
    """Return the acts of a benign day, in order of time.

    Its programs are drawn from the script, so pauses are as frequent as its idle lines. Where they
    are half of it or more, the day is quiet: a night.
    """
    rng = random.Random(f"day {sample.id} {host.name} {seed}")
    programs = [line.program for line in sample.lines]
    busy = [program for program in programs if program != "idle"]
    quiet = 2 * len(busy) <= len(programs)
    work: list[Act] = []
    at = 0.0
    while at < seconds:
        program = rng.choice(programs)
        if not quiet and program != "idle" and rng.random() < 0.2:
            program = rng.choice(host.programs)
        work.append(Act(round(at, 3), "work", BENIGN, program))
        at += _between(rng, 15.0, 300.0) if program == "idle" else _between(rng, 10.0, 150.0)
    resting = rng.choice((host.background, "idle", "clocksync period_s=64"))
    side = _beside(rng, seconds, resting if quiet else host.background, busy or ["idle"], quiet)
    return tuple(sorted(work + side, key=lambda act: (act.at_s, act.slot)))


def _beside(
    rng: random.Random, seconds: float, background: str, busy: Sequence[str], quiet: bool
) -> list[Act]:
    """Return the side slot of a day: the background, and at times a second program of the day."""
    acts: list[Act] = []
    at = 0.0
    while at < seconds:
        acts.append(Act(round(at, 3), "side", BENIGN, background))
        at += _between(rng, 60.0, AGAIN_S)
        if at < seconds and rng.random() < (0.15 if quiet else 0.5):
            acts.append(Act(round(at, 3), "side", BENIGN, rng.choice(busy)))
            at += _between(rng, 10.0, 120.0)
    return acts


def _between(rng: random.Random, low: float, high: float) -> float:
    """Return a log-uniform draw between `low` and `high`."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))
