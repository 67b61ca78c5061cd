"""What all commands share: the consoles they print to, exit codes, and common options.

Heavy libraries are imported by the command that needs them, so `--help` prints at once.
"""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

app = typer.Typer(
    help="Predict the behavioural phase of a machine from its telemetry, and evaluate the models.",
    pretty_exceptions_enable=False,
)


def _streams() -> None:
    """Escape characters that a stream cannot encode; open the null device for an absent stream."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


_streams()
# Names in files are printed as they are: markup and emoji codes in them mean nothing.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)

REFUSED, SOME_ERRORED, SOME_REJECTED, CANCELLED = 2, 3, 4, 130

StorePath = Annotated[Path, typer.Option("--store", help="Folder of the episode store.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
PublicKey = Annotated[
    Path | None, typer.Option("--trust", help="Public ed25519 key (PEM) to verify models with.")
]
Strict = Annotated[
    bool, typer.Option("--strict-perms", help="Refuse files that other users may write or replace.")
]
TlsCert = Annotated[
    Path | None,
    typer.Option("--tls-cert", help="Certificate (PEM) to use HTTPS with; needs --tls-key."),
]
TlsKey = Annotated[
    Path | None, typer.Option("--tls-key", help="Private key (PEM) of the certificate.")
]
LogFormat = Annotated[
    Literal["text", "json"],
    typer.Option("--log-format", help="Lines on standard error: text, or objects of JSON."),
]
Rate = Annotated[
    float,
    typer.Option(
        help="False incidents per host-hour that the rule was chosen for; the report has them."
    ),
]
BaselineOf = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline",
        help="Recordings of benign use that teach a machine's level: noted (by the mapping), "
        "earlier (benign episodes before), FIELD=PATTERN, or none; may be repeated.",
    ),
]
Opening = Annotated[
    float,
    typer.Option(
        "--opening",
        help="Seconds at the start of each episode that are known to be benign.",
        min=0,
        max=86_400,
    ),
]


def images(cache: Path | None) -> Path:
    """Return the folder of guest images: `cache` if given, else one in the user's cache folder."""
    usual = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
    return cache or Path(usual) / "phasewatch"


@contextmanager
def progress(label: str, total: int) -> Iterator[Any]:
    """Show a progress bar on standard error, if that is a terminal.

    Yields the function that advances it, by 1 or by a given count.
    """
    parts = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    quiet = not err.is_terminal
    with Progress(*parts, console=err, transient=True, disable=quiet) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count=1: bar.advance(task, count)


@contextmanager
def stages() -> Iterator[Progress]:
    """Show a bar for each stage of long work, with the time left, if standard error is a terminal.

    Yields the bars, to which others can be added with a `state` to show beside them.
    """
    from phasewatch import progress as stages_of

    parts = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    # Without a terminal there is no bar: logs have a line for what is done.
    quiet = not err.is_terminal
    with (
        Progress(*parts, TimeRemainingColumn(), console=err, transient=True, disable=quiet) as bars,
        stages_of.shown(_Stages(bars)),
    ):
        yield bars


class _Stages:
    """A listener that shows a bar for the stage that is going on, and removes the one before."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._name = ""
        self._task: TaskID | None = None

    def __call__(self, stage: str, done: int, of: int) -> None:
        if self._task is None or stage != self._name:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._name, self._task = stage, self._bars.add_task(stage, total=of, state="")
        self._bars.update(self._task, total=of, completed=done, state=f"{done}/{of}")


def plain(text: str) -> str:
    """Return text with line breaks and control characters escaped.

    Names come from other machines, and a terminal would obey their control sequences.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def log(form: str) -> Callable[[str], None]:
    """Return what writes a line of the log on standard error, as text or as an object of JSON."""
    if form == "text":
        return lambda line: err.print(plain(line), soft_wrap=True)

    def write(line: str) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        sys.stderr.write(json.dumps({"time": time, "message": line}) + "\n")
        sys.stderr.flush()

    return write


def print_json(value: object) -> None:
    """Print a value as JSON on standard output, for programs."""
    json.dump(value, sys.stdout, indent=1)
    sys.stdout.write("\n")
