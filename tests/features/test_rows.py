"""Windows that are normalized when they are read are those that are normalized at once."""

import numpy as np
import pytest
from tests import toy

from phasewatch.features.normalizer import Normalizer
from phasewatch.features.rows import NormalizedWindows
from phasewatch.features.views import NEWEST, OLDEST, VIEWS, View, ViewVersion
from phasewatch.grids.cache import GridCache
from phasewatch.store.local import Store


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_rows_and_blocks_are_those_of_all_windows(
    toy_store: Store, tmp_path_factory: pytest.TempPathFactory, view: View, version: ViewVersion
) -> None:
    cache = GridCache(tmp_path_factory.mktemp("grids"), toy_store.schema, toy.RECIPE.opening_s)
    windows = cache.sweep(toy_store).of(toy_store.ids()).windows(toy_store.schema)
    normalizer = Normalizer.fit(view, windows, version, toy_store.schema)
    whole = windows.read()
    z = normalizer.apply(whole.x, whole.opening, whole.past)
    rows = NormalizedWindows(normalizer, windows)
    assert len(rows) == len(z)
    np.testing.assert_array_equal(np.concatenate(list(rows.blocks())), z)
    places = np.random.default_rng(0).permutation(len(z))[:40]
    np.testing.assert_array_equal(rows.rows(places), z[places])
