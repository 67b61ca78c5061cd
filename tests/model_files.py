"""The files of one model in a folder of their own, to be damaged by a test."""

from pathlib import Path

import pytest

from phasewatch.artifacts import bundle, checkpoint
from phasewatch.errors import Refused
from phasewatch.io.trust import ANY, Trust


class ModelFiles:
    """A folder with an intact model: `head` is its contract, `body` its weights."""

    def __init__(self, folder: Path, files: dict[str, bytes], kind: str) -> None:
        self.folder, self.kind = folder, kind
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        (self.head,) = (
            one for one in folder.iterdir() if one.suffix == ".json" and "xgb" not in one.name
        )
        (self.body,) = (one for one in folder.iterdir() if "xgb" in one.name or ".onnx" in one.name)

    def load(self, trust: Trust = ANY) -> object:
        if self.kind == "checkpoint":
            return checkpoint.load(self.head, trust)
        return bundle.load(self.folder, trust)

    def code(self, trust: Trust = ANY) -> str:
        """Return the code with which loading is refused."""
        with pytest.raises(Refused) as refused:
            self.load(trust)
        assert "\n" not in str(refused.value)
        return refused.value.code
