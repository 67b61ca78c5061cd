"""The fit's file: what is written is read again, and another file is refused."""

from pathlib import Path

import pytest
from tests.sim.made_up import VM46, made_up_fit

from phasewatch.errors import Refused
from phasewatch.sim.fit import PACKAGED_FIT, Fit


def test_the_packaged_fit_is_of_todays_schema() -> None:
    packaged = Fit.load(PACKAGED_FIT, VM46)
    assert len(packaged.hosts) >= 8
    assert len(packaged.campaigns) >= 5
    assert len(packaged.dump()) < 300_000


@pytest.mark.parametrize("damage", ["garbage", "other channels", "absent"])
def test_a_wrong_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "fit.npz"
    expected = VM46
    if damage == "garbage":
        path.write_bytes(b"not a fit")
    elif damage == "other channels":
        path.write_bytes(made_up_fit().dump())
        expected = VM46.for_mode("realistic")
    with pytest.raises(Refused, match=r"fit\.npz"):
        Fit.load(path, expected)
