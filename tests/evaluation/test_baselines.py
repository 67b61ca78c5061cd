"""Baselines find the dependence that is planted for them, and score chance without one."""

from dataclasses import replace

import numpy as np
import pytest

from phasewatch import metrics
from phasewatch.evaluation import baselines
from phasewatch.schema import Schema
from phasewatch.store.local import Store
from phasewatch.windowing import Windows, extract

CLASSES = 6


@pytest.fixture(scope="module")
def windows(toy_store: Store) -> Windows:
    """Windows of every episode with random phases, which nothing predicts."""
    complete = extract(toy_store, tuple(toy_store.ids()), toy_store.schema, 0.0)
    return replace(complete, y=np.random.default_rng(0).integers(0, CLASSES, len(complete)))


def score(name: str, windows: Windows) -> float:
    """Macro F1 on the last third of the episodes, learned from the first."""
    ids = np.unique(windows.episode)
    train, validation, test = (
        windows.take(np.isin(windows.episode, part)) for part in np.array_split(ids, 3)
    )
    guess = baselines.BASELINES[name](train, validation, test, CLASSES)
    _, cube = metrics.confusions(test.episode, test.y, guess, CLASSES)
    return float(metrics.macro_f1(cube.sum(axis=0)))


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_baselines_score_chance_on_shuffled_labels(name: str, windows: Windows) -> None:
    assert score(name, windows) < 0.35


def test_time_only_predicts_phases_that_follow_the_clock(windows: Windows) -> None:
    starts = {id: windows.t_ns[windows.episode == id].min() for id in np.unique(windows.episode)}
    since = windows.t_ns - np.array([starts[id] for id in windows.episode])
    relabelled = replace(windows, y=(since // 5_000_000_000 % CLASSES).astype(np.int64))
    assert score("time only", relabelled) > 0.95
    assert score("host only", relabelled) < 0.35


def test_host_only_predicts_phases_that_follow_the_host(windows: Windows) -> None:
    hosts = np.unique(windows.host)
    complete = replace(windows, y=np.searchsorted(hosts, windows.host).astype(np.int64))
    first = np.concatenate([np.flatnonzero(windows.host == host)[::3] for host in hosts])
    train, test = complete.take(first), complete.take(np.setdiff1d(np.arange(len(complete)), first))
    assert (baselines.host_only(train, train, test, CLASSES) == test.y).all()


def test_best_channel_predicts_phases_that_follow_one_channel(
    windows: Windows, toy_store: Store
) -> None:
    schema: Schema = toy_store.schema
    x = windows.x.copy()
    x[:, schema.names.index("guest.ctxt")] = np.exp(windows.y)[:, None]
    assert score("best channel", replace(windows, x=x)) > 0.95
