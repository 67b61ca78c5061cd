"""What an import leaves out, and why: reasons with counts and examples, not a line a row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from phasewatch.adapters.reading.table import Dropped

EXAMPLES = 3
"""Examples that are kept for each reason."""


@dataclass(frozen=True)
class Omission:
    """Rows, or values, that are left out for one reason: how many, and the first of them."""

    reason: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        """Return the reason and the examples as one text."""
        more = ", …" if self.count > len(self.examples) else ""
        return f"{self.reason} ({', '.join(self.examples)}{more})"


@dataclass
class Ledger:
    """Counts of what is left out, by reason, in the order in which reasons came up."""

    _counts: dict[str, int] = field(default_factory=dict)
    _examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, lines: Sequence[int], texts: Sequence[object] | None = None) -> None:
        """Count rows at these lines, with the text of each that is wrong."""
        if not len(lines):
            return
        self._counts[reason] = self._counts.get(reason, 0) + len(lines)
        examples = self._examples.setdefault(reason, [])
        for place in range(min(len(lines), EXAMPLES - len(examples))):
            shown = "" if texts is None else f": {str(texts[place])[:40]!r}"
            examples.append(f"line {lines[place]}{shown}")

    def add_dropped(self, dropped: Iterable[Dropped]) -> None:
        """Count rows that could not be parsed."""
        for one in dropped:
            self.add(one.reason, [one.line])

    @property
    def total(self) -> int:
        """The number of all rows that are counted."""
        return sum(self._counts.values())

    def omissions(self) -> tuple[Omission, ...]:
        """Return what was counted."""
        return tuple(
            Omission(reason, count, tuple(self._examples[reason]))
            for reason, count in self._counts.items()
        )
