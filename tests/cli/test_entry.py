"""The installed command ends quietly when it is interrupted while its modules are imported."""

import signal
import subprocess
import sys

import pytest

from phasewatch import __version__
from phasewatch.cli import entry

INTERRUPTED = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "phasewatch.cli.main":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.{handler})
sys.meta_path.insert(0, Interrupting())
from phasewatch.cli.entry import main
main()
"""


def interrupted(handler: str) -> subprocess.CompletedProcess[bytes]:
    """`phasewatch --version`, interrupted at its first import of a command."""
    words = [sys.executable, "-c", INTERRUPTED.format(handler=handler), "--version"]
    return subprocess.run(words, capture_output=True, check=False)


def test_an_interrupted_import_prints_no_traceback() -> None:
    ended = interrupted("default_int_handler")
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")


def test_an_ignored_interrupt_stays_ignored() -> None:
    ended = interrupted("SIG_IGN")
    assert ended.returncode == 0 and __version__ in ended.stdout.decode()


def test_the_handler_of_the_process_is_back_when_the_command_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(
        "phasewatch.cli.main.main", lambda: seen.append(signal.getsignal(signal.SIGINT))
    )
    before = signal.getsignal(signal.SIGINT)
    entry.main()
    assert seen == [before]
