"""What models said of which windows, and all that is needed to score it: one open Parquet file.

Whoever has the file can compute every number of a report again, and others: a row a window, model,
mode and part, with the truth and the model's own logits.
"""

import io
import json
from collections.abc import Sequence
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
from phasewatch.io import atomic
from phasewatch.schema import Mode
from phasewatch.splits import Split
from phasewatch.windowing import Windows, join

FORMAT = 2
GROUP_COLUMNS = {"fold": "fold", "model": "model", "mode": "mode", "part": "subset"}
"""Columns that tell predictions apart, and the field of `Predictions` that each holds."""

REQUIRED_SUBSETS = ("validation", "seen", "unseen")
METADATA_FIELDS = ("folds", "usable", "classes", "baselines", "stride_s", "seed", "audit")
MODEL_INPUTS = ("x", "opening")
"""What models were shown of a window, which is not in the file."""


@dataclass(frozen=True)
class Predictions:
    """What one model in one mode said, `logits[N,K]`, of the windows of one part of a fold.

    `fold` is what was held out; `part` is validation, seen, unseen, the unseen `without` a source
    or their opening, or the unseen `again` as told by the same model from another seed.
    """

    fold: str
    model: str
    mode: Mode
    subset: str
    windows: Windows
    logits: Array

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The call of each window."""
        return np.asarray(self.logits.argmax(axis=1))

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "Predictions":
        """Those to the chosen windows."""
        return replace(self, windows=self.windows.take(rows), logits=self.logits[rows])


@dataclass(frozen=True)
class Fold:
    """One split of the episodes, and how phases follow each other in its training part."""

    split: Split
    chain: MarkovChain


@dataclass(frozen=True)
class PredictionSet:
    """All answers of a run, and what they were asked under.

    `usable` are all episodes that a split could use, `baselines` the models that need no detector,
    `stride_s` lies between two windows, `audit` is what was found leaking, or not, and `untested`
    what no recording holds. No episode is unseen in two folds.
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

    @property
    def new_hosts(self) -> bool:
        """Whether every judged host was new to the models that were judged on it."""
        host = {one.id: one.host for one in self.usable}

        def among(ids: Sequence[str]) -> set[str]:
            return {host[id] for id in ids}

        sides = (fold.split for fold in self.folds)
        return not any(
            among(split.test) & among((*split.train, *split.validation)) for split in sides
        )


def pool_folds(parts: Sequence[Predictions]) -> Predictions:
    """One model's answers over several folds, as if to one question."""
    windows = join(one.windows for one in parts)
    return replace(parts[0], windows=windows, logits=np.concatenate([one.logits for one in parts]))


def save(answered: PredictionSet, path: Path) -> None:
    """Write the file."""
    facts = {
        "format": FORMAT,
        "folds": [
            {
                "split": asdict(fold.split),
                "chain": {name: value.tolist() for name, value in asdict(fold.chain).items()},
            }
            for fold in answered.folds
        ],
        "usable": [{**asdict(one), "phases": sorted(one.phases)} for one in answered.usable],
        "classes": answered.classes,
        "baselines": answered.baselines,
        "stride_s": answered.stride_s,
        "seed": answered.seed,
        "audit": [asdict(check) for check in answered.leakage_checks],
        "untested": answered.untested,
    }
    table = pa.concat_tables([_table(one, answered.classes) for one in answered.predictions])
    table = table.replace_schema_metadata({"phasewatch": json.dumps(facts)})
    buffer = io.BytesIO()
    pq.write_table(table.unify_dictionaries(), buffer, compression="zstd", write_page_checksum=True)
    atomic.write(path, buffer.getvalue())


def _table(one: Predictions, classes: tuple[str, ...]) -> pa.Table:
    own = {
        column: pa.array(np.full(len(one.windows), getattr(one, name))).dictionary_encode()
        for column, name in GROUP_COLUMNS.items()
    }
    for field in fields(Windows):
        if field.name not in MODEL_INPUTS:
            column = pa.array(getattr(one.windows, field.name))
            own[field.name] = (
                column.dictionary_encode() if pa.types.is_string(column.type) else column
            )
    logits = {f"logit.{name}": one.logits[:, place] for place, name in enumerate(classes)}
    return pa.table({**own, **logits})


