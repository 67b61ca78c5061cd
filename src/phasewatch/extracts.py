"""Windows or features as files, for people who want the extraction and none of the rest.

A row a window: who, when, the truth, and the values. In `windows.parquet` the tensor view has a
list a channel and the summary a number a channel and statistic; `windows.npz` has them as arrays.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phasewatch import durable
from phasewatch.refusal import Refused
from phasewatch.schema import Schema
from phasewatch.store import Store
from phasewatch.sweep import sweep
from phasewatch.views import STATISTICS, View, summary
from phasewatch.windows import Windows, cut, join, log

WHO = ("episode", "host", "sample", "profile", "campaign")


def write(
    store: Store,
    folder: Path,
    view: View = "tensor",
    opening_s: float = 0.0,
    tick: Callable[[], object] = lambda: None,
) -> int:
    """How many windows are in `windows.parquet` and `windows.npz`, written into a new `folder`.

    `schema.json` beside them says what the channels are. Values are as measured, the summary's of
    log1p, as models are shown them. Raises Refused when the folder is there or no episode is
    usable.
    """
    usable = [judgement.id for judgement in sweep(store) if judgement.usable]
    if not usable:
        raise Refused(
            store.root, "has no usable episode", "accepted or degraded ones", "See `validate`."
        )
    if folder.exists():
        raise Refused(folder, "is there already", "no such folder", "Choose another --out.")
    parts = []
    with durable.folder(folder) as fresh:
        first = cut(store.read(usable[0]), store.schema, opening_s)
        table = _table(first, store.schema, view)
        with pq.ParquetWriter(fresh / "windows.parquet", table.schema, compression="zstd") as out:
            for windows in _cuts(store, usable, opening_s):
                out.write_table(_table(windows, store.schema, view))
                parts.append(windows)
                tick()
        whole = join(parts)
        arrays = dict(_arrays(whole, store.schema, view))
        np.savez_compressed(fresh / "windows.npz", allow_pickle=False, **arrays)
        told = durable.canonical(store.schema.definition())
        (fresh / "schema.json").write_bytes(told)
    return len(whole)


def _cuts(store: Store, ids: list[str], opening_s: float) -> Iterator[Windows]:
    for id in ids:
        yield cut(store.read(id), store.schema, opening_s)


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
