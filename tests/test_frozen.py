"""What earlier releases wrote loads for ever, with the answers it had."""

from pathlib import Path

import pytest

from phasewatch.artifacts import bundle, checkpoint

FILES = Path(__file__).parent / "frozen"
CHECKPOINTS = sorted(FILES.glob("*/*.ckpt.json"))
BUNDLES = sorted(FILES.glob("*/*.bundle"))


def told(path: Path) -> str:
    return f"{path.parent.name}-{path.name}"


def test_there_are_six_of_each_release() -> None:
    for release in (
        path for path in FILES.iterdir() if (path / "mlp-realistic.ckpt.json").exists()
    ):
        assert len(list(release.glob("*.ckpt.json"))) == len(list(release.glob("*.bundle"))) == 6
    assert {"0.1.0", "0.2.0"} <= {path.parent.name for path in CHECKPOINTS}


@pytest.mark.parametrize("path", CHECKPOINTS, ids=told)
def test_a_checkpoint_of_any_release_loads(path: Path) -> None:
    """Loading replays its probe and golden windows."""
    header = checkpoint.load_header(path)
    assert header.golden
    assert checkpoint.load(path).name == header.name


@pytest.mark.parametrize("path", BUNDLES, ids=told)
def test_a_bundle_of_any_release_loads(path: Path) -> None:
    assert bundle.load(path).name == bundle.load_terms(path).name
