"""What tests share: a small store, a run over it, and files of trained models."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import toy

from phasewatch.experiment import pipeline
from phasewatch.experiment.pipeline import RunResult
from phasewatch.store.local import Store

if TYPE_CHECKING:
    from tests.model_files import ModelFiles

Files = dict[str, bytes]


@pytest.fixture(scope="session")
def toy_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The toy store; tests read it and never change it."""
    return toy.store(tmp_path_factory.mktemp("toy") / "store")


@pytest.fixture(scope="session")
def toy_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `toy_run` writes."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="session")
def toy_run(toy_store: Store, toy_out: Path) -> RunResult:
    """A complete run on the toy store: trained, predicted, evaluated."""
    return pipeline.run(toy.RECIPE, toy_store, toy_out, lambda line: None)


@pytest.fixture(scope="session")
def checkpoint_files(toy_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of a checkpoint of boosted trees, by name."""
    from tests.trained import trained

    from phasewatch.artifacts import checkpoint

    folder = tmp_path_factory.mktemp("checkpoint")
    checkpoint.save(trained(toy_store), toy.episode(), folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="session")
def bundle_files(toy_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of a bundle of boosted trees, by name."""
    from tests.trained import saved

    from phasewatch.artifacts.export import export

    folder = tmp_path_factory.mktemp("exported")
    exported = export(saved(toy_store, folder), toy_store, folder)
    return {path.name: path.read_bytes() for path in exported.iterdir()}


@pytest.fixture
def bundle_folder(bundle_files: Files, tmp_path: Path) -> Path:
    """A bundle of boosted trees, to be damaged."""
    folder = tmp_path / "gbt-oracle.bundle"
    folder.mkdir()
    for name, data in bundle_files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(params=["checkpoint", "bundle"])
def model_files(
    request: pytest.FixtureRequest, tmp_path: Path, checkpoint_files: Files, bundle_files: Files
) -> "ModelFiles":
    """The files of a checkpoint, then those of a bundle, to be damaged."""
    from tests.model_files import ModelFiles

    files = checkpoint_files if request.param == "checkpoint" else bundle_files
    return ModelFiles(tmp_path / "model.bundle", files, request.param)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two pairs of keys, `own` and `other`, made as docs/how-to/export.md says."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("own", "other"):
        private, public = folder / f"{name}.pem", folder / f"{name}.pub"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return folder
