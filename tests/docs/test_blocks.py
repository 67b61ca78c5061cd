"""Every command and every Python block of README and docs does what its page says.

Fenced blocks marked `sh` or `python` are run in the order of their page, in a folder of their own
that holds four hosts of the corpus's first campaign (41 episodes) as `corpus`, the lab's plans, and
a run trained on them as `runs/q`, which the pages' own trainings find and continue. A block is left
out only where a comment above it, `<!-- not run: REASON -->`, says why.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock
from tests.paths import ROOT

import phasewatch

HOSTS = "arm-store", "pc-tick", "arm-desk", "pc-small"
TRAIN = "train --store corpus --recipe quick --test arm-store --validation pc-tick --out runs/q"
GENERATED = "cli.md"
"""Shows usage lines as `console`, which are no commands."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SKIP = re.compile(r"<!-- not run:((?:(?!-->).)*)-->\n\Z", re.DOTALL)
OTHER_NAMES = {"bash", "shell", "console", "zsh", "py", "pycon", "python3"}
"""Names of the same languages, which would not be run."""


class Block(NamedTuple):
    """One fenced block; `reason` is why it is not run, None where it is run."""

    language: str
    text: str
    reason: str | None


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    found = []
    for match in FENCE.finditer(text):
        skip = SKIP.search(text[: match.start()])
        found.append(Block(match[1], match[2], skip[1].strip() if skip else None))
    return found


def pages() -> list[Path]:
    every = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in every if path.name != GENERATED]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def runnable(path: Path) -> list[Block]:
    found = blocks(path.read_text("utf-8"))
    return [one for one in found if one.language in ("sh", "python") and one.reason is None]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that every page starts from, made by the first process that needs it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "pages"
    with FileLock(shared / "pages.lock"):
        if not folder.exists():
            making = shared / "pages.making"
            prepare(making)
            run("sh", f"phasewatch {TRAIN}", making)
            making.rename(folder)
    return folder


def prepare(folder: Path) -> None:
    """Lay out a folder as a user's checkout is, with a command `phasewatch` on its path."""
    (folder / "corpus" / "episodes").mkdir(parents=True)
    (folder / "bin").mkdir()
    shutil.copy(ROOT / "corpus" / "store.json", folder / "corpus")
    for host in HOSTS:
        for episode in (ROOT / "corpus" / "episodes").glob(f"first.{host}.*"):
            shutil.copytree(episode, folder / "corpus" / "episodes" / episode.name)
    command = folder / "bin" / "phasewatch"
    code = "from phasewatch.cli.main import main; main()"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    command.chmod(0o755)


def run(language: str, text: str, folder: Path) -> None:
    """Run one block in `folder`; it must end with exit code 0."""
    words = [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", text]
    if language == "sh":
        words = ["bash", "-euo", "pipefail", "-c", text]
    source = Path(phasewatch.__file__).parent.parent
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(source),
        "COLUMNS": "100",
    }
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("path", [path for path in pages() if runnable(path)], ids=name)
def test_every_block_of_a_page_runs(path: Path, trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    shutil.copytree(trained, folder)
    for block in runnable(path):
        run(block.language, block.text, folder)


@pytest.mark.parametrize("path", pages(), ids=name)
def test_every_block_that_is_not_run_states_a_reason(path: Path) -> None:
    """A block that is not run gives a reason, and none hides under another language's name."""
    for block in blocks(path.read_text("utf-8")):
        assert block.language not in OTHER_NAMES, block.text
        assert block.reason is None or len(block.reason.split()) >= 3, block.text


def test_blocks_and_their_reasons_are_read() -> None:
    text = "<!-- not run: takes an hour -->\n```sh\nls\n```\n\n```python\nx = 1\n```\n"
    text += "<!-- not run: -->\n```sh\nfalse\n```\n"
    assert blocks(text) == [
        Block("sh", "ls\n", "takes an hour"),
        Block("python", "x = 1\n", None),
        Block("sh", "false\n", ""),
    ]


def test_a_command_that_fails_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    with pytest.raises(AssertionError, match="no-such-command"):
        run("sh", "no-such-command | cat", tmp_path)
