"""Two stores side by side."""

from pathlib import Path

import pytest

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.sim.compare import compare
from phasewatch.sim.fit import PACKAGED_FIT
from phasewatch.sim.stream import Recipe, simulate
from phasewatch.store.local import Store


def test_a_store_agrees_with_itself_more_than_with_another_seed(tmp_path: Path) -> None:
    stores = []
    for seed in (1, 2):
        root = tmp_path / str(seed)
        simulate(Recipe(PACKAGED_FIT, schema.vm46(), seed, 0.1), root, 150, 1, lambda count: None)
        stores.append(Store.open(root))
    same = compare(stores[0], stores[0], tmp_path / "same.png")
    other = compare(stores[0], stores[1], tmp_path / "other.png")
    for name in ("quantiles", "memory", "channels", "lagged"):
        assert getattr(same, name) == pytest.approx(1.0)
        assert 0.6 < getattr(other, name) < 1.0
    assert same.slopes == pytest.approx(dict.fromkeys(("memory", "channels", "lagged"), 1.0))
    assert same.auc == pytest.approx(0.5, abs=0.02)
    assert 0.35 < other.auc < 0.7
    assert other.channel_auc == pytest.approx(0.5, abs=0.1)
    assert same.episodes > other.episodes > 20
    assert other.cells > 100
    assert (tmp_path / "other.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_store_is_refused(tmp_path: Path) -> None:
    empty = Store.create(tmp_path / "empty", schema.vm46())
    with pytest.raises(Refused, match="no usable episode"):
        compare(empty, empty, tmp_path / "x.png")
