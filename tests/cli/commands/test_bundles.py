"""`sign`: only models that load are signed, and only signed ones are trusted."""

import shutil
from pathlib import Path

import pytest
from tests.cli.invoke import Run, refused
from tests.test_frozen import BUNDLES, CHECKPOINTS


@pytest.mark.parametrize("model_path", [CHECKPOINTS[-1], BUNDLES[-1]], ids=["checkpoint", "bundle"])
def test_a_signed_model_is_the_only_one_that_is_trusted(
    run: Run, keys: Path, tmp_path: Path, model_path: Path
) -> None:
    shutil.copytree(model_path.parent, tmp_path / "models")
    model, options = tmp_path / "models" / model_path.name, ("--trust", keys / "own.pub")
    for key in ("own", "other"):
        assert "signature" not in run("inspect", model)[1]
        assert "`phasewatch sign`" in refused(run("inspect", model, *options))
        code, printed, _ = run("sign", model, "--key", keys / f"{key}.pem")
        assert code == 0 and printed.strip().endswith(".sig")
        if key == "own":
            assert run("inspect", model, *options)[0] == 0
            Path(printed.strip()).unlink()
    assert "other.pem" in refused(run("inspect", model, "--trust", keys / "other.pem"))


def test_only_models_that_load_are_signed(run: Run, keys: Path, tmp_path: Path) -> None:
    shutil.copytree(CHECKPOINTS[0].parent, tmp_path / "models")
    model = tmp_path / "models" / CHECKPOINTS[0].name
    model.write_bytes(model.read_bytes()[:-9])
    assert model.name in refused(run("sign", model, "--key", keys / "own.pem"))
    assert not list(model.parent.glob("*.ckpt.json.sig"))
