"""A file of labels beside the telemetry: a row for each stretch of time, with its phase."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from phasewatch.adapters.clock import plausible_unit
from phasewatch.adapters.reading import opening
from phasewatch.adapters.suggest import time_columns
from phasewatch.adapters.suggest.columns import dates, hosts, labels
from phasewatch.adapters.suggest.columns.labels import Labels
from phasewatch.adapters.suggest.columns.words import lexicon, words
from phasewatch.adapters.suggest.sample import Part, Sample
from phasewatch.adapters.suggest.text import quoted
from phasewatch.errors import Refused

STARTS = lexicon(
    """
    start begin started begins from onset since first starttime beginn anfang von inicio debut
    """
)
ENDS = lexicon(
    """
    end stop ended stopped ends to until finish finished last offset endtime ende bis fin
    """
)
REST = re.compile(r"benign|normal|background|clean|none|no attack", re.IGNORECASE)
"""Labels of a file of intervals that are the phase of all other time, too."""

LENGTHS = lexicon("duration dur length lasted lasts")

LENGTH_UNITS = {"ms": "ms", "millis": "ms", "min": "min", "mins": "min", "minutes": "min",
                "h": "h", "hours": "h"}  # fmt: skip
"""Words in the name of a column of durations, and the unit that each says; seconds without one."""

MARKS = 0.1
"""Rows of a file of marks at most, as a share of those of the longest other file."""


def of_hosts(labelled: Labels | None, hosts: Iterable[str]) -> tuple[Labels | None, str]:
    """Return labels with the column whose words are machines, and another of several words.

    Without it, the attack on one machine would be the phase of all.
    """
    if labelled is None or labelled.hosts:
        return labelled, ""
    for name, words_of in labelled.unused:
        if words_of <= set(hosts):
            lines = (*labelled.fields, f"host = {quoted(name)}")
            return replace(labelled, fields=lines, hosts=words_of), ""
    left = next((name for name, words_of in labelled.unused if len(words_of) > 1), "")
    return labelled, left


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
        longest = max(len(one.table) for one in (*found.others, *found.parts))
        labelled = _labels(part, len(part.table) <= MARKS * longest)
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


def _labels(part: Part, few: bool = True) -> Labels | None:
    """Return the labels of a file of intervals, or None where a file is none.

    A file of `few` rows may also have a time and a label alone, which holds until the next.
    """
    columns = part.table.columns
    start, until = _stretches(columns, few)
    if not start:
        return None
    rest = [name for name in columns if name != start and quoted(name) not in until.values()]
    host = hosts.named(rest) or next((n for n in rest if set(words(n)) & {"network"}), "")
    named = [name for name in rest if name != host]
    label = _label(named, columns)
    marks = until.get("end") == quoted("")
    if not label or (marks and not _states_phases(named, label, columns)):
        return None
    found = sorted({cell.strip() for cell in columns[label]} - {""})
    outside, classes = _outside(found)
    fields = {
        "file": quoted(part.name), "start": quoted(start), **until, "label": quoted(label),
        **({"host": quoted(host)} if host else {}),
        "outside": outside,
    }  # fmt: skip
    lines = [*(f"{key} = {value}" for key, value in fields.items()), *_written(columns[start])]
    hosts_named = frozenset(columns[host]) if host else frozenset()
    unused = tuple(
        (name, frozenset(columns[name]))
        for name in named
        if name != label and not all(map(labels.is_number, filter(None, columns[name])))
    )
    return Labels(tuple(lines), classes, hosts=hosts_named, unused=unused)


def _outside(found: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the phase of all other time as TOML, and the classes; a question where it is open.

    Where the labels name idle time, for example, all other time may be that, or another phase.
    """
    rest = next((one for one in found if REST.fullmatch(one)), "")
    harmless = [one for one in found if labels.BENIGN.search(one)]
    if harmless and not rest:
        line = (
            f'"?"  # CHECK the phase of all other time: {quoted(harmless[0])}, or a further class'
        )
        return line, labels.benign_first(found)
    outside = rest or labels.REST
    line = f"{quoted(outside)}  # CHECK the phase of all other time"
    return line, tuple(dict.fromkeys((outside, *found)))


def _stretches(columns: dict[str, list[str]], few: bool) -> tuple[str, dict[str, str]]:
    """Return the column of the starts, empty for none, and the fields that say where each ends."""
    starts = [name for name in columns if STARTS & set(words(name)) and _times(columns[name])]
    ends = [name for name in columns if ENDS & set(words(name)) and _times(columns[name])]
    if starts and ends and starts[0] != ends[0]:
        return starts[0], {"end": quoted(ends[0])}
    times = starts or [n for n in columns if time_columns.rank_of(n) < 2 and _times(columns[n])]
    lengths = [name for name in columns if LENGTHS & set(words(name)) and _numbers(columns[name])]
    if times and lengths:
        unit = next((LENGTH_UNITS[w] for w in words(lengths[0]) if w in LENGTH_UNITS), "s")
        said = {} if unit == "s" else {"duration_unit": quoted(unit)}
        return times[0], {"duration": quoted(lengths[0]), **said}
    return (times[0], {"end": quoted("")}) if times and few else ("", {})


def _states_phases(names: Sequence[str], label: str, columns: dict[str, list[str]]) -> bool:
    """Return whether a file without ends holds phases, and no values beside them."""
    values = [name for name in names if name != label and _numbers(columns[name])]
    return labels.holds_answer(label) and not values


def _numbers(cells: Sequence[str]) -> bool:
    """Return whether all cells that are not empty are numbers, and some are."""
    given = [cell.strip() for cell in cells if cell.strip()]
    return bool(given) and all(map(labels.is_number, given))


def _label(names: Sequence[str], columns: dict[str, list[str]]) -> str:
    """Return the column of a file of intervals that says what each is; empty for none."""
    stated = [name for name in names if labels.holds_answer(name)]
    texts = [name for name in names if any(cell.strip() for cell in columns[name])]
    texts = [
        name for name in texts if not all(labels.is_number(cell) for cell in columns[name] if cell)
    ]
    return (stated or texts or [""])[0]


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
