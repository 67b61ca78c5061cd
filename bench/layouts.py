"""`make bench`, layouts: an episode on disk in several forms, ours the first of them."""

import gzip
import hashlib
import io
import json
import os
import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ipc
from rich.console import Console
from rich.table import Table

from phasewatch.episode import Episode, Samples
from phasewatch.store import format
from phasewatch.store.local import Store

Files = dict[str, bytes]


def seconds(
    work: Callable[[], object],
    least: float = 0.4,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the best time of one call over at least five rounds and `least` seconds."""
    best, spent, rounds = float("inf"), 0.0, 0
    while spent < least or rounds < 5:
        begin = clock()
        work()
        took = clock() - begin
        best, spent, rounds = min(best, took), spent + took, rounds + 1
    return best


def flat(samples: Samples) -> pa.Table:
    """Return a source as a table with one column for each channel."""
    columns = {name: samples.values[:, at] for at, name in enumerate(samples.names)}
    return pa.table({"t_wall_ns": samples.t_wall_ns, "t_mono_ns": samples.t_mono_ns, **columns})


def four_parquet(episode: Episode) -> Files:
    """Return one Parquet file for each source."""
    files = {}
    for name, samples in episode.sources.items():
        buffer = io.BytesIO()
        pq.write_table(flat(samples), buffer, compression="zstd", write_page_checksum=True)
        files[name] = buffer.getvalue()
    return files


def four_arrow(episode: Episode) -> Files:
    """Return one Arrow IPC file for each source."""
    files = {}
    for name, samples in episode.sources.items():
        buffer, table = io.BytesIO(), flat(samples)
        options = ipc.IpcWriteOptions(compression="zstd")
        with ipc.new_file(buffer, table.schema, options=options) as writer:
            writer.write_table(table)
        files[name] = buffer.getvalue()
    return files


def one_arrow(episode: Episode) -> Files:
    """Return our table, one row for each source, as one Arrow IPC stream."""
    table, buffer = parquet(format.encode_samples(episode.sources)), io.BytesIO()
    options = ipc.IpcWriteOptions(compression="lz4")
    with ipc.new_stream(buffer, table.schema, options=options) as writer:
        writer.write_table(table)
    return {"samples": buffer.getvalue()}


def one_zstd(episode: Episode, level: int = 1) -> Files:
    """Return our layout with another compression, as before decision 22."""
    table, buffer = parquet(format.encode_samples(episode.sources)), io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=level,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
        column_encoding=format.ENCODINGS,
    )
    return {format.SAMPLES: buffer.getvalue()}


def read_rows(table: Callable[[bytes], pa.Table]) -> Callable[[Files], None]:
    """Return a reader of one table with one row for each source."""

    def read(files: Files) -> None:
        (data,) = files.values()
        format.samples_of_table(table(data), format.SAMPLES)

    return read


def json_lines(episode: Episode) -> Files:
    """Return all sources in one gzipped JSON Lines file."""
    lines = [
        json.dumps({"source": name, **row})
        for name, samples in episode.sources.items()
        for row in flat(samples).to_pylist()
    ]
    return {"lines": gzip.compress("\n".join(lines).encode())}


def read_tables(table: Callable[[bytes], pa.Table]) -> Callable[[Files], None]:
    """Return a reader of files that hold one table each."""

    def read(files: Files) -> None:
        for data in files.values():
            made = table(data)
            np.column_stack([made[name].to_numpy() for name in made.column_names])

    return read


def parquet(data: bytes) -> pa.Table:
    """Return a table from Parquet bytes."""
    return pq.read_table(io.BytesIO(data), page_checksum_verification=True)


def arrow(data: bytes) -> pa.Table:
    """Return a table from Arrow IPC bytes."""
    return ipc.open_file(pa.BufferReader(data)).read_all()


def stream(data: bytes) -> pa.Table:
    """Return a table from the bytes of an Arrow IPC stream."""
    return ipc.open_stream(pa.BufferReader(data)).read_all()


LAYOUTS: Mapping[str, tuple[Callable[[Episode], Files], Callable[[Files], object]]] = {
    "one Parquet, a row a source (ours)": (
        lambda episode: {format.SAMPLES: format.encode_samples(episode.sources)},
        lambda files: format.decode_samples(files[format.SAMPLES], "bench"),
    ),
    "the same, zstd": (
        one_zstd,
        lambda files: format.decode_samples(files[format.SAMPLES], "bench"),
    ),
    "the same, Arrow IPC": (one_arrow, read_rows(stream)),
    "four Parquet files": (four_parquet, read_tables(parquet)),
    "four Arrow IPC files": (four_arrow, read_tables(arrow)),
    "JSON Lines, gzip": (
        json_lines,
        lambda files: [json.loads(line) for line in gzip.decompress(files["lines"]).splitlines()],
    ),
}


def silent(files: Files, read: Callable[[Files], object], trials: int = 200) -> int:
    """Return how many single-bit flips decode without an error."""
    generator, found = random.Random(1), 0
    for _ in range(trials):
        name = generator.choice(list(files))
        damaged = bytearray(files[name])
        damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        found += _decodes(partial(read, {**files, name: bytes(damaged)}))
    return found


def _decodes(work: Callable[[], object]) -> bool:
    """Return whether a child process decodes the bytes: some footers abort Arrow's reader."""
    child = os.fork()
    if not child:
        try:
            work()
        except Exception:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def by_length(opened: Store, out: Console) -> None:
    """Print size and loading time of long files in LZ4 and zstd, for decision 22."""
    lz4 = LAYOUTS["one Parquet, a row a source (ours)"][0]
    table = Table("episodes", "compression", "KB an episode", "MB a host-hour", "load time / LZ4")
    episodes = [opened.read(id) for id in opened.ids()]
    days = [one for one in episodes if one.profile == "benign-day"]
    runs = [one for one in episodes if one.profile != "benign-day"]
    for kind, some in (("benign days", days), ("runs", runs)):
        hours, reference = sum(one.seconds for one in some) / 3600, 0.0
        for name, write in (
            ("LZ4 (ours)", lz4),
            ("zstd, level 1", one_zstd),
            ("zstd, level 9", partial(one_zstd, level=9)),
        ):
            written = [write(one)[format.SAMPLES] for one in some]
            took = sum(seconds(partial(_load, data), 0.05) for data in written)
            reference = reference or took
            size = sum(map(len, written))
            each, hourly = size / len(some) / 1e3, size / hours / 1e6
            about = f"{len(some)} {kind}, {hours:.1f} h"
            table.add_row(about, name, f"{each:.1f}", f"{hourly:.2f}", f"{took / reference:.2f}")
    out.print(table)


def _load(data: bytes) -> None:
    hashlib.sha256(data).digest()
    format.decode_samples(data, "bench")


def run(opened: Store, out: Console) -> None:
    """Print the table of decisions 1 and 22: layouts of an episode on disk."""
    episode = opened.read(opened.ids()[0])
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


if __name__ == "__main__":
    by_length(Store.open(Path(__file__).parent.parent / "recordings" / "large"), Console())
