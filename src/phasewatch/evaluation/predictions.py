"""Predictions of a run and what is needed to score them: one open Parquet file.

Every number of a report can be computed again from this file, and others: it has a row for each
window, model, mode and subset, with the true class and the logits of the model.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from phasewatch.episode import Identity
from phasewatch.errors import Refused
from phasewatch.evaluation.leakage import Check
from phasewatch.evaluation.smoothing import MarkovChain
from phasewatch.features.views import Array
from phasewatch.io import atomic, parquet
from phasewatch.schema import Mode
from phasewatch.splits import Split
from phasewatch.windowing import Windows, concatenate

FORMAT = 2
GROUP_COLUMNS = {"fold": "fold", "model": "model", "mode": "mode", "part": "subset"}
"""Columns that distinguish predictions, and the field of `Predictions` that each holds."""

REQUIRED_SUBSETS = ("validation", "seen", "unseen")
METADATA_FIELDS = ("folds", "usable", "classes", "baselines", "stride_s", "seed", "audit")
AMBIGUOUS = "ambiguous"
"""A column that is there only where a window is marked, so that other files stay as they were."""

MODEL_INPUTS = ("x", "opening", "past")
"""Fields of `Windows` that models take as input, which are not in the file."""


@dataclass(frozen=True)
class Predictions:
    """Logits `[N,K]` of one model in one mode, for the windows of one subset of a fold.

    `fold` is what is held out. `subset` is "validation", "seen" (other episodes of what is in
    training), "unseen" (the held-out part), "without X" (the held-out part without a source, the
    opening, or baseline recordings), or "again N" (the held-out part, predicted by the model of
    another seed).
    """

    fold: str
    model: str
    mode: Mode
    subset: str
    windows: Windows
    logits: Array

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The predicted class of each window, `[N]`."""
        return np.asarray(self.logits.argmax(axis=1))

    @property
    def clear(self) -> "Predictions":
        """The predictions of windows whose phase can be told, which are those that scores count."""
        return self.take(~self.windows.ambiguous) if self.windows.ambiguous.any() else self

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "Predictions":
        """Return the predictions of the chosen windows."""
        return replace(self, windows=self.windows.take(rows), logits=self.logits[rows])


@dataclass(frozen=True)
class Fold:
    """One split of the episodes, and the transitions between phases in its training part."""

    split: Split
    chain: MarkovChain


@dataclass(frozen=True)
class LevelSource:
    """Which recordings, beside openings, teach the levels of machines.

    `selection` is what the user gave. `declared` is the number of recordings that are baseline, by
    host, none of them in any part of the split; `earlier` that of benign episodes which teach the
    level of later ones.
    """

    selection: str
    declared: dict[str, int]
    earlier: int


@dataclass(frozen=True)
class PredictionSet:
    """All predictions of a run, and what is needed to evaluate them.

    `usable` are the episodes that a split may use, `baselines` the names of models that need no
    detector, `stride_s` the seconds between two windows, `leakage_checks` their results, and
    `untested` what no recording contains. `levels` is None where openings alone teach the levels of
    machines. `simulated` is true where the episodes are. No episode is held out in two folds.
    """

    folds: tuple[Fold, ...]
    usable: tuple[Identity, ...]
    classes: tuple[str, ...]
    baselines: tuple[str, ...]
    stride_s: float
    seed: int
    leakage_checks: tuple[Check, ...]
    predictions: tuple[Predictions, ...]
    untested: tuple[str, ...] = ()
    levels: LevelSource | None = None
    simulated: bool = False

    @property
    def new_hosts(self) -> bool:
        """Whether every evaluated host was held out of training and validation."""
        host = {one.id: one.host for one in self.usable}

        def hosts_of(ids: Sequence[str]) -> set[str]:
            return {host[id] for id in ids}

        sides = (fold.split for fold in self.folds)
        return not any(
            hosts_of(split.test) & hosts_of((*split.train, *split.validation)) for split in sides
        )


