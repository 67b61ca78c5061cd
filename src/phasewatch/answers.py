"""What models said of which windows, and all that is needed to score it: one open Parquet file.

Whoever has the file can compute every number of a report again, and others: a row a window, model,
mode and part, with the truth and the model's own logits.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from phasewatch import durable
from phasewatch.decoding import Chain
from phasewatch.episode import Identity
from phasewatch.refusal import Refused
from phasewatch.schema import Mode
from phasewatch.splits import Split
from phasewatch.views import Array
from phasewatch.windows import Windows

FORMAT = 1
NEEDED = ("validation", "seen", "unseen")
SHOWN = ("x", "opening")
"""What models were shown of a window, which is not in the file."""


@dataclass(frozen=True)
class Answers:
    """What one model in one mode said, `logits[N,K]`, of the windows of one part.

    `part` is validation, seen, unseen, or the unseen `without` a source or their opening.
    """

    model: str
    mode: Mode
    part: str
    windows: Windows
    logits: Array

    @property
    def guess(self) -> NDArray[np.int64]:
        """The call of each window."""
        return np.asarray(self.logits.argmax(axis=1))


@dataclass(frozen=True)
class Answered:
    """All answers of a run, and what they were asked under.

    `usable` are all episodes that a split could use; `chain` is how phases follow each other in
    training; `stride_s` lies between two windows.
    """

    split: Split
    usable: tuple[Identity, ...]
    classes: tuple[str, ...]
    chain: Chain
    stride_s: float
    seed: int
    answers: tuple[Answers, ...]


def save(answered: Answered, path: Path) -> None:
    """Write the file."""
    facts = {
        "format": FORMAT,
        "split": asdict(answered.split),
        "usable": [{**asdict(one), "phases": sorted(one.phases)} for one in answered.usable],
        "classes": answered.classes,
        "chain": {name: value.tolist() for name, value in asdict(answered.chain).items()},
        "stride_s": answered.stride_s,
        "seed": answered.seed,
    }
    table = pa.concat_tables([_table(one, answered.classes) for one in answered.answers])
    table = table.replace_schema_metadata({"phasewatch": json.dumps(facts)})
    buffer = io.BytesIO()
    pq.write_table(table.unify_dictionaries(), buffer, compression="zstd", write_page_checksum=True)
    durable.write(path, buffer.getvalue())


def _table(one: Answers, classes: tuple[str, ...]) -> pa.Table:
    own = {
        name: pa.array(np.full(len(one.windows), getattr(one, name))).dictionary_encode()
        for name in ("model", "mode", "part")
    }
    for field in fields(Windows):
        if field.name not in SHOWN:
            column = pa.array(getattr(one.windows, field.name))
            own[field.name] = (
                column.dictionary_encode() if pa.types.is_string(column.type) else column
            )
    logits = {f"logit.{name}": one.logits[:, place] for place, name in enumerate(classes)}
    return pa.table({**own, **logits})


def load(path: Path) -> Answered:
    """Read a file that `save` wrote; raises Refused for any other."""
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        facts = json.loads((table.schema.metadata or {})[b"phasewatch"])
        if facts["format"] != FORMAT:
            raise ValueError(f"is of format {facts['format']}")
        split: dict[str, Any] = facts["split"]
        sides = {key: tuple(ids) for key, ids in split.items() if isinstance(ids, list)}
        return Answered(
            Split(**{**split, **sides}),
            tuple(
                Identity(**{**one, "phases": frozenset(one["phases"])}) for one in facts["usable"]
            ),
            tuple(facts["classes"]),
            Chain(**{name: np.array(value) for name, value in facts["chain"].items()}),
            float(facts["stride_s"]),
            int(facts["seed"]),
            tuple(_answers(table, tuple(facts["classes"]))),
        )
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise Refused(
            path,
            f"cannot be read: {error}".replace("\n", " "),
            f"posteriors.parquet of a run, format {FORMAT}",
            "`phasewatch run` and `phasewatch train` write one.",
            code="answers_format",
        ) from error
    except OSError as error:
        raise Refused(
            path,
            error.strerror or str(error),
            "posteriors.parquet of a run",
            "Check the path; `phasewatch run` and `phasewatch train` write one.",
            code="missing",
        ) from error


def _answers(table: pa.Table, classes: tuple[str, ...]) -> Sequence[Answers]:
    columns = {name: table[name].to_numpy() for name in table.column_names}
    logits = np.column_stack([columns[f"logit.{name}"] for name in classes])
    keys = list(zip(*(columns[name] for name in ("model", "mode", "part")), strict=True))
    told: dict[str, Any] = {
        "x": np.empty((len(keys), 0, 0), dtype=np.float32),
        "opening": np.empty((len(keys), 0), dtype=np.float32),
    }
    for field in fields(Windows):
        if field.name not in SHOWN:
            own = columns[field.name]
            told[field.name] = own.astype(str) if own.dtype == object else own
    whole = Windows(**told)
    found = []
    for name in dict.fromkeys(key[:2] for key in keys) or [("any model", "any mode")]:
        lost = {(*name, part) for part in NEEDED} - set(keys)
        if lost:
            raise ValueError(
                f"rows are missing: {', '.join(' '.join(one) for one in sorted(lost))}"
            )
    for key in dict.fromkeys(keys):
        rows = np.array([own == key for own in keys])
        model, mode, part = key
        found.append(Answers(str(model), mode, str(part), whole.take(rows), logits[rows]))
    return found
