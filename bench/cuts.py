"""`make bench`, cuts: windows summarised, and episodes aligned, per second on one core.

Peers get the same grid and give the same statistics of the same windows, except tsfresh, which
gives the ten of its minimal set. Joining as of each step is less than our alignment does: rates of
counters, means over a step, resets and holes.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from frames import told
from layouts import flat, seconds
from numpy.lib.stride_tricks import sliding_window_view
from rich.console import Console
from rich.table import Table

from phasewatch.features import views
from phasewatch.store.local import Store
from phasewatch.windowing import columns, log

EPISODES = 24


def run(opened: Store, out: Console, scratch: Path) -> None:
    """On episodes of the corpus; `scratch` takes what peers read."""
    schema, grid = opened.schema, opened.schema.grid
    episodes = [opened.read(id) for id in opened.ids()[:EPISODES]]
    total = {one.id: (one.end_ns - one.start_ns) // grid.step_ns for one in episodes}
    made = [columns(one.sources, schema, one.start_ns, 0, total[one.id]) for one in episodes]
    joined = log(np.concatenate(made, axis=1))
    np.savez(scratch / "grid.npz", grid=joined, steps=grid.steps, stride=grid.stride)
    x = sliding_window_view(joined, grid.steps, axis=1)[:, :: grid.stride].swapaxes(0, 1)
    z = np.ascontiguousarray(x)
    floor = {"copying the windows, the floor": len(z) / seconds(z.copy)}
    mine = len(z) / seconds(lambda: views.summary(z))
    name = f"{len(views.STATISTICS)} statistics of {z.shape[1]} channels, one core"
    _print(out, name, "windows/s", mine, {**floor, **told("cut", scratch)})

    edges = {
        one.id: one.start_ns + grid.step_ns * np.arange(1, total[one.id] + 1) for one in episodes
    }
    np.savez(scratch / "edges.npz", allow_pickle=False, **edges)
    np.save(scratch / "hold.npy", grid.hold_ns)
    for one in episodes:
        for source, samples in one.sources.items():
            pq.write_table(flat(samples), scratch / f"{one.id}.{source}.parquet")
    mine = len(episodes) / seconds(
        lambda: [columns(one.sources, schema, one.start_ns, 0, total[one.id]) for one in episodes]
    )
    _print(out, "aligning episodes, one core", "episodes/s", mine, told("align", scratch))


def _print(out: Console, what: str, unit: str, mine: float, theirs: Mapping[str, float]) -> None:
    table = Table(what, unit, "ours is")
    table.add_row("ours", f"{mine:,.0f}", "")
    for name, rate in theirs.items():
        table.add_row(name, f"{rate:,.0f}", f"{mine / rate:.3g} x")
    out.print(table)
