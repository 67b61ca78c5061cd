"""Nearest neighbours equal those of comparing everything with everything."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from phasewatch.evaluation.neighbours import NearestTraining, nearest_other, nearest_value
from phasewatch.store.local import Store
from phasewatch.windowing import Windows, extract

FEW = st.lists(st.integers(0, 8), min_size=1, max_size=12)


@given(FEW, FEW)
def test_the_nearest_value_is_that_of_all_distances(values: list[int], wanted: list[int]) -> None:
    some, others = np.array(values) / 4, np.array(wanted) / 4
    apart = np.abs(others[:, None] - some)
    single = (apart == apart.min(axis=1, keepdims=True)).sum(axis=1) == 1
    assert np.array_equal(nearest_value(some, others), np.where(single, apart.argmin(axis=1), -1))


@given(st.lists(st.integers(0, 8), min_size=2, max_size=12))
def test_the_nearest_other_value_is_that_of_all_distances(values: list[int]) -> None:
    some = np.array(values) / 4
    apart = np.abs(some[:, None] - some)
    np.fill_diagonal(apart, np.inf)
    assert np.array_equal(nearest_other(some), apart.argmin(axis=1))


@pytest.fixture(scope="module")
def windows(toy_store: Store) -> Windows:
    return extract(toy_store, toy_store.ids(), toy_store.schema, 6.0)


def test_the_nearest_training_window_is_that_of_all_distances(windows: Windows) -> None:
    near, some = NearestTraining(windows), windows.take(np.arange(0, len(windows), 7))
    some = replace(some, x=some.x * np.float32(1.7))
    points, every = near.standardised(some), near.at(np.arange(len(windows)))
    apart = cdist(points, every)
    place, least = near.nearest(points)
    assert least.any()
    assert np.array_equal(place, apart.argmin(axis=1))
    assert np.array_equal(least, apart.min(axis=1))
    assert (near.lower_bounds(some) <= least).all()


def test_of_equal_training_windows_the_first_is_nearest(windows: Windows) -> None:
    twice = windows.take(np.repeat(np.arange(20), 40))
    near = NearestTraining(twice)
    place, least = near.nearest(near.at(np.arange(0, len(twice), 40)))
    assert np.array_equal(place, np.arange(0, len(twice), 40))
    assert not least.any()
