"""`make bench`, validation: episodes validated per second on one core, beside simpler ways.

The lower bound reads and hashes the same bytes and checks nothing. The simple ways store an episode
as gzipped JSON Lines or as one Parquet file for each source, and check single rows and columns:
fewer rules than ours, and no comparison of clocks. All forms are written anew from the same
episodes, ours as this release publishes them.
"""

import gzip
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import table_peers
from layouts import four_parquet, json_lines, seconds
from rich.console import Console
from rich.table import Table

from phasewatch.episode import Episode
from phasewatch.schema import Schema
from phasewatch.store import format
from phasewatch.store.format import SAMPLES
from phasewatch.store.local import Store
from phasewatch.validation import rules, sweep
from phasewatch.validation.clocks import measure
from phasewatch.validation.rules import Facts

EPISODES, BLOCK = 48, 8192


def run(opened: Store, out: Console, scratch: Path) -> None:
    """Measure episodes of the corpus; `scratch` is the folder of the other forms."""
    ids = opened.ids()[:: len(opened.ids()) // EPISODES][:EPISODES]
    episodes = [opened.read(id) for id in ids]
    ours = Store.create(scratch / "ours", opened.schema)
    for episode in episodes:
        ours.publish(episode)
    listed = [_write(episode, scratch) for episode in episodes]
    (scratch / "schema.json").write_text(
        json.dumps(
            {
                name: [channel.name for channel in opened.schema.channels_of(name)]
                for name in opened.schema.sources
            }
        )
    )

    def rate(work: Callable[[], object]) -> float:
        return len(ids) / seconds(work, 1.0)

    our_rate = rate(lambda: sweep.validate_store(ours))
    table = Table("validating episodes, one core", "episodes/s", "ours is")
    table.add_row("ours: every rule, and what clocks say of each other", f"{our_rate:,.0f}", "")
    peer_rates = {
        "read and sha256 of the same bytes, the floor": rate(lambda: _hash(ours, ids)),
        "gzip and json, checks in plain Python": rate(
            lambda: [plain(scratch, one, opened.schema) for one in listed]
        ),
        **table_peers.rates("check", scratch),
    }
    for name, found in peer_rates.items():
        table.add_row(name, f"{found:,.0f}", f"{our_rate / found:.3g} x")
    out.print(table)

    datas = [(ours.folder(id) / SAMPLES).read_bytes() for id in ids]
    files = [format.open_samples(data, SAMPLES) for data in datas]
    tables = [format.read_table(file, SAMPLES) for file in files]
    parts = {
        "stamps, for the next sweep to skip by": lambda: [ours.version(id) for id in ids],
        "manifest: JSON and its digest": lambda: [ours.manifest(id) for id in ids],
        "read and sha256": lambda: _hash(ours, ids),
        "headers of Parquet": lambda: [format.open_samples(data, SAMPLES) for data in datas],
        "Parquet to Arrow": lambda: [format.read_table(file, SAMPLES) for file in files],
        "Arrow to arrays": lambda: [format.samples_of_table(table, SAMPLES) for table in tables],
        "rules": lambda: rules.check_all([Facts(one, opened.schema) for one in episodes]),
        "of the rules: clocks and onsets": lambda: [
            measure(one, one.sources, opened.schema) for one in episodes
        ],
    }
    table = Table("where our time goes", "ms an episode", "of all")
    for name, work in parts.items():
        spent = seconds(work, 1.0) / len(ids)
        table.add_row(name, f"{spent * 1e3:.2f}", f"{spent * our_rate:.0%}")
    out.print(table)


def _hash(opened: Store, ids: Sequence[str]) -> None:
    for id in ids:
        for path in sorted(opened.folder(id).iterdir()):
            hashlib.sha256(path.read_bytes()).digest()


def _write(episode: Episode, scratch: Path) -> dict[str, Any]:
    """Write the episode as JSON Lines and as four Parquet files; return what a manifest holds."""
    lines = json_lines(episode)["lines"]
    (scratch / f"{episode.id}.jsonl.gz").write_bytes(lines)
    for source, data in four_parquet(episode).items():
        (scratch / f"{episode.id}.{source}.parquet").write_bytes(data)
    return {
        "id": episode.id,
        "sha256": hashlib.sha256(lines).hexdigest(),
        "start_ns": episode.start_ns,
        "end_ns": episode.end_ns,
        "labels": [(label.t_wall_ns, label.phase) for label in episode.labels],
        "rates": {name: samples.rate_hz for name, samples in episode.sources.items()},
    }


def plain(scratch: Path, manifest: dict[str, Any], schema: Schema) -> list[str]:
    """Return the problems that a short validator in plain Python finds."""
    path = scratch / f"{manifest['id']}.jsonl.gz"
    hashed, found = hashlib.sha256(), []
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            hashed.update(block)
    if hashed.hexdigest() != manifest["sha256"]:
        found.append("digest")
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in schema.sources}
    with gzip.open(path, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            rows[row["source"]].append(row)
    lasted_s = (manifest["end_ns"] - manifest["start_ns"]) / 1e9
    for source, rows_of_source in rows.items():
        if len(rows_of_source) < 0.9 * manifest["rates"].get(source, 2.0) * lasted_s:
            found.append(f"{source} is thin")
        found += _plain_rows(
            rows_of_source, {channel.name: channel.kind for channel in schema.channels_of(source)}
        )
    times = [time for time, _ in manifest["labels"]]
    phases = {phase for _, phase in manifest["labels"]}
    if times != sorted(set(times)) or phases - {*schema.classes}:
        found.append("labels")
    return found


def _plain_rows(rows: Sequence[dict[str, Any]], kinds: dict[str, str]) -> list[str]:
    found = []
    for row in rows:
        if row.keys() - {"source", "t_wall_ns", "t_mono_ns"} != kinds.keys():
            found.append("other channels")
        if not all(isinstance(row[name], float) and math.isfinite(row[name]) for name in kinds):
            found.append("no number")
    for before, after in itertools.pairwise(rows):
        if after["t_wall_ns"] <= before["t_wall_ns"]:
            found.append("time runs back")
        for name, kind in kinds.items():
            if kind == "counter" and after[name] < before[name]:
                found.append(f"{name} falls")
    return found
