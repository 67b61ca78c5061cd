"""Peers that work on tables: pandera, polars, pandas, tsfresh.

`rates` runs this file in the peers' environment, on one core; it prints the rates as JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PYTHON = Path(__file__).parent.parent / ".venv/peers/bin/python"
ONE_CORE = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def rates(what: str, scratch: Path) -> dict[str, float]:
    """Return rates per second by peer, of the measurement `what` on the files in `scratch`."""
    command = [str(PYTHON), __file__, what, str(scratch)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ | ONE_CORE)
    return dict(json.loads(done.stdout))


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the seconds of the fastest round."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def check(scratch: Path) -> dict[str, float]:
    """Return the episodes per second whose four tables pandera checks."""
    import pandera.polars as pa
    import polars as pl

    def model(names: list[str]) -> Any:
        finite = pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).is_finite()))
        rising = pa.Check(
            lambda data: data.lazyframe.select(pl.col(data.key).diff().fill_null(1) > 0)
        )
        columns = {name: pa.Column(pl.Float64, finite) for name in names}
        clocks = {name: pa.Column(pl.Int64, rising) for name in ("t_wall_ns", "t_mono_ns")}
        return pa.DataFrameSchema({**clocks, **columns}, strict=True)

    models = {
        source: model(names)
        for source, names in json.loads((scratch / "schema.json").read_text()).items()
    }
    paths = sorted(scratch.glob("*.parquet"))
    episodes = len({path.name.rsplit(".", 2)[0] for path in paths})

    def work() -> None:
        for path in paths:
            frame = pl.read_parquet(path)
            try:
                models[path.suffixes[-2][1:]].validate(frame, lazy=True)
            except pa.errors.SchemaErrors:
                continue

    return {"four Parquet files, pandera on polars": episodes / best(work, 3)}


def cut(scratch: Path) -> dict[str, float]:
    """Return windows per second: the same statistics by polars, the minimal set by tsfresh."""
    import numpy as np
    import pandas as pd
    import polars as pl
    from tsfresh.feature_extraction import MinimalFCParameters, extract_features

    arrays = np.load(scratch / "grid.npz")
    grid, steps, stride = arrays["grid"], int(arrays["steps"]), int(arrays["stride"])
    names = [f"c{row}" for row in range(len(grid))]
    count = (grid.shape[1] - steps) // stride + 1
    frame = pl.DataFrame(dict(zip(names, grid, strict=True))).fill_nan(None)
    frame = frame.with_columns(step=pl.arange(grid.shape[1], dtype=pl.Int64, eager=True))

    def grouped() -> object:
        wanted = []
        for name in names:
            column = pl.col(name)
            late = [column.tail(steps // part).mean() for part in (2, 4)]
            parts = [
                column.mean(),
                column.std(ddof=0),
                column.min(),
                column.median(),
                column.max(),
                *late,
            ]
            wanted += [part.alias(f"{name}{place}") for place, part in enumerate(parts)]
        windows = frame.group_by_dynamic("step", every=f"{stride}i", period=f"{steps}i")
        return windows.agg(wanted)

    def rolling() -> object:
        wanted = []
        for name in names:
            column, some = pl.col(name), {"min_samples": 1}
            late = [column.rolling_mean(steps // part, **some) for part in (2, 4)]
            parts = [
                column.rolling_mean(steps, **some),
                column.rolling_std(steps, ddof=0, **some),
                column.rolling_min(steps, **some),
                column.rolling_median(steps, **some),
                column.rolling_max(steps, **some),
                *late,
            ]
            wanted += [part.alias(f"{name}{place}") for place, part in enumerate(parts)]
        return frame.select(wanted).gather_every(stride, steps - 1)

    few = 40
    windows = np.stack([grid[:, at * stride : at * stride + steps] for at in range(few)])
    long = pd.DataFrame({name: windows[:, row].ravel() for row, name in enumerate(names)}).fillna(0)
    long["id"] = np.repeat(np.arange(few), steps)

    def features() -> object:
        return extract_features(
            long,
            column_id="id",
            default_fc_parameters=MinimalFCParameters(),
            n_jobs=0,
            disable_progressbar=True,
        )

    return {
        "polars, grouped by window": count / best(grouped),
        "polars, rolling": count / best(rolling),
        "tsfresh, its minimal set": few / best(features, 2),
    }


def align(scratch: Path) -> dict[str, float]:
    """Return episodes per second whose four sources are joined, as of each step of the grid."""
    import numpy as np
    import pandas as pd
    import polars as pl

    grids = np.load(scratch / "edges.npz")
    paths = {id: sorted(scratch.glob(f"{id}.*.parquet")) for id in grids.files}
    polar = {id: [pl.read_parquet(path) for path in frames] for id, frames in paths.items()}
    panda = {
        id: [pd.DataFrame(frames.to_dict(as_series=False)) for frames in sources]
        for id, sources in polar.items()
    }
    hold = int(np.load(scratch / "hold.npy"))

    def by_pandas() -> None:
        for id, sources in panda.items():
            joined = pd.DataFrame({"t_wall_ns": grids[id]})
            for source in sources:
                frames = source.drop(columns="t_mono_ns")
                joined = pd.merge_asof(joined, frames, on="t_wall_ns", tolerance=hold)

    def by_polars() -> None:
        for id, sources in polar.items():
            joined = pl.DataFrame({"t_wall_ns": grids[id]})
            for source in sources:
                frames = source.drop("t_mono_ns")
                joined = joined.join_asof(frames, on="t_wall_ns", tolerance=hold)

    return {
        "pandas, merge_asof": len(panda) / best(by_pandas, 3),
        "polars, join_asof": len(polar) / best(by_polars, 3),
    }


WHAT: Mapping[str, Callable[[Path], dict[str, float]]] = {
    "check": check,
    "cut": cut,
    "align": align,
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(WHAT[sys.argv[1]](Path(sys.argv[2]))))
