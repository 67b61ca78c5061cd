"""Writes windows or features as Parquet and NumPy files, for use outside Phasewatch.

A row is a window: its episode, time, phase and values. In `windows.parquet` the tensor view has a
list for each channel and the summary view a number for each channel and statistic; `windows.npz`
has them as arrays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phasewatch.artifacts.contract import MOST_OPENING_S
from phasewatch.episode import NAMES
from phasewatch.errors import Refused
from phasewatch.features.views import STATISTICS, View, summary
from phasewatch.io import atomic
from phasewatch.schema import Schema
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_store
from phasewatch.validation.verdict import Verdict, count_verdicts
from phasewatch.windowing import Windows, concatenate, cut_windows, signed_log

IDENTITY = ("episode", *NAMES)
LEFT_OUT: tuple[Verdict, ...] = ("rejected", "errored")


@dataclass(frozen=True)
class ExportReport:
    """The number of windows written, and of episodes left out, by verdict."""

    windows: int
    left_out: dict[Verdict, int]


def write(
    store: Store,
    folder: Path,
    view: View = "tensor",
    opening_s: float = 0.0,
    tick: Callable[[], object] = lambda: None,
) -> ExportReport:
    """Write the windows of all usable episodes into a new `folder`.

    The files are `windows.parquet`, `windows.npz` and, for the meaning of the channels,
    `schema.json`. Values are as measured, those of the summary view of log1p, as models get them.
    `tick` is called after each episode. Raises Refused when the folder exists or no episode is
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
        parts.append(cut_windows(store.read(id), store.schema, opening_s))
        tick()
    with atomic.new_folder(folder) as fresh:
        _write(parts, fresh, store.schema, view)
    found = count_verdicts(results)
    left_out = {verdict: found[verdict] for verdict in LEFT_OUT}
    return ExportReport(sum(map(len, parts)), left_out)


def _refuse_opening(seconds: float) -> None:
    if not 0 <= seconds <= MOST_OPENING_S:
        raise Refused(
            f"--opening {seconds:g}",
            "is out of range",
            f"seconds from 0 to {MOST_OPENING_S:,.0f}",
            "Give the seconds at the start of episodes that are known to be benign, or 0.",
            code="opening",
        )


def _write(parts: Sequence[Windows], fresh: Path, schema: Schema, view: View) -> None:
    marked = any(windows.ambiguous.any() for windows in parts)
    tables = (_table(windows, schema, view, marked) for windows in parts)
    first = next(tables)
    with pq.ParquetWriter(fresh / "windows.parquet", first.schema, compression="zstd") as out:
        for table in chain([first], tables):
            out.write_table(table)
    everything = concatenate(parts)
    arrays = dict(_arrays(everything, schema, view))
    if marked:
        arrays["ambiguous"] = everything.ambiguous
    np.savez_compressed(fresh / "windows.npz", allow_pickle=False, **arrays)
    (fresh / "schema.json").write_bytes(atomic.canonical_json(schema.definition()))


def features(windows: Windows, schema: Schema) -> tuple[np.ndarray, list[str]]:
    """Return the summary statistics `[N, C*S]` that models get, and their names."""
    names = [f"{channel}.{statistic}" for channel in schema.names for statistic in STATISTICS]
    return summary(signed_log(windows.x)), names


def _metadata(windows: Windows, schema: Schema) -> Mapping[str, np.ndarray]:
    phase = np.array(schema.classes)[windows.y]
    identity = {name: getattr(windows, name) for name in IDENTITY}
    return {**identity, "t_ns": windows.t_ns, "phase": phase, "purity": windows.purity}


def _table(windows: Windows, schema: Schema, view: View, marked: bool) -> pa.Table:
    """Return the rows of some windows; where any window of the file is `marked`, which ones."""
    columns = {name: pa.array(values) for name, values in _metadata(windows, schema).items()}
    if marked:
        columns["ambiguous"] = pa.array(windows.ambiguous)
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
    metadata = {**_metadata(windows, schema), "y": windows.y, "classes": np.array(schema.classes)}
    if view == "summary":
        values, names = features(windows, schema)
        return {**metadata, "X": values.astype(np.float32), "columns": np.array(names)}
    return {**metadata, "X": windows.x, "channels": np.array(schema.names)}
