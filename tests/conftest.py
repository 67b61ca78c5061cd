"""What tests share: one small store, one run over it."""

from pathlib import Path

import pytest
from tests import toy

from phasewatch.experiment import pipeline
from phasewatch.experiment.pipeline import RunResult
from phasewatch.store.local import Store


@pytest.fixture(scope="session")
def toy_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Read it, never change it."""
    return toy.store(tmp_path_factory.mktemp("toy") / "store")


@pytest.fixture(scope="session")
def toy_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `toy_run` wrote."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="session")
def toy_run(toy_store: Store, toy_out: Path) -> RunResult:
    """The whole road, once."""
    return pipeline.run(toy.RECIPE, toy_store, toy_out, lambda line: None)
