"""What a bundle scores when channels are missing, measured on test episodes that it never saw.

`dropout.json` in a bundle's folder has the figures. It is no part of the contract and not signed:
it says how far predictions can be trusted, and changes none.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phasewatch.artifacts import bundle
from phasewatch.artifacts.bundle import Bundle
from phasewatch.errors import Refused
from phasewatch.io import atomic, fields
from phasewatch.io.trust import read_plain_file
from phasewatch.schema import Schema
from phasewatch.windowing import Windows, extract, pool_openings

if TYPE_CHECKING:
    from phasewatch.artifacts.checkpoint import Checkpoint
    from phasewatch.store.local import Store

FILE = "dropout.json"
MOST_BYTES = 1 << 20

UNSTABLE = ("qmp.vq_net_rx", "qmp.vq_net_tx", "qmp.jit_tlb_flushes")
"""Channels of vm46 that no guest has outside the lab unless QEMU's unstable commands are asked."""

COUNTED = ("netflow.pkts_out", "netflow.pkts_in", "netflow.bytes_out", "netflow.bytes_in")
"""Channels of vm46's network that are left where packets may not be read."""


class Row(fields.Table):
    """The score without some channels, in the order of the schema."""

    without: fields.Tuple[str]
    macro_f1: float


class Dropout(fields.Table):
    """The score with all channels and without some, on the `windows` of the named `hosts`.

    `digest` is that of the bundle's contract, so that figures of another model are not read.
    """

    digest: str
    hosts: str
    windows: int
    macro_f1: float
    rows: fields.Tuple[Row]

    def score_without(self, channels: Sequence[str]) -> float | None:
        """Return the score without exactly these channels; None where it was not measured."""
        if not channels:
            return self.macro_f1
        found = {frozenset(row.without): row.macro_f1 for row in self.rows}
        return found.get(frozenset(channels))


def measure(folder: Path, store: "Store", more: Sequence[tuple[str, ...]] = ()) -> Dropout:
    """Return the scores of a bundle on the test episodes of its split, which `store` holds.

    `more` are sets of channels to leave out, beside each channel, each source and what collectors
    lack. Raises Refused for a channel that the bundle does not read, and for another store.
    """
    terms, loaded = bundle.load_terms(folder), bundle.load(folder)
    for name in (name for one in more for name in one):
        _refuse_unknown(name, loaded.schema)
    windows = unseen_windows(terms.split, terms.name, loaded, store).clear
    names = loaded.schema.names
    rows = [
        Row(without=tuple(names[row] for row in np.flatnonzero(lost)),
            macro_f1=_score(loaded, windows, lost))
        for lost in _losses(loaded.schema, more)
    ]  # fmt: skip
    none = np.zeros(len(names), dtype=bool)
    return Dropout(
        digest=terms.digest,
        hosts=", ".join(sorted(set(windows.host.tolist()))),
        windows=len(windows),
        macro_f1=_score(loaded, windows, none),
        rows=tuple(rows),
    )


def write(folder: Path, found: Dropout) -> Path:
    """Write the scores into a bundle's folder, and return the path."""
    path = folder / FILE
    atomic.write(path, (json.dumps(found.model_dump(), indent=1) + "\n").encode())
    return path


def read(folder: Path, digest: str) -> Dropout | None:
    """Return the scores of a bundle; None where there are none of this bundle. Raises Refused."""
    path = folder / FILE
    if not path.exists():
        return None
    data = read_plain_file(path, MOST_BYTES, "the scores that `phasewatch dropout` writes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        remedy = "Write it again with `phasewatch dropout`."
        raise Refused(path, f"is no JSON: {error}", "scores in JSON", remedy) from error
    found = fields.validate(Dropout, value, path)
    return found if found.digest == digest else None


def _losses(layout: Schema, more: Sequence[tuple[str, ...]]) -> Iterator[NDArray[np.bool_]]:
    """Yield the sets of channels that are left out, as `[C]`, each once."""
    sources = [tuple(one.name for one in layout.channels_of(name)) for name in layout.sources]
    packets = tuple(one.name for one in layout.channels_of("netflow") if one.name not in COUNTED)
    disks = tuple(one.name for one in layout.channels_of("qmp"))
    common = [UNSTABLE, (*UNSTABLE, *packets), (*disks, *packets), *sources]
    alone = [(name,) for name in layout.names]
    seen: set[frozenset[str]] = set()
    for one in (*more, *common, *alone):
        lost = frozenset(one) & set(layout.names)
        if lost and lost != set(layout.names) and lost not in seen:
            seen.add(lost)
            yield np.array([name in lost for name in layout.names])


def _score(loaded: Bundle, windows: Windows, lost: NDArray[np.bool_]) -> float:
    """Return the macro F1 with the channels `lost[C]` unknown in windows, openings and pasts."""
    # Scores need scipy, which a machine that only reads this file does not have.
    from phasewatch.metrics import macro_f1

    parts = (windows.x, windows.opening, windows.past)
    x, level, past = (
        np.where(lost.reshape(1, -1, *[1] * (part.ndim - 2)), np.float32(np.nan), part)
        for part in parts
    )
    found = loaded.logits(x, level, past).argmax(axis=1)
    classes = len(loaded.schema.classes)
    flat = np.bincount(windows.y * classes + found, minlength=classes * classes)
    return float(macro_f1(flat.reshape(classes, classes)))


def unseen_windows(
    split: Mapping[str, Sequence[str]], name: str, model: "Bundle | Checkpoint", store: "Store"
) -> Windows:
    """Return the windows of the test episodes of the split of the model of that name.

    Raises Refused for a store that lacks one of them.
    """
    ids, there = split["test"], set(store.ids())
    absent = [id for id in ids if id not in there]
    if absent:
        raise Refused(
            store.root,
            f"lacks {len(absent)} of {len(ids)} test episodes of {name}, {absent[0]} first",
            "the store that it was trained on",
            "Name that store: only its test episodes are known to be unseen.",
            code="test_missing",
        )
    return pool_openings(extract(store, ids, model.schema, model.opening_s))


def _refuse_unknown(name: str, layout: Schema) -> None:
    if name not in layout.names:
        problem, expected = "is no channel that the bundle reads", ", ".join(layout.names)
        raise Refused(f"--without {name}", problem, expected, "Correct it.", code="channel")