def load(path: Path) -> PredictionSet:
    """Read a file that `save` wrote; raises Refused for any other."""
    table = _read(path)
    facts = _facts(table, path)
    try:
        absent = sorted(set(_columns(facts)) - set(table.column_names))
        if absent:
            raise _refused(f"{path}: column {absent[0]}", "is missing")
        return PredictionSet(
            tuple(_fold(**fold) for fold in facts["folds"]),
            tuple(
                Identity(**{**one, "phases": frozenset(one["phases"])}) for one in facts["usable"]
            ),
            tuple(facts["classes"]),
            tuple(facts["baselines"]),
            float(facts["stride_s"]),
            int(facts["seed"]),
            tuple(Check(**check) for check in facts["audit"]),
            tuple(_answers(table, tuple(facts["classes"]))),
            tuple(facts.get("untested", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise _refused(path, f"does not fit together: {problem}".replace("\n", " ")) from error


def _read(path: Path) -> pa.Table:
    try:
        data = path.read_bytes()
        return pq.read_table(io.BytesIO(data), page_checksum_verification=True)
    except pa.ArrowException as error:
        raise _refused(path, "is damaged, or no Parquet file") from error
    except OSError as error:
        # Arrow raises OSError for damage too, with no errno.
        problem = error.strerror or "is damaged, or no Parquet file"
        raise _refused(path, problem, "missing" if error.strerror else "answers_format") from error


def _facts(table: pa.Table, path: Path) -> dict[str, Any]:
    """What stands in the file's metadata."""
    where = f"{path}: metadata phasewatch"
    try:
        facts = json.loads((table.schema.metadata or {})[b"phasewatch"])
    except KeyError as error:
        raise _refused(where, "is missing") from error
    except ValueError as error:
        raise _refused(where, "is not JSON") from error
    if not isinstance(facts, dict):
        raise _refused(where, "is no object")
    if facts.get("format") != FORMAT:
        raise _refused(f"{where}.format", f"is {facts.get('format')!r}")
    absent = [name for name in METADATA_FIELDS if name not in facts]
    if absent:
        raise _refused(f"{where}.{absent[0]}", "is missing")
    return facts


def _columns(facts: dict[str, Any]) -> list[str]:
    """The columns that a file with these facts has."""
    own = [field.name for field in fields(Windows) if field.name not in MODEL_INPUTS]
    return [*GROUP_COLUMNS, *own, *(f"logit.{name}" for name in facts["classes"])]


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


def _answers(table: pa.Table, classes: tuple[str, ...]) -> Sequence[Predictions]:
    columns = {name: table[name].to_numpy() for name in table.column_names}
    logits = np.column_stack([columns[f"logit.{name}"] for name in classes])
    told: dict[str, Any] = {
        "x": np.empty((len(logits), 0, 0), dtype=np.float32),
        "opening": np.empty((len(logits), 0), dtype=np.float32),
    }
    for field in fields(Windows):
        if field.name not in MODEL_INPUTS:
            own = columns[field.name]
            told[field.name] = own.astype(str) if own.dtype == object else own
    whole = Windows(**told)
    groups = _groups(table)
    for name in dict.fromkeys(key[:-1] for key in groups) or [("any fold", "any model")]:
        lost = {(*name, part) for part in REQUIRED_SUBSETS} - set(groups)
        if lost:
            raise ValueError(
                f"rows are missing: {', '.join(' '.join(one) for one in sorted(lost))}"
            )
    return [
        Predictions(fold, model, mode, part, whole.take(rows), logits[rows])  # type: ignore[arg-type]
        for (fold, model, mode, part), rows in groups.items()
    ]


def _groups(table: pa.Table) -> dict[tuple[str, ...], NDArray[np.int64]]:
    """Rows of each fold, model, mode and part, in the order in which they are first met."""
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
