"""The text of the two drafts: TOML with a comment on each line that a person must check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phasewatch.adapters.suggest.channels import SOURCE, Channel
from phasewatch.adapters.suggest.columns.labels import Labels
from phasewatch.adapters.suggest.grid import Grid
from phasewatch.adapters.suggest.text import quoted


@dataclass(frozen=True)
class Parts:
    """Everything that the drafts say; `files`, `time`, `rows` and `pivot` are lines of TOML."""

    channels: Sequence[Channel]
    labels: Labels
    grid: Grid
    identity: Mapping[str, str]
    files: Sequence[str]
    numbers: Sequence[str]
    time: Sequence[str]
    rows: Sequence[str]
    pivot: Sequence[str]


def schema(parts: Parts) -> str:
    """Return the draft of the schema."""
    grid = parts.grid
    classes = ", ".join(map(quoted, parts.labels.classes))
    lines = [
        "# CHECK every line marked so. The first class must be the benign one.",
        'name = "draft"',
        f"classes = [{classes}]  # CHECK",
        '# untested = ["real malware"]  # what no recording contains; every report says so',
        "",
        f"[grid]  # rows come every {grid.every_s:.4g} s",
        f"window_s = {grid.window_s:g}",
        f"stride_s = {grid.stride_s:g}",
        f"step_s = {grid.step_s:g}",
        f"hold_s = {grid.hold_s:g}",
        "",
        f"[sources.{SOURCE}]",
        "deployed = true  # CHECK: is it collected outside the machine, where it can be trusted?",
        'meaning = "columns of the tables"',
        "channels = [  # name, unit, kind (gauge, counter, event), meaning; CHECK units and kinds",
        *map(_channel, parts.channels),
        "]",
    ]
    return "\n".join(lines) + "\n"


def _channel(one: Channel) -> str:
    """Return the line of a channel in the schema."""
    counted = f"rows whose {one.where[0]} is {one.where[1]}" if one.where else "rows"
    meaning = quoted(one.column or counted)
    asked = ' # CHECK it only rises: "counter" for a running total, "gauge" for a level'
    remark = asked if one.kind == "?" else ""
    return f'  [{quoted(one.name)}, {quoted(one.unit)}, "{one.kind}", {meaning}],{remark}'


def mapping(parts: Parts) -> str:
    """Return the draft of the mapping."""
    lines = [
        "# CHECK every line marked so; docs/how-to/import.md explains each field.",
        *_table("files", ['pattern = "**/*"', *parts.files]),
        *_table("numbers", parts.numbers),
        *_table("time", parts.time),
        *_table("rows", parts.rows, "  # CHECK"),
        *_table("pivot", parts.pivot, "  # CHECK"),
        "[episode]  # CHECK: which machine, which recording, which kind of program",
        *(f"{key} = {source}" for key, source in parts.identity.items()),
        'profile = "recorded"',
        "",
        "[phase]  # CHECK",
        *parts.labels.fields,
        "",
        "[channels]",
        *(f'"{SOURCE}.{one.name}" = {_source(one)}' for one in parts.channels),
    ]
    return "\n".join(lines) + "\n"


def _table(name: str, lines: Sequence[str], remark: str = "") -> list[str]:
    """Return a table of TOML, nothing where it has no lines."""
    return [f"[{name}]{remark}", *lines, ""] if lines else []


def _source(one: Channel) -> str:
    """Return where the values of a channel are, as TOML."""
    if one.where:
        return f"{{ rows = true, where = {{ {' = '.join(map(quoted, one.where))} }} }}"
    if not one.column:
        return "{ rows = true }"
    if one.optional:
        return f"{{ column = {quoted(one.column)}, optional = true }}"
    return quoted(one.column)
