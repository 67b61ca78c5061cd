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


def test_bundles_answer_there_as_here(tmp_path: Path) -> None:
    asked = []
    for place in BUNDLES:
        terms = bundle.load_terms(place)
        own = windowing.cut_windows(
            toy.episode("delta", "leak"), bundle.load(place).schema, terms.opening_s
        )
        own.x[::3] = np.nan
        own.past[1::3] = np.nan
        asked.append(own)
    answers = pi.logits(BUNDLES, asked, tmp_path)
    for place, own, there in zip(BUNDLES, asked, answers, strict=True):
        here = bundle.load(place).logits(own.x, own.opening, own.past)
        assert len(there) == len(own) > 3
        np.testing.assert_allclose(there, here, rtol=0, atol=ELSEWHERE, err_msg=str(place))
        assert (there.argmax(axis=1) == here.argmax(axis=1)).all(), place


def test_watch_calls_there_as_here() -> None:
    wanted = bundle.load(BUNDLES[0]).schema.sources
    rows = [
        line for line in lines(toy.episode("beta", "leak")) if json.loads(line)["source"] in wanted
    ]
    here = list(watch(bundle.load(BUNDLES[0]), rows))
    told = pi.run("-c", COMMAND, "watch", BUNDLES[0], stdin="\n".join(rows))
    there = [json.loads(line) for line in told.splitlines()]
    assert [call["phase"] for call in there] == [call.phase for call in here] != []
    assert [call["end_ns"] for call in there] == [call.end_ns for call in here]


def test_what_is_not_installed_there_is_not_needed(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("torch", "xgboost", "scipy", "pyarrow", "sklearn"):
        with pytest.raises(subprocess.CalledProcessError):
            pi.run("-c", f"import {name}")
        assert f"No module named '{name}'" in capfd.readouterr().err


def test_it_takes_less_than_150_megabytes() -> None:
    assert 100 < pi.megabytes() < 150
