"""Presets: a checked schema and mapping for the files of a common tool, found by their folder.

A preset is a folder `adapters/presets/NAME` with `schema.toml` and `mapping.toml`. How dates are
written is found in the files, where it differs from the preset; the phase is what the user says.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from phasewatch import schema as schemas
from phasewatch.adapters import mapping as mappings
from phasewatch.adapters.suggest import intervals, time_columns
from phasewatch.adapters.suggest.columns import numbers
from phasewatch.adapters.suggest.sample import Sample
from phasewatch.errors import Refused
from phasewatch.schema import QUESTION, Schema

ROOT = resources.files("phasewatch") / "adapters" / "presets"


@dataclass(frozen=True)
class Preset:
    """The name of a preset, and its two files as text."""

    name: str
    schema: str
    mapping: str

    @property
    def about(self) -> str:
        """What files of this form are, in a sentence."""
        found = next(iter(tomllib.loads(self.schema)["sources"].values()))
        return str(found["meaning"])

    @property
    def day_first(self) -> bool:
        """Whether such files write days before months."""
        return str(self.fields["time"].get("format", "")).startswith("%d")

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the mapping."""
        return tomllib.loads(self.mapping)


def names() -> list[str]:
    """Return the names of all presets."""
    return sorted(one.name for one in ROOT.iterdir() if one.joinpath("mapping.toml").is_file())


def load(name: str) -> Preset:
    """Return a preset. Raises Refused for a name that is none."""
    if name not in names():
        raise Refused(f"preset {name}", "is unknown", ", ".join(names()), "Use one of these.")
    schema, mapping = (
        ROOT.joinpath(name, f"{part}.toml").read_text(encoding="utf-8")
        for part in ("schema", "mapping")
    )
    return Preset(name, schema, mapping)


def fitting(sample: Sample) -> str:
    """Return the name of the preset whose form the files of a sample have; empty for none."""
    return next((name for name in names() if _fits(load(name), sample)), "")


def _fits(preset: Preset, sample: Sample) -> bool:
    """Return whether a sample has the columns and quantities that a preset needs."""
    fields = preset.fields
    renamed = {_renamed(name, fields) for name in sample.columns}
    if not set(_needed(fields)) - set(_clock(fields, sample)) <= renamed:
        return False
    if "pivot" not in fields:
        return True
    wanted = {source for source in fields["channels"].values() if isinstance(source, str)}
    return bool(wanted & set(_quantities(fields["pivot"], sample)))


def _renamed(name: str, fields: Mapping[str, Any]) -> str:
    """Return the name of a column after the renaming of a mapping."""
    for pattern, text in fields.get("files", {}).get("rename", []):
        name = re.sub(pattern, text, name)
    return name


def _clock(fields: Mapping[str, Any], sample: Sample) -> list[str]:
    """Return the column of times of a mapping that is named by its file, not by the preset."""
    column = fields["time"]["column"]
    return [column] if any(time_columns.PERFMON.search(name) for name in sample.columns) else []


