"""One machine under a bundle; `test_jsonl.py` has the same from lines."""

from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch.artifacts import bundle
from phasewatch.artifacts.bundle import Bundle
from phasewatch.live.buffer import select_rows
from phasewatch.live.watcher import Prediction, Watcher
from phasewatch.schema import NS


@pytest.fixture
def loaded(bundle_folder: Path) -> Bundle:
    return bundle.load(bundle_folder)


def run(watcher: Watcher) -> list[Prediction]:
    found = []
    for source, samples in sorted(toy.episode().sources.items()):
        found += list(watcher.add(source, select_rows(samples, np.arange(2))))
    rows = [
        (t, source, row)
        for source, samples in toy.episode().sources.items()
        for row, t in enumerate(samples.t_wall_ns.tolist())
        if row > 1
    ]
    for _, source, row in sorted(rows):
        samples = toy.episode().sources[source]
        found += list(watcher.add(source, select_rows(samples, np.array([row]))))
    return found


def test_a_known_level_predicts_from_the_first_window_on(loaded: Bundle) -> None:
    """Without one the opening is waited for; with one the first window is the first."""
    fresh = Watcher(loaded)
    without = run(fresh)
    assert fresh.level is not None
    begun = Watcher(loaded, level=fresh.level)
    with_level = run(begun)
    assert len(with_level) > len(without) or loaded.opening_s < loaded.schema.grid.window_s
    start = min(one.t_wall_ns[0] for one in toy.episode().sources.values())
    assert with_level[0].end_ns <= start + round((loaded.schema.grid.window_s + 1) * NS)
    assert begun.level is fresh.level


def test_a_line_names_the_machine_only_where_it_has_a_name() -> None:
    plain = Prediction(1, "benign", {"benign": 1.0}, [])
    assert "machine" not in plain.line()
    assert '"machine": "box"' in Prediction(1, "benign", {"benign": 1.0}, [], machine="box").line()
