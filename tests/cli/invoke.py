"""Parts of the tests of commands: the type of the fixture `run`, and refusals."""

from collections.abc import Callable

from phasewatch.cli import console

Run = Callable[..., tuple[int, str, str]]


HOSTS = ("--test", "delta", "--validation", "gamma", "--opening", "6")


def refused(result: tuple[int, str, str]) -> str:
    """The one line of a refusal."""
    code, _, err = result
    lines = [line for line in err.splitlines() if line.startswith("phasewatch: ")]
    assert code == console.REFUSED
    assert "Traceback" not in err
    assert len(lines) == 1
    return lines[0]
