"""`simulate`: a store holds one simulation."""

from pathlib import Path

from tests.cli.invoke import Run, refused


def test_another_simulation_is_refused_by_field(run: Run, tmp_path: Path) -> None:
    words = ("simulate", "--episodes", 1, "--jobs", 1, "--out", tmp_path / "s")
    assert run(*words, "--seed", 1)[0] == 0
    line = refused(run(*words, "--seed", 2, "--faults", 0.5))
    assert "faults is 0.1 there and 0.5 here; seed is 1 there and 2 here" in line


def test_a_fit_to_simulated_episodes_is_refused(run: Run, tmp_path: Path) -> None:
    words = ("simulate", "--episodes", 1, "--jobs", 1, "--out")
    assert run(*words, tmp_path / "s")[0] == 0
    line = refused(run(*words, tmp_path / "other", "--fit", tmp_path / "s"))
    assert "holds simulated episodes; expected recorded episodes" in line
    assert not (tmp_path / "other").exists()
