"""The fixture that calls `phasewatch` in this process."""

import sys

import pytest
from tests.cli.invoke import Run

from phasewatch.cli import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call `phasewatch` with some words; exit code, standard output, standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["phasewatch", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        printed = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else int(bool(code))), printed.out, printed.err

    return call