def pool_folds(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of one model over several folds, one fold after the other."""
    windows = concatenate(one.windows for one in parts)
    return replace(parts[0], windows=windows, logits=np.concatenate([one.logits for one in parts]))


def save(run: PredictionSet, path: Path) -> None:
    """Write posteriors.parquet to `path`: the table, and `run` without it as metadata."""
    metadata = {
        "format": FORMAT,
        "folds": [
            {
                "split": asdict(fold.split),
                "chain": {name: value.tolist() for name, value in asdict(fold.chain).items()},
            }
            for fold in run.folds
        ],
        "usable": [{**asdict(one), "phases": sorted(one.phases)} for one in run.usable],
        "classes": run.classes,
        "baselines": run.baselines,
        "stride_s": run.stride_s,
        "seed": run.seed,
        "audit": [asdict(check) for check in run.leakage_checks],
        "untested": run.untested,
    }
    if run.levels is not None:
        metadata["levels"] = asdict(run.levels)
    if run.simulated:
        metadata["simulated"] = True
    table = pa.concat_tables([_table(one, run.classes) for one in run.predictions])
    if not any(one.windows.ambiguous.any() for one in run.predictions):
        table = table.drop_columns(AMBIGUOUS)
    table = table.replace_schema_metadata({"phasewatch": json.dumps(metadata)})
    atomic.write(path, parquet.encode(table.unify_dictionaries()))


def _table(one: Predictions, classes: tuple[str, ...]) -> pa.Table:
    columns = {
        column: pa.array(np.full(len(one.windows), getattr(one, name))).dictionary_encode()
        for column, name in GROUP_COLUMNS.items()
    }
    for field in fields(Windows):
        if field.name not in MODEL_INPUTS:
            column = pa.array(getattr(one.windows, field.name))
            columns[field.name] = (
                column.dictionary_encode() if pa.types.is_string(column.type) else column
            )
    logits = {f"logit.{name}": one.logits[:, place] for place, name in enumerate(classes)}
    return pa.table({**columns, **logits})


def load(path: Path) -> PredictionSet:
    """Return the predictions in a file that `save` wrote. Raises Refused for any other."""
    table = _read(path)
    metadata = _metadata(table, path)
    try:
        absent = sorted(set(_columns(metadata)) - set(table.column_names))
        if absent:
            raise _refused(f"{path}: column {absent[0]}", "is missing")
        return PredictionSet(
            tuple(_fold(**fold) for fold in metadata["folds"]),
            tuple(
                Identity(**{**one, "phases": frozenset(one["phases"])})
                for one in metadata["usable"]
            ),
            tuple(metadata["classes"]),
            tuple(metadata["baselines"]),
            float(metadata["stride_s"]),
            int(metadata["seed"]),
            tuple(Check(**check) for check in metadata["audit"]),
            tuple(_predictions(table, tuple(metadata["classes"]))),
            tuple(metadata.get("untested", ())),
            LevelSource(**metadata["levels"]) if "levels" in metadata else None,
            metadata.get("simulated", False) is not False,
        )
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise _refused(path, f"does not fit together: {problem}".replace("\n", " ")) from error


def _read(path: Path) -> pa.Table:
    try:
        return parquet.decode(path.read_bytes())
    except pa.ArrowException as error:
        raise _refused(path, "is damaged, or no Parquet file") from error
    except OSError as error:
        # Arrow raises OSError for damage too, with no errno.
        problem = error.strerror or "is damaged, or no Parquet file"
        raise _refused(path, problem, "missing" if error.strerror else "answers_format") from error


def _metadata(table: pa.Table, path: Path) -> dict[str, Any]:
    """Return the metadata of the file."""
    where = f"{path}: metadata phasewatch"
    try:
        metadata = json.loads((table.schema.metadata or {})[b"phasewatch"])
    except KeyError as error:
        raise _refused(where, "is missing") from error
    except (ValueError, RecursionError) as error:
        raise _refused(where, "is not JSON") from error
    if not isinstance(metadata, dict):
        raise _refused(where, "is no object")
    if metadata.get("format") != FORMAT:
        raise _refused(f"{where}.format", f"is {metadata.get('format')!r}")
    absent = [name for name in METADATA_FIELDS if name not in metadata]
    if absent:
        raise _refused(f"{where}.{absent[0]}", "is missing")
    return metadata


def _columns(metadata: dict[str, Any]) -> list[str]:
    """Return the columns that a file with this metadata has."""
    optional = (*MODEL_INPUTS, AMBIGUOUS)
    stored = [field.name for field in fields(Windows) if field.name not in optional]
    return [*GROUP_COLUMNS, *stored, *(f"logit.{name}" for name in metadata["classes"])]


def _refused(where: object, problem: str, code: str = "answers_format") -> Refused:
    return Refused(
        where,
        problem,
        f"posteriors.parquet of a run, format {FORMAT}, as it was written",
        "Check the path; `phasewatch run` and `phasewatch train` write one.",
        code=code,
    )


def _fold(split: dict[str, Any], chain: dict[str, Any]) -> Fold:
    sides = {key: tuple(ids) for key, ids in split.items() if isinstance(ids, list)}
    return Fold(
        Split(**{**split, **sides}),
        MarkovChain(**{name: np.array(value) for name, value in chain.items()}),
    )


def _predictions(table: pa.Table, classes: tuple[str, ...]) -> Sequence[Predictions]:
    columns = {name: table[name].to_numpy() for name in table.column_names}
    logits = np.column_stack([columns[f"logit.{name}"] for name in classes])
    values: dict[str, Any] = {
        "x": np.empty((len(logits), 0, 0), dtype=np.float32),
        "opening": np.empty((len(logits), 0), dtype=np.float32),
        "past": np.empty((len(logits), 0, 0), dtype=np.float32),
    }
    columns.setdefault(AMBIGUOUS, np.zeros(len(logits), dtype=bool))
    if columns[AMBIGUOUS].dtype != bool:
        raise ValueError(f"column {AMBIGUOUS} is not of true and false")
    for field in fields(Windows):
        if field.name not in MODEL_INPUTS:
            column = columns[field.name]
            values[field.name] = column.astype(str) if column.dtype == object else column
    windows = Windows(**values)
    groups = _groups(table)
    for name in dict.fromkeys(key[:-1] for key in groups) or [("any fold", "any model")]:
        missing = {(*name, subset) for subset in REQUIRED_SUBSETS} - set(groups)
        if missing:
            raise ValueError(
                f"rows are missing: {', '.join(' '.join(one) for one in sorted(missing))}"
            )
    return [
        Predictions(fold, model, mode, subset, windows.take(rows), logits[rows])  # type: ignore[arg-type]
        for (fold, model, mode, subset), rows in groups.items()
    ]


def _groups(table: pa.Table) -> dict[tuple[str, ...], NDArray[np.int64]]:
    """Return the rows of each fold, model, mode and subset, in the order of their first row."""
    columns = [table[name].combine_chunks().dictionary_encode() for name in GROUP_COLUMNS]
    codes = np.zeros(len(table), dtype=np.int64)
    for column in columns:
        codes = codes * len(column.dictionary) + column.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return {
        tuple(column[int(rows[0])].as_py() for column in columns): rows
        for rows in sorted(groups, key=lambda rows: int(rows[0]) if len(rows) else 0)
        if len(rows)
    }
