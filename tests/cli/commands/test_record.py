"""`record` and `lab`: refusals before anything is recorded, and what can be recorded."""

import json
from pathlib import Path

import pytest
from tests.cli.invoke import Run, refused


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--plan", "plans/corpus.toml", "--host", "pc-small", "--seed", "1"), "--host, --seed: "),
        (("--plan", "absent.toml"), "absent.toml: No such file"),
        (("--profile", "benign", "--host", "pc-small", "--jobs", "2"), "--jobs: applies to a plan"),
        (("--profile", "benign", "--host", "pc-small", "--fault", "nope"), "fault nope"),
        (("--profile", "benign", "--host", "nope"), "or add it to "),
        (("--profile", "scan-and-dial", "--host", "pc-small", "--seconds", "40"), "too short"),
    ],
)
def test_a_failed_recording_leaves_no_store(
    run: Run, tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    assert expected in refused(run("record", "--out", tmp_path / "s", *words))
    assert not (tmp_path / "s").exists()


def test_lab_lists_hosts_and_profiles(run: Run) -> None:
    code, out, _ = run("lab", "--json")
    found = json.loads(out)
    assert code == 0
    assert {"arm-store", "pc-small"} <= {host["name"] for host in found["hosts"]}
    assert "scan-and-dial" in {load["name"] for load in found["profiles"]}
    assert "pc-small" in run("lab")[1]
