"""Bootstrap replicates: what they draw, and that blocks change no draw."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from phasewatch import metrics, resampling
from phasewatch.resampling import Resampling


def weights_of(drawn: Resampling, episodes: int) -> Any:
    """Return the weights `[B,E]` of all blocks."""
    return drawn.totals(np.eye(episodes, dtype=np.int64)).astype(np.int64)


def test_resampling_confusion_matrices_equals_resampling_episodes() -> None:
    generator = np.random.default_rng(3)
    truth, guess = generator.integers(0, 4, (2, 200))
    episode = np.array([f"e{n}" for n in generator.integers(0, 12, 200)])
    ids, cube = metrics.confusions(episode, truth, guess, 5)
    drawn = resampling.over_episodes(len(ids), 0)
    weights = weights_of(drawn, len(ids))
    assert (weights.sum(axis=1) == len(ids)).all()
    values = metrics.macro_f1(metrics.resampled_confusions(cube, drawn))
    for draw in range(5):
        rows = np.concatenate(
            [
                np.flatnonzero(episode == id)
                for id, n in zip(ids, weights[draw], strict=True)
                for _ in range(n)
            ]
        )
        assert values[draw] == pytest.approx(f1_score(truth[rows], guess[rows], average="macro"))


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=20), st.integers(0, 5))
def test_a_resampled_host_contributes_as_many_episodes_as_it_has(
    hosts: list[str], seed: int
) -> None:
    host = np.array(hosts)
    weights = weights_of(resampling.over_hosts(host, seed, 50), len(host))
    assert (weights >= 0).all()
    drawn = np.zeros(50, np.int64)
    for name in np.unique(host):
        draws = weights[:, host == name].sum(axis=1)
        assert not (draws % (host == name).sum()).any()
        drawn = drawn + draws // (host == name).sum()
    assert (drawn == len(np.unique(host))).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: resampling.over_episodes(9, 1, 40),
        lambda: resampling.over_hosts(np.array(list("aabbbcccc")), 1, 40),
    ],
)
def test_small_blocks_draw_what_one_block_draws(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Resampling]
) -> None:
    whole = list(make().blocks())
    monkeypatch.setattr(resampling, "BLOCK_WEIGHTS", 20)
    parts = list(make().blocks())
    assert len(parts) > len(whole)
    assert max(one.weights.size for one in parts) <= 20
    values = np.random.default_rng(0).integers(0, 50, (9, 2, 2))
    after = make().totals(values)
    monkeypatch.undo()
    assert np.array_equal(after, make().totals(values))


def test_every_call_gives_the_same_draws() -> None:
    drawn, values = resampling.over_episodes(5, 7, 30), np.arange(10).reshape(5, 2)
    assert np.array_equal(drawn.totals(values), drawn.totals(values))
