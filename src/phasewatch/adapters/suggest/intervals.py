"""A file of labels beside the telemetry: a row for each stretch of time, with its phase."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from phasewatch.adapters.clock import plausible_unit
from phasewatch.adapters.reading import opening
from phasewatch.adapters.suggest.columns import dates, hosts, labels
from phasewatch.adapters.suggest.columns.labels import Labels
from phasewatch.adapters.suggest.columns.words import lexicon, words
from phasewatch.adapters.suggest.sample import Part, Sample
from phasewatch.adapters.suggest.text import quoted
from phasewatch.errors import Refused

STARTS = lexicon(
    """
    start begin started begins from onset since first starttime
    """
)
ENDS = lexicon(
    """
    end stop ended stopped ends to until finish finished last offset endtime
    """
)


def machines(found: Sample, labelled: Labels | None) -> str:
    """Return the expression for the machines that a file of labels names, in the paths of files.

    Empty where it names none, or where some path holds none or several of them.
    """
    names = sorted(labelled.hosts if labelled else (), key=len, reverse=True)
    if len(names) < 2 or any(sum(name in path for name in names) != 1 for path in found.names):
        return ""
    return f"({'|'.join(map(re.escape, names))})"


def apart(found: Sample) -> tuple[Sample, Labels | None]:
    """Return a sample without the file of labels, and the labels; as it is where there is none."""
    for part in (*found.others, *found.parts):
        labelled = _labels(part)
        rest = [one for one in (*found.parts, *found.others) if one is not part]
        if labelled and rest:
            main = [one for one in found.parts if one is not part] or rest
            names = dict.fromkeys(name for one in main for name in one.table.columns)
            others = [one for one in rest if one not in main]
            return (
                replace(
                    found,
                    names=tuple(name for name in found.names if name != part.name),
                    parts=tuple(main),
                    others=tuple(others),
                    columns=tuple(names),
                ),
                labelled,
            )
    return found, None


def read(path: Path) -> Labels:
    """Return the labels of a file of intervals. Raises Refused where it is none."""
    (given,) = opening.find(path)
    found = _labels(Part(given.name, opening.sample(given)))
    if found is None:
        raise Refused(
            path, "is no file of labels", "columns such as start, end and label", "Check --labels.",
        )  # fmt: skip
    return found


def _labels(part: Part) -> Labels | None:
    """Return the labels of a file of intervals, or None where a file is none."""
    columns = part.table.columns
    starts = [name for name in columns if STARTS & set(words(name)) and _times(columns[name])]
    ends = [name for name in columns if ENDS & set(words(name)) and _times(columns[name])]
    if not starts or not ends or starts[0] == ends[0]:
        return None
    rest = [name for name in columns if name not in (starts[0], ends[0])]
    host = hosts.named(rest) or next((n for n in rest if set(words(n)) & {"network"}), "")
    named = [name for name in rest if name != host]
    label = _label(named, columns)
    if not label:
        return None
    found = sorted({cell.strip() for cell in columns[label]} - {""})
    lines = [
        f"file = {quoted(part.name)}",
        f"start = {quoted(starts[0])}",
        f"end = {quoted(ends[0])}",
        f"label = {quoted(label)}",
        *([f"host = {quoted(host)}"] if host else []),
        f'outside = "{labels.REST}"  # CHECK the phase of all other time',
        *_written(columns[starts[0]]),
    ]
    hosts_named = frozenset(columns[host]) if host else frozenset()
    return Labels(tuple(lines), tuple(dict.fromkeys((labels.REST, *found))), hosts=hosts_named)


def _label(names: Sequence[str], columns: dict[str, list[str]]) -> str:
    """Return the column of a file of intervals that says what each is; empty for none."""
    stated = [name for name in names if labels.holds_answer(name)]
    texts = [name for name in names if any(cell.strip() for cell in columns[name])]
    texts = [name for name in texts if not all(_number(cell) for cell in columns[name] if cell)]
    return (stated or texts or [""])[0]


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _times(cells: Sequence[str]) -> bool:
    """Return whether cells are times of this century."""
    given = [cell.strip() for cell in cells if cell.strip()]
    return bool(given) and bool(_written(given))


def _written(cells: Sequence[str]) -> list[str]:
    """Return how the times of a file of intervals are written, as TOML."""
    given = [cell.strip() for cell in cells if cell.strip()]
    units = {plausible_unit(cell) for cell in given}
    if len(units) == 1 and "" not in units:
        return [f'unit = "{units.pop()}"']
    form = dates.form(given)
    if form is None:
        return []
    if form.other:
        return [
            f'format = "?"  # CHECK "{form.format}" (day first) or "{form.other}" (month first)'
        ]
    return [f'format = "{form.format}"' if form.format else 'unit = "iso"']
