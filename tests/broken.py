"""`make fixtures`: an episode for each thing that can be wrong, named by what it must get.

`fixtures/` is for validators written by others as much as for ours: its episodes are made up, and
each is called VERDICT-CODE after docs/reference/store-format.md.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from tests import toy

from phasewatch import schema
from phasewatch.episode import Episode
from phasewatch.sim.plant import codes, plant
from phasewatch.store.format import SAMPLES, pack
from phasewatch.store.local import Store

FIXTURES = Path(__file__).parent.parent / "fixtures"

ELSEWHERE = {
    "over_limit": "a gigabyte",
    "name_conflict": "cannot be checked out where letter case counts for nothing",
    "unstable_read": "no state of the bytes",
    "io": "no state of the bytes",
    "check_bug": "no state of the bytes",
}
"""Codes without a fixture, and why; tests make these states themselves."""


def episode(id: str, seed: int) -> Episode:
    """A sound one, that no other equals."""
    return replace(toy.episode(seed=seed), id=id)


def build(root: Path) -> Store:
    """All fixtures, in a new store at `root`."""
    store = Store.create(
        root, schema.vm46(), {"fixtures": "made up; see docs/reference/store-format.md"}
    )
    store.publish(episode("accepted", 0))
    for seed, code in enumerate(codes(), 1):
        _, truth = plant(episode("x", seed), code, np.random.default_rng(seed))
        id = f"{truth.verdict}-{code}"
        files, _ = plant(episode(id, seed), code, np.random.default_rng(seed))
        store.put(id, files)
    twin = "rejected-content_duplicate"
    store.put(twin, pack(episode(twin, 0)))
    (root / "episodes" / "rejected-stray_file").write_text("not an episode\n")
    linked = "rejected-unsafe_file"
    store.publish(episode(linked, len(codes()) + 1))
    (store.folder(linked) / SAMPLES).rename(root / "linked.parquet")
    os.symlink("../../linked.parquet", store.folder(linked) / SAMPLES)
    return store


if __name__ == "__main__":
    shutil.rmtree(FIXTURES, ignore_errors=True)
    build(FIXTURES)
