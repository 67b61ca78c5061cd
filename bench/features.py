"""`make bench`, features: statistics of windows and alignment of episodes, per second on one core.

Peers get the same grid and compute the same statistics of the same windows, except tsfresh, which
computes the ten of its minimal set. An as-of join does less than our alignment, which also computes
rates of counters and means over a step, and handles resets and gaps.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import table_peers
from layouts import flat, seconds
from numpy.lib.stride_tricks import sliding_window_view
from rich.console import Console
from rich.table import Table

from phasewatch import alignment
from phasewatch.features import views
from phasewatch.store.local import Store
from phasewatch.windowing import resample, signed_log

EPISODES = 24
MISSING = 0.05
LOTS = 10**9
"""Work after which every loop is compiled."""


def run(opened: Store, out: Console, scratch: Path) -> None:
    """Measure episodes of the corpus; `scratch` is the folder of the files that peers read."""
    schema, grid = opened.schema, opened.schema.grid
    episodes = [opened.read(id) for id in opened.ids()[:EPISODES]]
    total = {one.id: (one.end_ns - one.start_ns) // grid.step_ns for one in episodes}
    resampled = [resample(one.sources, schema, one.start_ns, 0, total[one.id]) for one in episodes]
    joined = signed_log(np.concatenate(resampled, axis=1))
    np.savez(scratch / "grid.npz", grid=joined, steps=grid.steps, stride=grid.stride)
    x = sliding_window_view(joined, grid.steps, axis=1)[:, :: grid.stride].swapaxes(0, 1)
    z = np.ascontiguousarray(x)
    floor = {"copying the windows, the floor": len(z) / seconds(z.copy)}
    name = f"{len(views.STATISTICS)} statistics of {z.shape[1]} channels, one core"
    peers = {**floor, **table_peers.rates("cut", scratch)}
    _print(out, name, "windows/s", _summaries(z), peers)
    gaps = np.where(np.random.default_rng(0).random(z.shape) < MISSING, np.nan, z)
    _print(out, f"{name}, {MISSING:.0%} of values missing", "windows/s", _summaries(gaps), {})

    edges = {
        one.id: one.start_ns + grid.step_ns * np.arange(1, total[one.id] + 1) for one in episodes
    }
    np.savez(scratch / "edges.npz", allow_pickle=False, **edges)
    np.save(scratch / "hold.npy", grid.hold_ns)
    for one in episodes:
        for source, samples in one.sources.items():
            pq.write_table(flat(samples), scratch / f"{one.id}.{source}.parquet")

    def aligned() -> object:
        return [resample(one.sources, schema, one.start_ns, 0, total[one.id]) for one in episodes]

    ours = {name: len(episodes) / took for name, took in _both(alignment, aligned).items()}
    _print(
        out,
        "aligning episodes, one core",
        "episodes/s",
        ours,
        table_peers.rates("align", scratch),
    )


def _summaries(z: views.Array) -> dict[str, float]:
    """Return our windows per second."""
    took = _both(views, lambda: views.summary(z))
    return {name: len(z) / seconds for name, seconds in took.items()}


def _both(module: Any, work: Callable[[], object]) -> dict[str, float]:
    """Return the seconds of some work by NumPy, and by the loop that numba compiles if it is here.

    `module` has the loop as `COMPILED`. It is processor time: the machine may be shared.
    """
    with mock.patch.object(module, "COMPILED") as never:
        never.after.return_value = None
        took = {"ours, NumPy": seconds(work)}
    if module.COMPILED.after(LOTS):
        took["ours, compiled"] = seconds(work, clock=time.process_time)
    return took


def _print(
    out: Console,
    what: str,
    unit: str,
    our_rates: Mapping[str, float],
    peer_rates: Mapping[str, float],
) -> None:
    table = Table(what, unit, *(f"{name} is" for name in our_rates))
    for name, rate in {**our_rates, **peer_rates}.items():
        ratios = (f"{ours / rate:.3g} x" for ours in our_rates.values())
        table.add_row(name, f"{rate:,.0f}", *ratios)
    out.print(table)


def main() -> None:
    """Print our own rates alone, without peers."""
    opened = Store.open(Path(__file__).parent.parent / "corpus")
    with tempfile.TemporaryDirectory() as scratch, mock.patch.object(table_peers, "rates") as none:
        none.return_value = {}
        run(opened, Console(highlight=False), Path(scratch))


if __name__ == "__main__":
    main()
