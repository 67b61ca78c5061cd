"""Predictions of a run and what is needed to score them: one open Parquet file.

Every number of a report can be computed again from this file, and others: it has a row for each
window, model, mode and subset, with the true class and the logits of the model.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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

GROUP_ROWS = 1 << 20
"""Rows of a row group, which are in memory at once; the default of Arrow."""

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
    if len(parts) == 1:
        return parts[0]
    windows = concatenate(one.windows for one in parts)
    return replace(parts[0], windows=windows, logits=np.concatenate([one.logits for one in parts]))


def save(run: PredictionSet, path: Path) -> None:
    """Write posteriors.parquet to `path`: the table, and `run` without it as metadata."""
    ambiguous = any(one.windows.ambiguous.any() for one in run.predictions)
    save_each(run, path, run.predictions, ambiguous)


def save_each(
    run: PredictionSet, path: Path, found: Iterable[Predictions], ambiguous: bool
) -> None:
    """Write the same with the predictions `found`, a few of which are in memory at a time.

    `ambiguous` is whether any of their windows is. Those of `run` are not written.
    """
    metadata = {"phasewatch": json.dumps(_described(run))}
    writer: pq.ParquetWriter | None = None
    with atomic.replaced(path) as file:
        tables = (_table(one, run.classes) for one in found)
        kept = tables if ambiguous else (one.drop_columns(AMBIGUOUS) for one in tables)
        for table in _row_groups(kept):
            if writer is None:
                writer = parquet.writer(file, table.schema.with_metadata(metadata))
            writer.write_table(table.replace_schema_metadata(metadata))
        if writer is not None:
            writer.close()


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the same rows in tables of up to `GROUP_ROWS` rows; a longer one stays as it is."""
    group: list[pa.Table] = []
    for table in tables:
        if group and sum(map(len, group)) + len(table) > GROUP_ROWS:
            yield pa.concat_tables(group).unify_dictionaries()
            group = []
        group.append(table)
    if group:
        yield pa.concat_tables(group).unify_dictionaries()


def _described(run: PredictionSet) -> dict[str, Any]:
    """Return all of a run but its predictions, as JSON types."""
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
    return metadata


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
    with _opened(path) as file:
        metadata = _metadata(file.schema_arrow, path)
        absent = sorted(set(_columns(metadata)) - set(file.schema_arrow.names))
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
            tuple(_predictions(file, tuple(metadata["classes"]))),
            tuple(metadata.get("untested", ())),
            LevelSource(**metadata["levels"]) if "levels" in metadata else None,
            metadata.get("simulated", False) is not False,
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open the file; what goes wrong in the block is raised as Refused naming it."""
    try:
        with path.open("rb") as file, parquet.opened(file) as table:
            yield table
    except Refused:
        raise
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, pa.ArrowException):
            raise _refused(path, "is damaged, or no Parquet file") from error
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise _refused(path, f"does not fit together: {problem}".replace("\n", " ")) from error
    except pa.ArrowException as error:
        raise _refused(path, "is damaged, or no Parquet file") from error
    except OSError as error:
        # Arrow raises OSError for damage too, with no errno.
        problem = error.strerror or "is damaged, or no Parquet file"
        raise _refused(path, problem, "missing" if error.strerror else "answers_format") from error


def _metadata(schema: pa.Schema, path: Path) -> dict[str, Any]:
    """Return the metadata of the file."""
    where = f"{path}: metadata phasewatch"
    try:
        metadata = json.loads((schema.metadata or {})[b"phasewatch"])
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


def _predictions(file: pq.ParquetFile, classes: tuple[str, ...]) -> Sequence[Predictions]:
    """Return the predictions of each fold, model, mode and subset, read by row groups."""
    found: dict[tuple[str, ...], list[Predictions]] = {}
    for number in range(file.num_row_groups):
        table = file.read_row_group(number, use_threads=False)
        for key, one in _of_table(table, classes):
            found.setdefault(key, []).append(one)
    for name in dict.fromkeys(key[:-1] for key in found) or [("any fold", "any model")]:
        missing = {(*name, subset) for subset in REQUIRED_SUBSETS} - set(found)
        if missing:
            raise ValueError(
                f"rows are missing: {', '.join(' '.join(one) for one in sorted(missing))}"
            )
    shared: list[Windows] = []
    return [_sharing(pool_folds(parts), shared) for parts in found.values()]


def _sharing(one: Predictions, shared: list[Windows]) -> Predictions:
    """Return predictions with windows of `shared` where it has equal ones, to which others go.

    Models predict the same windows, which are in memory once.
    """
    names = [field.name for field in fields(Windows) if field.name not in MODEL_INPUTS]
    for known in shared:
        if len(known) == len(one.windows) and all(
            np.array_equal(getattr(known, name), getattr(one.windows, name)) for name in names
        ):
            return replace(one, windows=known)
    shared.append(one.windows)
    return one


def _of_table(
    table: pa.Table, classes: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Predictions]]:
    """Yield the predictions of some rows, in the order of their first rows, each with its key."""
    known = set(table.column_names)
    texts, columns = {}, {}
    for name in known - set(GROUP_COLUMNS):
        column = table[name].combine_chunks()
        if column.null_count:
            raise ValueError(f"column {name} lacks a value")
        if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
            coded = column.dictionary_encode() if pa.types.is_string(column.type) else column
            texts[name] = np.array(coded.dictionary.to_pylist(), dtype=np.str_)
            column = coded.indices
        columns[name] = column.to_numpy(zero_copy_only=False)
    if AMBIGUOUS in known and columns[AMBIGUOUS].dtype != bool:
        raise ValueError(f"column {AMBIGUOUS} is not of true and false")
    logits = [columns[f"logit.{name}"] for name in classes]
    for key, rows in _groups(table).items():
        empty = np.empty((len(rows), 0, 0), dtype=np.float32)
        values: dict[str, Any] = dict.fromkeys(MODEL_INPUTS, empty)
        values["opening"] = empty.reshape(len(rows), 0)
        for field in fields(Windows):
            if field.name in columns:
                some = columns[field.name][rows]
                values[field.name] = texts[field.name][some] if field.name in texts else some
        stacked = np.column_stack([one[rows] for one in logits])
        group: dict[str, Any] = dict(zip(GROUP_COLUMNS.values(), key, strict=True))
        yield key, Predictions(**group, windows=Windows(**values), logits=stacked)


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
