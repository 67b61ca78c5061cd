"""The level of a machine in a file: what is written is read, ages, and is not believed blindly."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.live.levels import KeptLevels, described
from phasewatch.schema import NS

VM46 = schema.vm46()
T = 1_790_000_000 * NS
DAY = 86_400 * NS


@pytest.fixture
def kept(tmp_path: Path) -> KeptLevels:
    return KeptLevels(tmp_path / "levels", VM46)


def level() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    found = np.linspace(-2.0, 9.0, len(VM46.names)).astype(np.float32)
    found[3] = np.nan
    return found


def test_a_level_is_read_back_to_the_bit_whatever_the_order_of_channels(kept: KeptLevels) -> None:
    assert kept.read("web") is None
    kept.write("web", level(), 15.0, T)
    found = kept.read("web")
    assert found is not None and found.age_s(T + DAY) == 86_400
    np.testing.assert_array_equal(found.of(VM46.names), level())
    np.testing.assert_array_equal(found.of(VM46.names[::-1]), level()[::-1])
    assert math.isnan(found.of(("moon.dust",))[0])


def test_machines_have_files_of_their_own_inside_the_folder(kept: KeptLevels) -> None:
    for name in ("web", "../web", "a/b", "..", "", "ü" * 300):
        assert kept.path(name).parent == kept.folder
    kept.write("a/b", level(), 15.0, T)
    with pytest.raises(Refused, match="machine: is 'a/b'; expected 'a-b'"):
        kept.read("a-b")


def test_a_damaged_file_and_one_of_another_grid_are_refused_with_what_to_do(
    kept: KeptLevels,
) -> None:
    kept.write("web", level(), 15.0, T)
    path = kept.path("web")
    whole = json.loads(path.read_text())
    for text in ("{", "[]", "{}", json.dumps({**whole, "format": 2})):
        path.write_text(text)
        with pytest.raises(Refused, match=r"web\.level\.json") as refused:
            kept.read("web")
        assert refused.value.code == "level" and "measured anew" in refused.value.remedy
    path.write_text(json.dumps(whole))
    other = KeptLevels(kept.folder, replace(VM46, grid=replace(VM46.grid, step_s=1.0)))
    with pytest.raises(Refused, match=r"step_s: is 0\.5; expected 1\.0"):
        other.read("web")


def test_the_age_is_said_and_an_old_level_is_warned_of(kept: KeptLevels) -> None:
    found = kept.write("web", level(), 15.0, T)
    assert described(found, T + DAY) == "its level was measured 1.0 days ago"
    assert "--new-levels" in described(found, T + 40 * DAY)
    assert "check the clock" in described(found, T - DAY)
