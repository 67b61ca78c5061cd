"""Scripts: the acts of an episode, line by line, and the spaces that scripts are drawn from.

A script line is `PHASE PROGRAM key=value ...`. A line of a space may begin with the probability of
its being drawn, such as `60%`, and its values may be ranges and alternatives:

    3..20      uniform; an integer when both ends are integers
    3~20       log-uniform: as many between 3 and 6 as between 6 and 12
    64|256     one of these
"""

import hashlib
import math
import random
from dataclasses import dataclass

BENIGN = "benign"
PHASES = (BENIGN, "execution", "discovery", "command_and_control", "exfiltration", "impact")

CORES = 0.6
"""Share of a processor that a recording needs where its space does not give one."""


@dataclass(frozen=True)
class Line:
    """One line of a script: the phase, and the program with its settings."""

    phase: str
    program: str

    def setting(self, key: str, default: float) -> float:
        """Return a setting as a number, or `default` where the line leaves it out."""
        for word in self.program.split()[1:]:
            name, _, value = word.partition("=")
            if name == key:
                return float(value)
        return default


@dataclass(frozen=True)
class Sample:
    """One script; `id` is the first 12 hex digits of the sha256 of its text.

    `cores` is the share of a processor that a recording of it needs, as a mean over its time.
    """

    id: str
    script: str
    lines: tuple[Line, ...]
    cores: float = CORES


def sample(text: str, cores: float = CORES) -> Sample:
    """Return the sample of a script. Raises ValueError for a line that is none."""
    script = "\n".join(" ".join(row.split()) for row in text.strip().splitlines()) + "\n"
    digest = hashlib.sha256(script.encode()).hexdigest()
    return Sample(digest[:12], script, tuple(map(_line, script.splitlines())), cores)


def _line(row: str) -> Line:
    phase, _, program = row.partition(" ")
    if phase not in PHASES or not program:
        raise ValueError(f"script line {row!r} is not PHASE PROGRAM with one of {PHASES}")
    return Line(phase, program)


def draw(space: str, seed: str) -> str:
    """Return a script of a space; the same seed gives the same script.

    Raises ValueError for a range whose ends are not numbers in rising order.
    """
    rng = random.Random(seed)
    return "\n".join(row for row in (_row(rng, row) for row in space.strip().splitlines()) if row)


def _row(rng: random.Random, row: str) -> str:
    """Return a line with every value drawn, or "" for a line that is not drawn."""
    words = row.split()
    chance = rng.random()
    if words and words[0].endswith("%") and 100 * chance >= float(words.pop(0)[:-1]):
        return ""
    return " ".join(_word(rng, word) for word in words)


def _word(rng: random.Random, word: str) -> str:
    key, equals, value = word.partition("=")
    return f"{key}={_value(rng, value)}" if equals else word


def _value(rng: random.Random, value: str) -> str:
    if "|" in value:
        return rng.choice(value.split("|"))
    for mark in ("..", "~"):
        low, found, high = value.partition(mark)
        if found:
            return _number(rng, low, high, mark == "~")
    return value


def _number(rng: random.Random, low: str, high: str, logarithmic: bool) -> str:
    """Return a number from `low` to `high`, with at most three significant digits."""
    ends = float(low), float(high)
    if not ends[0] < ends[1] or (logarithmic and ends[0] <= 0):
        raise ValueError(f"{low} to {high} is no range")
    if logarithmic:
        number = math.exp(rng.uniform(math.log(ends[0]), math.log(ends[1])))
    else:
        number = rng.uniform(*ends)
    if "." not in low + high or number >= 100:
        return str(round(number))
    return f"{number:.3g}"


def ambiguous(program: str, seconds: float) -> bool:
    """Return whether `seconds` of a program look the same under a benign and a hostile label.

    Short calls of one size to one destination that nothing follows do: those of a `heartbeat`, and
    those of a `beacon` or a `tasking` that fetches no task in its time.
    """
    name = program.split()[0]
    line = Line("", program)
    if name == "beacon":
        calls = line.setting("task_n", 6)
        return calls == 0 or calls * line.setting("period_s", 5) > seconds
    return name == "heartbeat" or (name == "tasking" and line.setting("task", 30) == 0)
