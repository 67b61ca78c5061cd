"""The parts that all commands share: streams, text made safe for a terminal, and the bar."""

import io
import json
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from phasewatch import progress
from phasewatch.cli import console


def test_a_character_that_a_stream_cannot_encode_is_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    console._streams()
    sys.stdout.write("Zürich\n")
    sys.stdout.flush()
    assert written.getvalue() == b"Z\\xfcrich\n"


def test_an_absent_stream_is_replaced_by_the_null_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    console._streams()
    with sys.stderr as opened:
        assert opened.name == os.devnull
        print("nobody reads this", file=opened)


def test_text_from_other_machines_cannot_control_a_terminal() -> None:
    assert console.plain("host\x1b[2J\r\nnext\u202e é") == r"host\x1b[2J\r\nnext\u202e é"


def test_the_log_is_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    console.log("json")("web: \x1b[2J is away")
    value = json.loads(capsys.readouterr().err)
    assert value["message"] == "web: \x1b[2J is away" and value["time"].endswith("+00:00")
    console.log("text")("web: \x1b[2J is away")
    assert capsys.readouterr().err == "web: \\x1b[2J is away\n"


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"episodes": [1, None, "é"]})
    text = capsys.readouterr().out
    assert json.loads(text) == {"episodes": [1, None, "é"]} and text.endswith("\n")


def test_guest_images_have_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert console.images(None) == tmp_path / "phasewatch"
    assert console.images(Path("elsewhere")) == Path("elsewhere")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert console.images(None) == tmp_path / "home" / ".cache" / "phasewatch"


def terminal(monkeypatch: pytest.MonkeyPatch, interactive: bool) -> io.StringIO:
    """Put a console that is a terminal, or is none, in the place of standard error."""
    output = io.StringIO()
    replaced = Console(file=output, force_terminal=interactive, width=120)
    monkeypatch.setattr(console, "err", replaced)
    return output


def test_a_progress_bar_counts_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    output = terminal(monkeypatch, interactive=True)
    with console.progress("validating", 5) as advance:
        advance()
        advance(2)
    assert "validating" in output.getvalue() and "3/5" in output.getvalue()


def test_there_is_no_progress_bar_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    output = terminal(monkeypatch, interactive=False)
    with console.progress("validating", 5) as advance:
        advance(5)
    assert "validating" not in output.getvalue()


def test_a_bar_is_shown_for_the_stage_that_is_going_on(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(console, "err", screen)
    with console.stages() as bars:
        for _ in progress.each("scoring", [1, 2]):
            (task,) = bars.tasks
            assert (task.description, task.total) == ("scoring", 2)
        assert bars.tasks[0].fields["state"] == "2/2"
        for _ in progress.each("drawing", [1]):
            (task,) = bars.tasks
            assert (task.description, task.fields["state"]) == ("drawing", "0/1")
    assert list(progress.each("scoring", [1])) == [1]
