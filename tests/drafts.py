"""Small tables of every shape, written for the tests of drafts."""

from collections.abc import Callable, Iterable
from pathlib import Path

from phasewatch.adapters.suggest.draft import Draft, suggest
from phasewatch.adapters.suggest.shapes import Told

T_S = 1_790_000_000
ROWS = 60


def cpu(at: int) -> float:
    """A level that is high in the middle third."""
    return 80 + at % 3 if ROWS <= 3 * at < 2 * ROWS else 5 + at % 4


def word(at: int) -> str:
    """The phase of a row, as a word."""
    return "mining" if ROWS <= 3 * at < 2 * ROWS else "benign"


def write(path: Path, head: str, rows: Iterable[str]) -> Path:
    """Write a table and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*([head] if head else []), *rows]) + "\n")
    return path


def table(path: Path, head: str, row: Callable[[int], str], rows: int = ROWS) -> Path:
    """Write a table with a row for each number."""
    return write(path, head, map(row, range(rows)))


def draft(source: Path, **told: str) -> Draft:
    """Return the draft for a source."""
    return suggest(source, Told(**told))  # type: ignore[arg-type]


def channels(found: Draft) -> dict[str, str]:
    """Return the kind of each channel of a draft, by its name."""
    import tomllib

    return {row[0]: row[2] for row in tomllib.loads(found.schema)["sources"]["table"]["channels"]}
