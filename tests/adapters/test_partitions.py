"""Rows come back by identity and stretch in their order, from memory and from the disk alike."""

from pathlib import Path

import numpy as np
import pytest

from phasewatch.adapters.partitions import Partitions, row_type


@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_rows_are_divided_and_keep_their_order(memory: int, tmp_path: Path) -> None:
    parts = Partitions(tmp_path, 2, memory)
    random = np.random.default_rng(3)
    keys, everything = [], []
    for batch in range(5):
        rows = np.zeros(40, row_type(2))
        rows["line"] = np.arange(40) + 40 * batch
        rows["values"] = random.random((40, 2))
        identities, stretches = random.integers(0, 3, 40), random.integers(-1, 2, 40)
        parts.add(identities, stretches, rows)
        keys += list(zip(identities.tolist(), stretches.tolist(), strict=True))
        everything.append(rows)
    assert bool(list(tmp_path.iterdir())) == (memory == 0)
    assert parts.keys == sorted(set(keys))
    whole = np.concatenate(everything)
    for key in parts.keys:
        expected = whole[[place for place, one in enumerate(keys) if one == key]]
        np.testing.assert_array_equal(parts.load(key), expected)
        assert parts.size(key) == expected.nbytes
