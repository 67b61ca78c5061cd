"""The command as a user meets it: exit codes, one line for bad input, JSON that parses."""

import os
import subprocess
import sys

import pytest
from tests.cli.invoke import Run, refused
from tests.paths import ROOT

from phasewatch import __version__
from phasewatch.cli import main
from phasewatch.store.local import Store


def test_version_is_the_changelogs(run: Run) -> None:
    assert run("--version")[1].strip() == f"phasewatch {__version__}"
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = [part for part in changelog.split("\n## [")[1:] if not part.startswith("Unreleased")]
    assert released[0].startswith(f"{__version__}]")


def test_help_needs_no_heavy_library() -> None:
    code = (
        "import sys; from phasewatch.cli import main; "
        "heavy = {'numpy', 'pydantic', 'pyarrow', 'xgboost', 'sklearn', 'matplotlib'}; "
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("train", "--store", "s", "--out", "o", "--seed", "-3"), "--seed: Input should be"),
        (("train", "--store", "s", "--out", "o", "--seed", "x"), "--seed: "),
        (("train", "--out", "o"), "'--store'"),
        (("train", "--colour"), "No such option: --colour"),
        (("paint",), "No such command 'paint'"),
        (("validate",), "Missing argument"),
    ],
)
def test_a_usage_error_is_one_line(run: Run, words: tuple[str, ...], expected: str) -> None:
    result = run(*words)
    assert expected in refused(result) and "--help` lists" in result[2]
    assert len(result[2].splitlines()) == 1


def test_no_arguments_print_help(run: Run) -> None:
    code, out, _ = run()
    assert code == 0 and "validate" in out


@pytest.mark.parametrize(
    "words",
    [
        ("validate", "/nowhere"),
        ("predict", "/nowhere.ckpt.json", "--store", "/nowhere"),
        ("inspect", "/nowhere.ckpt.json"),
        ("record", "--out", "/nowhere"),
    ],
)
def test_a_missing_path_is_refused_in_one_line(run: Run, words: tuple[str, ...]) -> None:
    assert "; expected " in refused(run(*words))


def test_a_library_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(*words: object, **options: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(main, "app", absent)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("phasewatch: torch: is not installed;")


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", rb"\u2588"), ("utf-8", b"\xe2\x96\x88")])
def test_characters_that_a_terminal_cannot_show_are_escaped(
    toy_store: Store, encoding: str, shown: bytes
) -> None:
    words = ("validate", str(toy_store.root), "--explain", toy_store.ids()[0])
    code = "from phasewatch.cli.main import main; main()"
    finished = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert shown in finished.stdout


def test_a_closed_output_stream_is_no_error(toy_store: Store) -> None:
    words = f"validate {toy_store.root} --explain {toy_store.ids()[0]} --json"
    code = f"{sys.executable} -c 'from phasewatch.cli.main import main; main()' {words} >&-"
    finished = subprocess.run(code, shell=True, capture_output=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, b"")
