"""`bench/scale.py`: stages that grow within their bounds pass, and one that does not ends it."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
from scale import NOISE_MIB, Spent, growth
from tests.paths import ROOT

PLANTED = f"""
import sys
sys.path.insert(0, {str(ROOT / "bench")!r})
import scale, scale_stages

def hoard(place):
    return lambda: bytearray(b"x") * (place.episodes << 20)

scale_stages.STAGES["hoard"] = scale_stages.Stage(hoard, 4)
scale.main()
"""


def run(script: Path, sizes: tuple[str, ...], *stages: str) -> tuple[int, str]:
    """Run stages at some sizes; return the exit code and what was printed."""
    words = [sys.executable, str(script), "--episodes", *sizes, "--stages", *stages]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def test_a_stage_that_grows_beyond_its_bound_ends_with_one(tmp_path: Path) -> None:
    script = tmp_path / "planted.py"
    script.write_text(PLANTED, encoding="utf-8")
    stages = ("simulate", "validate", "extract", "divide")
    code, printed = run(script, ("60", "140"), *stages, "hoard")
    assert code == 1 and "a stage grows beyond its bound" in printed
    rows = [line for line in printed.splitlines() if line.count("│") > 5 and " 140 " in line]
    assert [("EXCEEDED" in row) for row in rows] == [False, False, False, False, True]


def test_a_stage_that_fails_ends_the_program_with_its_message() -> None:
    code, printed = run(ROOT / "bench" / "scale.py", ("60",), "divide")
    assert code == 1 and "divide of 60 episodes" in printed and "FileNotFoundError" in printed


@pytest.mark.parametrize(("added_mib", "within"), [(0.0, True), (100.0, True), (140.0, False)])
def test_growth_is_judged_by_the_bound_and_the_noise(added_mib: float, within: bool) -> None:
    less, more = Spent(1.0, 1.0, 200.0), Spent(4.0, 4.0, 200.0 + added_mib)
    found = growth((1000, 2000), (less, more), 100.0)
    assert found.within is within and NOISE_MIB + 100 * 1000 / 1024 < 140
    assert found.cpu_exponent == pytest.approx(2.0)
    assert found.kib_per_episode == pytest.approx(added_mib * 1.024)


def test_an_exponent_of_almost_nothing_is_not_given() -> None:
    assert math.isnan(growth((1, 2), (Spent(0.01, 1, 9), Spent(0.04, 1, 9)), 1.0).cpu_exponent)
