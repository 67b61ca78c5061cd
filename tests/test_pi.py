"""Bundles on a Raspberry Pi's processor, with the wheels that are installed there."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests import pi, toy
from tests.live.test_jsonl import lines
from tests.test_frozen import BUNDLES

from phasewatch import windowing
from phasewatch.artifacts import bundle
from phasewatch.artifacts.bundle import ELSEWHERE
from phasewatch.live.jsonl import watch

COMMAND = "from phasewatch.cli.main import main; main()"
pytestmark = pytest.mark.skipif(bool(pi.lacks()), reason=pi.lacks())


def test_bundles_predict_the_same_on_aarch64(tmp_path: Path) -> None:
    inputs = []
    for place in BUNDLES:
        terms = bundle.load_terms(place)
        windows = windowing.cut_windows(
            toy.episode("delta", "leak"), bundle.load(place).schema, terms.opening_s
        )
        windows.x[::3] = np.nan
        windows.past[1::3] = np.nan
        inputs.append(windows)
    outputs = pi.logits(BUNDLES, inputs, tmp_path)
    for place, windows, on_board in zip(BUNDLES, inputs, outputs, strict=True):
        local = bundle.load(place).logits(windows.x, windows.opening, windows.past)
        assert len(on_board) == len(windows) > 3
        np.testing.assert_allclose(on_board, local, rtol=0, atol=ELSEWHERE, err_msg=str(place))
        assert (on_board.argmax(axis=1) == local.argmax(axis=1)).all(), place


def test_watch_predicts_the_same_on_aarch64() -> None:
    wanted = bundle.load(BUNDLES[0]).schema.sources
    rows = [
        line for line in lines(toy.episode("beta", "leak")) if json.loads(line)["source"] in wanted
    ]
    local = list(watch(bundle.load(BUNDLES[0]), rows))
    printed = pi.run("-c", COMMAND, "watch", BUNDLES[0], stdin="\n".join(rows))
    on_board = [json.loads(line) for line in printed.splitlines()]
    assert [call["phase"] for call in on_board] == [call.phase for call in local] != []
    assert [call["end_ns"] for call in on_board] == [call.end_ns for call in local]


def test_a_bundle_needs_no_training_library_on_aarch64(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("torch", "xgboost", "scipy", "pyarrow", "sklearn"):
        with pytest.raises(subprocess.CalledProcessError):
            pi.run("-c", f"import {name}")
        assert f"No module named '{name}'" in capfd.readouterr().err


def test_the_live_installation_takes_less_than_150_megabytes() -> None:
    assert 100 < pi.megabytes() < 150


def test_a_machine_watches_itself_on_aarch64(capfd: pytest.CaptureFixture[str]) -> None:
    """The collector `host` reads the kernel of the machine that emulates: it is one kernel."""
    printed = pi.run("-c", COMMAND, "attach", "host", "--name", "pi", "--seconds", "1")
    rows = [json.loads(line) for line in printed.splitlines()]
    assert {row["source"] for row in rows} >= {"cpu", "mem", "disk", "net"}
    assert "pi (host): " in capfd.readouterr().err
