"""`make bench`: ours and a peer in one run, as a ratio; absolute figures hold for one machine only.

Nothing here is a test, and nothing fails on a slow day.
"""

import gzip
import hashlib
import io
import json
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import coverage
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import resamples
from pyarrow import ipc
from receive import receiving
from rich.console import Console
from rich.table import Table

from phasewatch import store, sweep, views
from phasewatch.episode import Episode, Samples
from phasewatch.store import Store
from phasewatch.windows import cut, log

Files = dict[str, bytes]
out = Console(highlight=False)


def seconds(work: Callable[[], object], least: float = 0.4) -> float:
    """Best time of one call, over at least five rounds of together `least` seconds."""
    best, spent, rounds = float("inf"), 0.0, 0
    while spent < least or rounds < 5:
        begin = time.perf_counter()
        work()
        took = time.perf_counter() - begin
        best, spent, rounds = min(best, took), spent + took, rounds + 1
    return best


def flat(samples: Samples) -> pa.Table:
    """A source as one column a channel."""
    columns = {name: samples.values[:, at] for at, name in enumerate(samples.names)}
    return pa.table({"t_wall_ns": samples.t_wall_ns, "t_mono_ns": samples.t_mono_ns, **columns})


def four_parquet(episode: Episode) -> Files:
    """A Parquet file a source."""
    files = {}
    for name, samples in episode.sources.items():
        buffer = io.BytesIO()
        pq.write_table(flat(samples), buffer, compression="zstd", write_page_checksum=True)
        files[name] = buffer.getvalue()
    return files


def four_arrow(episode: Episode) -> Files:
    """An Arrow IPC file a source."""
    files = {}
    for name, samples in episode.sources.items():
        buffer, table = io.BytesIO(), flat(samples)
        options = ipc.IpcWriteOptions(compression="zstd")
        with ipc.new_file(buffer, table.schema, options=options) as writer:
            writer.write_table(table)
        files[name] = buffer.getvalue()
    return files


def json_lines(episode: Episode) -> Files:
    """All sources in one gzipped JSON Lines file."""
    lines = [
        json.dumps({"source": name, **row})
        for name, samples in episode.sources.items()
        for row in flat(samples).to_pylist()
    ]
    return {"lines": gzip.compress("\n".join(lines).encode())}


def read_tables(table: Callable[[bytes], pa.Table]) -> Callable[[Files], None]:
    """A reader of files that hold one table each."""

    def read(files: Files) -> None:
        for data in files.values():
            made = table(data)
            np.column_stack([made[name].to_numpy() for name in made.column_names])

    return read


def parquet(data: bytes) -> pa.Table:
    """A table from Parquet bytes."""
    return pq.read_table(io.BytesIO(data), page_checksum_verification=True)


def arrow(data: bytes) -> pa.Table:
    """A table from Arrow IPC bytes."""
    return ipc.open_file(pa.BufferReader(data)).read_all()


LAYOUTS: Mapping[str, tuple[Callable[[Episode], Files], Callable[[Files], object]]] = {
    "one Parquet, a row a source (ours)": (
        lambda episode: {store.SAMPLES: store.encode(episode.sources)},
        lambda files: store.decode(files[store.SAMPLES], "bench"),
    ),
    "four Parquet files": (four_parquet, read_tables(parquet)),
    "four Arrow IPC files": (four_arrow, read_tables(arrow)),
    "JSON Lines, gzip": (
        json_lines,
        lambda files: [json.loads(line) for line in gzip.decompress(files["lines"]).splitlines()],
    ),
}


def silent(files: Files, read: Callable[[Files], object], trials: int = 200) -> int:
    """How many single-bit flips decode without an error."""
    generator, found = random.Random(1), 0
    for _ in range(trials):
        name = generator.choice(list(files))
        damaged = bytearray(files[name])
        damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        try:
            read({**files, name: bytes(damaged)})
        except Exception:
            continue
        found += 1
    return found


def layouts(episode: Episode) -> None:
    """Decision 1: how an episode lies on disk."""
    table = Table("layout", "bytes an episode", "full checks/s", "silent flips without sha256")
    for name, (write, read) in LAYOUTS.items():
        files = write(episode)

        def check(files: Files = files, read: Callable[[Files], object] = read) -> None:
            for data in files.values():
                hashlib.sha256(data).digest()
            read(files)

        size = sum(map(len, files.values()))
        table.add_row(name, f"{size:,}", f"{1 / seconds(check):,.0f}", f"{silent(files, read)}/200")
    out.print(table)


def roads(opened: Store, episodes: list[Episode]) -> None:
    """Our steps beside the plain way of doing the same."""
    ids = opened.ids()[: len(episodes)]
    table = Table("work", "ours", "peer", "peer/ours")

    def row(
        name: str,
        ours: Callable[[], object],
        peer: Callable[[], object],
        label: str,
    ) -> None:
        mine, theirs = seconds(ours), seconds(peer)
        told = (f"{mine * 1e3:.2f} ms", f"{label}: {theirs * 1e3:.2f} ms", f"{theirs / mine:.3g} x")
        table.add_row(name, *told)

    def hashing() -> None:
        for id in ids:
            for path in sorted(opened.folder(id).iterdir()):
                hashlib.sha256(path.read_bytes()).digest()

    row(
        f"validate {len(ids)} episodes",
        lambda: [sweep.judge(opened, id) for id in ids],
        hashing,
        "read and sha256 only",
    )
    x = np.concatenate([cut(episode, opened.schema).x for episode in episodes])
    row(
        f"summary view of {len(x)} windows",
        lambda: views.summary(log(x)),
        lambda: [_plain(window) for window in x],
        "numpy nan-functions a window",
    )
    out.print(table)


def _plain(window: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    z = np.log1p(window)
    half, quarter = z[:, 10:], z[:, 15:]
    parts = [f(z, axis=1) for f in (np.nanmean, np.nanstd, np.nanmin, np.nanmedian, np.nanmax)]
    return np.stack([*parts, np.nanmean(half, axis=1), np.nanmean(quarter, axis=1)], axis=1)


def main() -> None:
    """Both tables, on the corpus in the repository."""
    opened = Store.open(Path(__file__).parent.parent / "corpus")
    episodes = [opened.read(id) for id in opened.ids()[:20]]
    layouts(episodes[0])
    roads(opened, episodes)
    receiving(opened)
    resamples.run(opened, out)
    coverage.run(out)


if __name__ == "__main__":
    main()
