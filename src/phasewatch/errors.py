"""The error for bad input: it names the place, the problem, what was expected and what to do.

Everything a user, a file or another machine can get wrong raises `Refused` or a subclass. The CLI
prints it as one line and exits with a code that is not 0; nothing else is caught there.
"""

import json
from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """Input that cannot be taken: `where` (file and field), `problem`, `expected`, `remedy`.

    `code` is the short name of the rule that was broken, for programs and for verdicts.
    """

    def __init__(
        self, where: object, problem: str, expected: str, remedy: str, code: str = "refused"
    ) -> None:
        self.where = str(where)
        self.problem = problem
        self.expected = expected
        self.remedy = remedy
        self.code = code
        super().__init__(f"{self.where}: {problem}; expected {expected}. {remedy}")

    def within(self, where: object) -> "Refused":
        """Return the same refusal with `where`, an outer place, before its place."""
        return self.at(f"{where}: {self.where}")

    def at(self, place: str) -> "Refused":
        """Return the same refusal with another place."""
        return Refused(place, self.problem, self.expected, self.remedy, self.code)

    def __reduce__(self) -> tuple[type["Refused"], tuple[str, ...]]:
        """Pickle the fields, so that a refusal can come from another process."""
        return Refused, (self.where, self.problem, self.expected, self.remedy, self.code)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: "1 episode", "2 episodes"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def differences(there: Mapping[str, Any], here: Mapping[str, Any], inside: str = "") -> str:
    """Return as text the fields that differ, by dotted name, with both values.

    `there` is what a file holds and `here` what was requested; `inside` is a prefix for names.
    """
    lines = []
    for key in sorted({*there, *here}):
        one, other = there.get(key), here.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            lines.append(differences(one, other, f"{inside}{key}."))
        elif one != other:
            lines.append(f"{inside}{key} is {_shown(one)} there and {_shown(other)} here")
    return "; ".join(filter(None, lines))


def _shown(value: object) -> str:
    """Return a value as text; a long one, such as a digest, is shortened."""
    text = "absent" if value is None else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:24]}…"
