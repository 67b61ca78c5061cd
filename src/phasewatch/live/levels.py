"""The benign level of a machine in an open file, so that it outlives the process that measured it.

A level is measured once, in the first seconds of the first watch, and never moves by itself: what
adapts to a machine adapts to an adversary who is patient. It ages, which is said, and is measured
anew when a person asks for it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from phasewatch.errors import Refused
from phasewatch.io import atomic, fields
from phasewatch.io.trust import read_plain_file
from phasewatch.schema import NS, Schema

MOST_BYTES = 1 << 20
OLD_S = 30 * 86_400.0
"""The age from which on a level is said to be old."""


class KeptLevel(fields.Table):
    """The level of one machine: the median log rate of each channel over `seconds`.

    A channel that was not measured is null. `measured_ns` is when the seconds were over, Unix ns;
    `step_s` the step of the grid they were measured on.
    """

    format: int = Field(ge=1, le=1, description="1")
    machine: str
    measured_ns: int = Field(ge=0)
    seconds: float = Field(ge=0)
    step_s: float = Field(gt=0)
    level: dict[str, float | None]

    def of(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Return the level `[C]` of some channels in their order, NaN for one that is not known."""
        values = [self.level.get(name) for name in names]
        return np.array([np.nan if value is None else value for value in values], np.float32)

    def age_s(self, now_ns: int) -> float:
        """Return how long ago the level was measured, in seconds."""
        return (now_ns - self.measured_ns) / NS


@dataclass(frozen=True)
class KeptLevels:
    """The levels of machines under one schema, one file each in `folder`."""

    folder: Path
    schema: Schema

    def path(self, machine: str) -> Path:
        """Return the file of a machine: its name, with signs that files do not take as `-`."""
        name = re.sub(r"[^A-Za-z0-9._-]", "-", machine).lstrip(".")[:100] or "machine"
        return self.folder / f"{name}.level.json"

    def read(self, machine: str) -> KeptLevel | None:
        """Return the level of a machine, or None. Raises Refused for a damaged file."""
        path = self.path(machine)
        if not path.exists():
            return None
        data = read_plain_file(path, MOST_BYTES, "a level that `phasewatch attach` wrote")
        remedy = "Remove the file, and the level is measured anew."
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Refused(path, f"is no JSON: {error}", "a level", remedy, "level") from error
        found = fields.validate(KeptLevel, value, path, remedy=remedy, code="level")
        self._refuse_other(found, machine, path)
        return found

    def _refuse_other(self, found: KeptLevel, machine: str, path: Path) -> None:
        wanted = {"machine": machine, "step_s": self.schema.grid.step_s}
        for field, expected in wanted.items():
            if getattr(found, field) != expected:
                raise Refused(
                    f"{path}: {field}",
                    f"is {getattr(found, field)!r}",
                    repr(expected),
                    "Choose another folder, or remove the file: the level is measured anew.",
                    code="level",
                )

    def write(
        self, machine: str, level: NDArray[np.float32], seconds: float, now_ns: int
    ) -> KeptLevel:
        """Write the level `[C]` of a machine and return it. Raises OSError, as for a full disk."""
        values = {
            name: float(value) if np.isfinite(value) else None
            for name, value in zip(self.schema.names, level, strict=True)
        }
        found = KeptLevel(
            format=1,
            machine=machine,
            measured_ns=now_ns,
            seconds=seconds,
            step_s=self.schema.grid.step_s,
            level=values,
        )
        text = json.dumps(found.model_dump(), indent=1) + "\n"
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic.write(self.path(machine), text.encode())
        return found


def described(found: KeptLevel, now_ns: int) -> str:
    """Return the age of a level as text, with a warning where it is old or from the future."""
    days = found.age_s(now_ns) / 86_400
    text = f"its level was measured {days:.1f} days ago"
    if days < 0:
        return f"{text}, which lies ahead: check the clock"
    if found.age_s(now_ns) > OLD_S:
        return f"{text}, which is long: measure it anew with --new-levels in a benign hour"
    return text
