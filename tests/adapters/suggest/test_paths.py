"""Machines and quantities in paths."""

import re

import numpy as np
import pytest

from phasewatch.adapters.suggest import paths


@pytest.mark.parametrize(
    ("names", "level"),
    [
        (["a/x.csv", "b/x.csv"], paths.FOLDER),
        (["a/x.csv", "a/y.csv"], ""),
        (["a/x.csv", "b/x.csv", "notes.csv"], ""),
        (["2026-11-01/a.csv", "2026-11-02/a.csv"], ""),
        (["raw/a/x.csv", "raw/b/x.csv"], "^(?:[^/]+/){1}([^/]+)/"),
        (["train/a/x.csv", "test/b/x.csv"], "^(?:[^/]+/){1}([^/]+)/"),
    ],
)
def test_levels_of_folders_tell_files_apart(names: list[str], level: str) -> None:
    assert next(paths.levels(names), "") == level


def test_files_that_only_touch_do_not_overlap() -> None:
    one, next_one = np.arange(10.0), np.arange(9.0, 20.0)
    assert not paths.overlapping([one, next_one])
    assert paths.overlapping([one, one + 5])


def test_the_quantity_is_below_the_folder_without_date_and_ending() -> None:
    for name in ("web1/cpu-0/cpu-user-2023-07-05.csv", "web1/cpu-0/cpu-user-2023-07-05"):
        for level, path in zip(paths.levels(["a/x", "b/x"]), (name,), strict=True):
            found = re.search(paths.quantity(level), path)
            assert found is not None
            assert found[1] == "cpu-0/cpu-user"
    deeper = next(paths.levels(["raw/a/x", "raw/b/x"]))
    assert re.search(paths.quantity(deeper), "raw/web1/cpu/user.csv")[1] == "cpu/user"  # type: ignore[index]
