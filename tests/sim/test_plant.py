"""Planted faults: one for every rule, and each is reported under its code."""

from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch import schema
from phasewatch.sim.plant import EPISODE_FAULTS, FILE_FAULTS, codes, plant
from phasewatch.store.local import Store
from phasewatch.validation.rules import RULES
from phasewatch.validation.sweep import validate_episode

VM46 = schema.vm46()


def test_every_rule_has_a_fault_and_every_fault_a_rule() -> None:
    assert set(EPISODE_FAULTS) == {rule.code for rule in RULES}
    assert not set(EPISODE_FAULTS) & set(FILE_FAULTS)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("code", ["", *codes()])
def test_a_fault_is_reported_under_its_code(tmp_path: Path, code: str, seed: int) -> None:
    store = Store.create(tmp_path, VM46)
    files, truth = plant(toy.episode(seconds=60, seed=seed), code, np.random.default_rng(seed))
    store.put(truth.id, files)
    result = validate_episode(store, truth.id)
    assert result.verdict == truth.verdict
    assert not code or code in {finding.code for finding in result.findings}