def _needed(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield the columns that each file must have for a mapping."""
    yield fields["time"]["column"]
    yield from fields.get("rows", {}).get("keep", {}) if "pivot" not in fields else ()
    for source in (*fields["episode"].values(), fields["phase"]):
        if isinstance(source, dict) and "column" in source:
            yield source["column"]
    if "pivot" in fields:
        yield _listed(fields["pivot"]["name"])[0]
        return
    for source in fields["channels"].values():
        if isinstance(source, str):
            yield source
        else:
            yield from source.get("where", ())


def _listed(value: Any) -> list[str]:
    """Return a field that may be one text or several as a list."""
    return list(value) if isinstance(value, list) else [value]


def _quantities(pivot: Mapping[str, Any], sample: Sample) -> Iterator[str]:
    """Yield the quantities of a long table, as a pivot names them."""
    named = [name for name in _listed(pivot["name"]) if name in sample.columns]
    values = [name for name in _listed(pivot["value"]) if name in sample.columns]
    for texts in set(zip(*(sample.every(name) for name in named), strict=True)):
        quantity = ".".join(filter(None, texts))
        several = len(_listed(pivot["value"])) > 1
        yield from (f"{quantity}.{value}" if several else quantity for value in values)


@dataclass(frozen=True)
class Fitted:
    """A preset for the files of a sample, and the channels that none of them has."""

    schema: Schema
    mapping: mappings.Mapping
    absent: tuple[str, ...]


def fit(preset: Preset, sample: Sample, phase: str = "", labels: Path | None = None) -> Fitted:
    """Return a preset for the files of a sample, without the channels that they lack.

    `phase` is that of every row, `labels` a file of stretches of time with their phase. Raises
    Refused where neither is given and the preset has no column of phases, or where the files are
    not of its form.
    """
    if not _fits(preset, sample):
        raise _unfit(preset, sample)
    place = f"preset {preset.name}"
    schema = schemas.parse_fields(tomllib.loads(preset.schema), place)
    fields = _pruned(preset.fields, sample) | {"time": _time(preset, sample)}
    fields |= _numbers(fields, sample)
    absent = tuple(name for name in schema.names if name not in fields["channels"])
    known = [one for one in schema.channels if one.name not in absent]
    fields["phase"], classes = _phase(preset, phase, labels, schema.classes, sample.source)
    schema = replace(schema, channels=tuple(known), classes=classes)
    return Fitted(schema, mappings.parse(fields, place, schema), absent)


def _phase(
    preset: Preset, phase: str, labels: Path | None, classes: tuple[str, ...], source: Path
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields of [phase] and the classes. Raises Refused where none state the phase."""
    fields: dict[str, Any] = preset.fields["phase"]
    if labels:
        found = intervals.read(labels)
        stated = tomllib.loads("\n".join(found.fields))
        return stated | {"file": _place(labels, source)}, found.classes
    if phase:
        benign = phase if phase in classes else classes[0]
        return {"value": phase}, classes if phase in classes else (benign, phase)
    if fields.get("value") == QUESTION:
        raise Refused(
            f"preset {preset.name}", "knows no phase, and no column of such files states it",
            "--phase benign, for example, or --labels FILE with start, end and label",
            "Add one of the two.",
        )  # fmt: skip
    return fields, classes


def _place(labels: Path, source: Path) -> str:
    """Return the path of a file of labels, relative to a folder of tables that it lies in."""
    inside = source.is_dir() and labels.resolve().is_relative_to(source.resolve())
    path = labels.resolve()
    return path.relative_to(source.resolve()).as_posix() if inside else str(path)


def _numbers(fields: dict[str, Any], sample: Sample) -> dict[str, Any]:
    """Return the fields of [numbers], where the files write a decimal comma."""
    wanted = [name for name in sample.columns if _renamed(name, fields) in _sources(fields)]
    found = numbers.notation((name, sample.every(name)) for name in wanted).numerals
    if "numbers" in fields or found.decimal == ".":
        return {}
    return {"numbers": {"decimal": found.decimal, "thousands": found.thousands}}


def _sources(fields: Mapping[str, Any]) -> set[str]:
    """Return the columns or quantities of the channels of a mapping."""
    found = fields["channels"].values()
    return {one if isinstance(one, str) else one.get("column", "") for one in found}


def _unfit(preset: Preset, sample: Sample) -> Refused:
    """Return the refusal of files that are not of a preset's form."""
    fields = preset.fields
    renamed = {_renamed(name, fields) for name in sample.columns}
    absent = [one for one in _needed(fields) if one not in renamed]
    problem = f"has no column {', '.join(absent[:4])}" if absent else "has none of its quantities"
    other = fitting(sample)
    return Refused(
        sample.parts[0].name, f"{problem}, which preset {preset.name} needs",
        f"files of its form; these have {', '.join(sample.columns[:6])}",
        f"Use --preset {other}, which fits." if other else "Draft a mapping with schema suggest.",
    )  # fmt: skip


def _pruned(fields: dict[str, Any], sample: Sample) -> dict[str, Any]:
    """Return the fields of a mapping without rules and names for columns that no file has."""
    fields = fields | {"channels": _measured(fields, sample)}
    if "pivot" in fields:
        pivot = {
            key: [name for name in _listed(value) if name in sample.columns]
            for key, value in fields["pivot"].items()
        }
        several = len(_listed(fields["pivot"]["value"])) > 1
        if several and len(pivot["value"]) == 1:
            # With one column of values left, quantities would lose its name.
            pivot["value"] = _listed(fields["pivot"]["value"])
        fields = fields | {"pivot": pivot}
    rows = fields.get("rows", {})
    if "keep" in rows:
        kept = {name: texts for name, texts in rows["keep"].items() if name in sample.columns}
        rows = {key: value for key, value in rows.items() if key != "keep"}
        fields = fields | {"rows": rows | ({"keep": kept} if kept else {})}
    return fields


def _measured(fields: dict[str, Any], sample: Sample) -> dict[str, Any]:
    """Return the channels of a mapping for which some file has the column or the quantity."""
    if "pivot" in fields:
        there = set(_quantities(fields["pivot"], sample))
    else:
        there = {_renamed(name, fields) for name in sample.columns} | {""}
    return {
        name: source
        for name, source in fields["channels"].items()
        if (source if isinstance(source, str) else source.get("column", "")) in there
    }


def _time(preset: Preset, sample: Sample) -> dict[str, Any]:
    """Return the fields of [time] as the files of a sample write times."""
    time: dict[str, Any] = preset.fields["time"]
    told = time["column"] if time["column"] in sample.columns else ""
    found, _ = time_columns.choose(sample, told, preset.day_first)
    if found.question:
        return time
    lines = "\n".join(line for line in found.lines if not line.startswith("#"))
    return {"column": list(found.columns), **tomllib.loads(lines)}
