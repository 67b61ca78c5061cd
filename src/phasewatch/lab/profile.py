"""Load profiles: what an episode does, as scripts, and when it does it, as a schedule.

A profile is one file of `profiles/`; every file there is a profile. Some of its samples are scripts
that the file lists, others are drawn from the spaces it describes; all are named by the digest of
their text. A schedule depends on sample, host, seed and length alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from phasewatch.errors import Refused
from phasewatch.io import fields
from phasewatch.lab import script
from phasewatch.lab.hosts import Host
from phasewatch.lab.script import BENIGN, CORES, PHASES, Line, Sample
from phasewatch.lab.timetable import Act, Slot, day, long_run, short_run

__all__ = [
    "BENIGN",
    "PHASES",
    "Act",
    "Line",
    "Profile",
    "Sample",
    "Slot",
    "catalogue",
    "profile",
    "profiles",
    "read",
    "schedule",
]

PROFILES = Path(__file__).parent / "profiles"
FEWEST_SAMPLES = 3
SHORT_S = 120.0
"""Shorter episodes run their script once, as all episodes of the first corpus do."""


@dataclass(frozen=True)
class Profile:
    """One kind of load; `ordered` is true when its phases only make sense in script order.

    `samples` are those that the file lists, `drawn` those of its spaces. A profile of kind "day"
    is benign from end to end, with the pauses of a working day or of a night.
    """

    name: str
    meaning: str
    ordered: bool
    samples: fields.Tuple[Sample]
    drawn: fields.Tuple[Sample] = ()
    kind: Literal["run", "day"] = "run"

    @property
    def every(self) -> tuple[Sample, ...]:
        """All samples, the listed ones first."""
        return self.samples + self.drawn

    def sample(self, id: str) -> Sample:
        """Return a sample by its id. Raises Refused, which lists the known ids."""
        for sample in self.every:
            if sample.id == id:
                return sample
        known = ", ".join(sample.id for sample in self.every)
        raise Refused(f"profile {self.name}: sample {id}", "is unknown", known, "Choose one.")


class Listed(fields.Table):
    """A sample that is written out."""

    script: str

    @model_validator(mode="after")
    def _readable(self) -> "Listed":
        script.sample(self.script)
        return self


class Space(fields.Table):
    """A script with ranges in it, and how many samples are drawn from it."""

    name: str
    draws: Annotated[int, Field(ge=1, le=200)]
    script: str
    cores: Annotated[float, Field(gt=0, le=2)] = CORES

    def samples(self, profile: str) -> Iterator[Sample]:
        """Yield the samples; a higher `draws` adds samples and changes none."""
        for number in range(1, self.draws + 1):
            yield script.sample(self.script_of(profile, number), self.cores)

    def script_of(self, profile: str, number: int) -> str:
        """Return the script of one draw, counted from 1. Raises ValueError for a wrong range."""
        return script.draw(self.script, f"{profile} {self.name} {number}")

    @model_validator(mode="after")
    def _readable(self) -> "Space":
        list(self.samples("check"))
        return self


class Hybrid(fields.Table):
    """Two profiles in one script: the acts of a draw of the first, then those of the second."""

    first: str
    second: str
    draws: Annotated[int, Field(ge=1, le=200)]


class File(fields.Table):
    """The contents of a profile's file."""

    name: str
    meaning: str
    ordered: bool
    kind: Literal["run", "day"] = "run"
    sample: fields.Tuple[Listed] = ()
    space: fields.Tuple[Space] = ()
    hybrid: fields.Tuple[Hybrid] = ()


def profiles(folder: Path = PROFILES) -> dict[str, Profile]:
    """Return the profiles that list samples, by name: those of short episodes.

    `catalogue` returns the others too. Raises Refused for a file that is none.
    """
    return {name: found for name, found in catalogue(folder).items() if found.samples}


def catalogue(folder: Path = PROFILES) -> dict[str, Profile]:
    """Return every profile of a folder, by name. Raises Refused for a file that is none."""
    return {found.name: found for found in map(read, sorted(folder.glob("*.toml")))}


def profile(name: str, folder: Path = PROFILES) -> Profile:
    """Return a profile by its name. Raises Refused, which lists the known names."""
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.toml")))
        raise Refused(f"profile {name}", "is unknown", known, "Choose one.")
    return read(path)


def read(path: Path) -> Profile:
    """Return the profile in a file. Raises Refused for a wrong field or too few samples."""
    file = fields.read(path, File, "a profile like its neighbours")
    listed = tuple(script.sample(block.script) for block in file.sample)
    drawn = [sample for space in file.space for sample in space.samples(file.name)]
    drawn += [sample for pair in file.hybrid for sample in _hybrids(pair, path.parent)]
    ids = {sample.id for sample in (*listed, *drawn)}
    problem = ""
    if file.name != path.stem:
        problem = f"name {file.name!r} is not the file's name"
    elif len(ids) < len(listed) + len(drawn):
        problem = "two samples are the same"
    elif len(ids) < FEWEST_SAMPLES:
        problem = f"fewer than {FEWEST_SAMPLES} different samples"
    if problem:
        raise Refused(path, problem, "a profile like its neighbours", "Correct it.")
    return Profile(file.name, file.meaning, file.ordered, listed, tuple(drawn), file.kind)


def _hybrids(pair: Hybrid, folder: Path) -> Iterator[Sample]:
    """Yield new draws from both profiles' spaces, joined: hostile lines first, in script order."""
    spaces = [
        fields.read(folder / f"{name}.toml", File, "a profile with spaces").space
        for name in (pair.first, pair.second)
    ]
    for number in range(1, pair.draws + 1):
        lines: list[str] = []
        for name, choices in zip((pair.first, pair.second), spaces, strict=True):
            space = choices[number % len(choices)]
            lines += space.script_of(f"{pair.first}+{pair.second} {name}", number).splitlines()
        lines.sort(key=lambda line: line.split()[0] == BENIGN)
        yield script.sample("\n".join(dict.fromkeys(lines)))


def schedule(
    profile: Profile, sample: Sample, host: Host, seed: int, seconds: float
) -> tuple[Act, ...]:
    """Return the acts of an episode in order of time, drawn from sample, host, seed and length.

    Raises Refused when `seconds` is too short for the script.
    """
    if profile.kind == "day":
        return day(sample, host, seed, seconds)
    if seconds < SHORT_S:
        return short_run(sample, profile.ordered, host, seed, seconds)
    return long_run(sample, profile.ordered, host, seed, seconds)
