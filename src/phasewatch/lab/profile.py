"""Load profiles: what an episode does, as scripts, and when it does it, as a schedule.

A profile is one file of `profiles/`; dropping a file there registers it. A sample is one script of
it, named by the digest of its text. A schedule depends on sample, host and seed alone, and leaves
no rule of thumb to read the phase off the clock: spans, pauses and companions are drawn.
"""

import hashlib
import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from phasewatch.errors import Refused
from phasewatch.lab.hosts import Host

PROFILES = Path(__file__).parent / "profiles"
BENIGN = "benign"
PHASES = (BENIGN, "execution", "discovery", "command_and_control", "exfiltration", "impact")

OPENING_S = 15.0
HOSTILE_S = (8.0, 25.0)
BETWEEN_S = 5.0
CLOSING_S = 6.0
PIECE_S = 7.0
FEWEST = 2
"""Hostile acts that a run has at least."""

COMPANY = 0.45
"""How often a work act has a benign program beside it: alike for benign and hostile ones."""

Slot = Literal["work", "side"]


@dataclass(frozen=True)
class Line:
    """One line of a script: the phase, and the program with its settings."""

    phase: str
    program: str


@dataclass(frozen=True)
class Sample:
    """One script; `id` is the first 12 hex digits of the sha256 of its text."""

    id: str
    script: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Profile:
    """What one kind of load does; `ordered` when its phases only make sense in script order."""

    name: str
    meaning: str
    ordered: bool
    samples: tuple[Sample, ...]

    def sample(self, id: str) -> Sample:
        """A sample by id; raises Refused with the ids there are."""
        for sample in self.samples:
            if sample.id == id:
                return sample
        known = ", ".join(sample.id for sample in self.samples)
        raise Refused(f"profile {self.name}: sample {id}", "is unknown", known, "Choose one.")


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


def profiles(folder: Path = PROFILES) -> dict[str, Profile]:
    """Every profile of the folder, by name; raises Refused."""
    made = {}
    for path in sorted(folder.glob("*.toml")):
        found = read(path)
        made[found.name] = found
    return made


def profile(name: str, folder: Path = PROFILES) -> Profile:
    """One profile by name; raises Refused with the names there are."""
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.toml")))
        raise Refused(f"profile {name}", "is unknown", known, "Choose one.")
    return read(path)


def read(path: Path) -> Profile:
    """A profile from its file; raises Refused."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        samples = tuple(_sample(str(block["script"])) for block in table["sample"])
        made = Profile(str(table["name"]), str(table["meaning"]), bool(table["ordered"]), samples)
        if made.name != path.stem:
            raise ValueError(f"name {made.name!r} is not the file's name")
        if len({sample.id for sample in samples}) < max(3, len(samples)):
            raise ValueError("fewer than three different samples")
    except OSError as error:
        raise Refused(path, error.strerror or str(error), "a profile", "Check it.") from error
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise Refused(path, problem, "a profile like its neighbours", "Correct it.") from error
    return made


def _sample(text: str) -> Sample:
    script = "\n".join(" ".join(row.split()) for row in text.strip().splitlines()) + "\n"
    digest = hashlib.sha256(script.encode()).hexdigest()
    lines = tuple(_line(row) for row in script.splitlines())
    return Sample(digest[:12], script, lines)


def _line(row: str) -> Line:
    phase, _, program = row.partition(" ")
    if phase not in PHASES or not program:
        raise ValueError(f"script line {row!r} is not PHASE PROGRAM with one of {PHASES}")
    return Line(phase, program)


def schedule(
    profile: Profile, sample: Sample, host: Host, seed: int, seconds: float
) -> tuple[Act, ...]:
    """The acts of one episode in order of time, drawn from sample, host and seed alone.

    Opens with at least 15 s of benign work; hostile acts last 8 to 25 s, with benign work between
    and after them. Raises Refused when `seconds` is too short for the script.
    """
    rng = random.Random(f"{sample.id} {host.name} {seed}")
    hostile = [line for line in sample.lines if line.phase != BENIGN]
    # Not every run comes to all that its script holds, or every script had its own timetable.
    done = rng.randint(min(FEWEST, len(hostile)), len(hostile))
    hostile = [hostile[place] for place in sorted(rng.sample(range(len(hostile)), done))]
    if not profile.ordered:
        rng.shuffle(hostile)
    own = tuple(line.program for line in sample.lines if line.phase == BENIGN)
    work: list[Act] = []
    at = 0.0
    for span in _spans(rng, hostile, seconds):
        if span.line:
            work.append(Act(round(at, 3), "work", span.line.phase, span.line.program))
        else:
            work += _benign(rng, at, span.seconds, own + host.programs)
        at += span.seconds
    side = _company(rng, work, seconds, host, own + host.programs)
    return tuple(sorted(work + side, key=lambda act: (act.at_s, act.slot)))


def _spans(rng: random.Random, hostile: Sequence[Line], seconds: float) -> list[_Span]:
    """Benign and hostile spans that fill `seconds`; a span without a line is benign."""
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
    # Some of the spare time stays benign even where the script is long, or openings never vary.
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
    """A benign span as acts of 7 to some 25 s."""
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
    """The side slot: the host's background, at times replaced by benign work beside a work act."""
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
