"""Wheel and sdist install into an empty environment, and the commands work from there.

What this shows: both archives are complete, the entry point starts, and `validate`, `predict` and
`watch` run from another folder with nothing of the checkout on their path. What it does not show:
that pip resolves the declared dependencies. Tests run offline, so the new environment finds the
libraries of this one by a path file, which does not make the checkout's phasewatch importable;
`tests/cli/test_extras.py` compares the declared extras with what the commands import.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from tests import toy
from tests.paths import ROOT
from tests.test_frozen import BUNDLES

from phasewatch import __version__
from phasewatch.experiment.pipeline import RunResult
from phasewatch.store.local import Store

PACKAGE = ROOT / "src" / "phasewatch"
DATA = (
    "schemas/vm46.toml",
    "sim/fit.npz",
    "lab/hosts.toml",
    "lab/profiles/benign.toml",
    "lab/guest/agent.c",
    "reports/report.html.j2",
    "serve/page/index.html",
    "py.typed",
)
"""Files that are no modules, one of each kind."""


def call(*words: object, folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`, with no trace of this checkout in its environment."""
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env={**inherited, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
        input=given.get("text", ""),
    )


def succeeded(*words: object, folder: Path, **given: str) -> str:
    """Run a command as `call` does and return what it prints; exit codes other than 0 fail."""
    done = call(*words, folder=folder, **given)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and the sdist; return their folder."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", folder]
    succeeded(*build, "-t", "wheel", "-t", "sdist", folder=ROOT)
    return folder


def environment(folder: Path, archive: Path) -> Path:
    """Install an archive into an empty environment at `folder`; return its `bin`."""
    succeeded(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder.parent)
    python = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    place = Path(succeeded(python, "-c", code, folder=folder).strip())
    (place / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps"]
    flags = ["--no-build-isolation", "--ignore-installed", "--disable-pip-version-check"]
    succeeded(*pip, *flags, archive, folder=folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of an environment with the wheel."""
    return environment(tmp_path_factory.mktemp("wheel") / "venv", *built.glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith("dist-info/METADATA"))
        about = message_from_bytes(archive.read(metadata))
    files = {
        f"phasewatch/{path.relative_to(PACKAGE)}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files <= names
    assert {f"phasewatch/{name}" for name in DATA} <= names
    assert about["Version"] == __version__
    assert {"data", "train", "live"} <= set(about.get_all("Provides-Extra", []))


def test_the_sdist_holds_source_tests_and_pages(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "mkdocs.yml"}
    wanted |= {"docs/index.md", "tests/test_package.py", "src/phasewatch/__init__.py"}
    assert wanted <= names
    assert not [name for name in names if name.startswith((".venv", "runs", "site"))]


def test_the_sdist_installs(built: Path, tmp_path: Path) -> None:
    place = environment(tmp_path / "venv", *built.glob("*.tar.gz"))
    assert succeeded(place / "phasewatch", "--version", folder=tmp_path).split()[1] == __version__


def test_the_tests_run_the_installed_package(installed: Path, tmp_path: Path) -> None:
    code = "import phasewatch; print(phasewatch.__file__)"
    found = Path(succeeded(installed / "python", "-c", code, folder=tmp_path).strip())
    assert found.is_relative_to(installed.parent)


def test_help(installed: Path, tmp_path: Path) -> None:
    assert "validate" in succeeded(installed / "phasewatch", "--help", folder=tmp_path)


def test_validate(installed: Path, toy_store: Store, tmp_path: Path) -> None:
    words = installed / "phasewatch", "validate", toy_store.root, "--index", "i.parquet", "--json"
    assert json.loads(succeeded(*words, folder=tmp_path))["counts"]["accepted"] == 36
    assert (tmp_path / "i.parquet").exists()


def test_predict(
    installed: Path, toy_store: Store, toy_run: RunResult, toy_out: Path, tmp_path: Path
) -> None:
    checkpoint = toy_out / "checkpoints" / "gbt-realistic.ckpt.json"
    words = "predict", checkpoint, "--store", toy_store.root, "--json"
    found = json.loads(succeeded(installed / "phasewatch", *words, folder=tmp_path))
    assert found["windows"]


def test_watch(installed: Path, tmp_path: Path) -> None:
    bundle = next(path for path in BUNDLES if "gbt" in path.name)
    episode = toy.episode()
    channels = "proc.vcpu_run", "qmp.blk_wr_bytes", "netflow.pkts_out"
    rows = [
        {
            "source": channel.split(".")[0],
            "t_wall_ns": int(time),
            "values": {channel: float(values[samples.names.index(channel)])},
        }
        for channel in channels
        for samples in (episode.sources[channel.split(".")[0]],)
        for time, values in zip(samples.t_wall_ns, samples.values, strict=True)
    ]
    rows.sort(key=lambda row: int(str(row["t_wall_ns"])))
    text = "".join(json.dumps(row) + "\n" for row in rows)
    lines = succeeded(installed / "phasewatch", "watch", bundle, folder=tmp_path, text=text)
    assert lines.splitlines()
    assert all(json.loads(line) for line in lines.splitlines())
