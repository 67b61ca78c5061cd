"""Windows or features as files, for people who want the extraction and none of the rest.

A row a window: who, when, the truth, and the values. In `windows.parquet` the tensor view has a
list a channel and the summary a number a channel and statistic; `windows.npz` has them as arrays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phasewatch.artifacts.contract import MOST_OPENING_S
from phasewatch.errors import Refused
from phasewatch.features.views import STATISTICS, View, summary
from phasewatch.io import atomic
from phasewatch.schema import Schema
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_store
from phasewatch.validation.verdict import Verdict, counts
from phasewatch.windowing import Windows, cut, join, log

WHO = ("episode", "host", "sample", "profile", "campaign")
LEFT_OUT: tuple[Verdict, ...] = ("rejected", "errored")


@dataclass(frozen=True)
class Extract:
    """How many windows were written, and how many episodes were left out: by verdict."""

    windows: int
    left_out: dict[Verdict, int]


def write(
    store: Store,
    folder: Path,
    view: View = "tensor",
    opening_s: float = 0.0,
    tick: Callable[[], object] = lambda: None,
) -> Extract:
    """What is in `windows.parquet` and `windows.npz`, written into a new `folder`.

    `schema.json` beside them says what the channels are. Values are as measured, the summary's of
    log1p, as models are shown them. Raises Refused when the folder is there or no episode is
    usable.
    """
    _refuse_opening(opening_s)
    if folder.exists():
        raise Refused(folder, "is there already", "no such folder", "Choose another --out.")
    results = validate_store(store)
    usable = [result.id for result in results if result.usable]
    if not usable:
        raise Refused(
            store.root, "has no usable episode", "accepted or degraded ones", "See `validate`."
        )
    parts = []
    for id in usable:
        parts.append(cut(store.read(id), store.schema, opening_s))
        tick()
    with atomic.folder(folder) as fresh:
        _write(parts, fresh, store.schema, view)
    found = counts(results)
    left_out = {verdict: found[verdict] for verdict in LEFT_OUT}
    return Extract(sum(map(len, parts)), left_out)


def _refuse_opening(seconds: float) -> None:
    if not 0 <= seconds <= MOST_OPENING_S:
        raise Refused(
            f"--opening {seconds:g}",
            "is no opening",
            f"seconds from 0 to {MOST_OPENING_S:,.0f}",
            "Say how long each start is known to be benign; 0 does without.",
            code="opening",
        )


def _write(parts: Sequence[Windows], fresh: Path, schema: Schema, view: View) -> None:
    tables = (_table(windows, schema, view) for windows in parts)
    first = next(tables)
    with pq.ParquetWriter(fresh / "windows.parquet", first.schema, compression="zstd") as out:
        for table in chain([first], tables):
            out.write_table(table)
    arrays = dict(_arrays(join(parts), schema, view))
    np.savez_compressed(fresh / "windows.npz", allow_pickle=False, **arrays)
    (fresh / "schema.json").write_bytes(atomic.canonical(schema.definition()))


def features(windows: Windows, schema: Schema) -> tuple[np.ndarray, list[str]]:
    """Statistics `[N, C*S]` of what models of the summary view are shown, and their names."""
    names = [f"{channel}.{statistic}" for channel in schema.names for statistic in STATISTICS]
    return summary(log(windows.x)), names


def _told(windows: Windows, schema: Schema) -> Mapping[str, np.ndarray]:
    phase = np.array(schema.classes)[windows.y]
    who = {name: getattr(windows, name) for name in WHO}
    return {**who, "t_ns": windows.t_ns, "phase": phase, "purity": windows.purity}


def _table(windows: Windows, schema: Schema, view: View) -> pa.Table:
    columns = {name: pa.array(own) for name, own in _told(windows, schema).items()}
    if view == "summary":
        values, names = features(windows, schema)
        return pa.table(columns | dict(zip(names, values.T.astype(np.float32), strict=True)))
    steps = windows.x.shape[2]
    lists = {
        name: pa.FixedSizeListArray.from_arrays(
            np.ascontiguousarray(windows.x[:, row]).ravel(), steps
        )
        for row, name in enumerate(schema.names)
    }
    return pa.table(columns | lists)


def _arrays(windows: Windows, schema: Schema, view: View) -> Mapping[str, np.ndarray]:
    told = {**_told(windows, schema), "y": windows.y, "classes": np.array(schema.classes)}
    if view == "summary":
        values, names = features(windows, schema)
        return {**told, "X": values.astype(np.float32), "columns": np.array(names)}
    return {**told, "X": windows.x, "channels": np.array(schema.names)}
