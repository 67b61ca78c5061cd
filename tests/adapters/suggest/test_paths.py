"""Machines and quantities in paths."""

import re

import numpy as np

from phasewatch.adapters.suggest import paths


def test_all_files_are_in_folders_of_which_there_are_several() -> None:
    assert paths.several_folders(["a/x.csv", "b/x.csv"])
    assert not paths.several_folders(["a/x.csv", "a/y.csv"])
    assert not paths.several_folders(["a/x.csv", "b/x.csv", "notes.csv"])


def test_files_that_only_touch_do_not_overlap() -> None:
    one, next_one = np.arange(10.0), np.arange(9.0, 20.0)
    assert not paths.overlapping([one, next_one])
    assert paths.overlapping([one, one + 5])


def test_the_quantity_is_below_the_folder_without_date_and_ending() -> None:
    for name in ("web1/cpu-0/cpu-user-2023-07-05.csv", "web1/cpu-0/cpu-user-2023-07-05"):
        found = re.search(paths.QUANTITY, name)
        assert found is not None
        assert found[1] == "cpu-0/cpu-user"
