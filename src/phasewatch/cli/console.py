"""What all commands share: where they print, how they end, options with one meaning.

Heavy libraries are imported by the command that needs them, so `--help` answers at once.
"""

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

app = typer.Typer(
    help="Which behavioural phase is a virtual machine in? Telemetry in, honest scores out.",
    pretty_exceptions_enable=False,
)


def _streams() -> None:
    """What a terminal cannot show is escaped, and what nobody reads goes nowhere."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


_streams()
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

REFUSED, SOME_ERRORED, SOME_REJECTED, CANCELLED = 2, 3, 4, 130

StorePath = Annotated[Path, typer.Option("--store", help="Folder of the episode store.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
PublicKey = Annotated[
    Path | None, typer.Option("--trust", help="Public ed25519 key (PEM) that must have signed.")
]
Strict = Annotated[
    bool, typer.Option("--strict-perms", help="Refuse what others may write or replace.")
]
TlsCert = Annotated[
    Path | None, typer.Option("--tls-cert", help="Certificate (PEM): serve over HTTPS.")
]
TlsKey = Annotated[Path | None, typer.Option("--tls-key", help="Its private key (PEM).")]
Opening = Annotated[
    float,
    typer.Option("--opening", help="Seconds known to be benign at each start.", min=0, max=86_400),
]


def images(cache: Path | None) -> Path:
    """Where guest images are kept, unless somebody says otherwise."""
    usual = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
    return cache or Path(usual) / "phasewatch"


@contextmanager
def progress(label: str, total: int) -> Iterator[Any]:
    """A bar on standard error, where that is a terminal; yields the function that moves it."""
    parts = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    quiet = not err.is_terminal
    with Progress(*parts, console=err, transient=True, disable=quiet) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count=1: bar.advance(task, count)


def plain(text: str) -> str:
    """On one line, and without what a terminal would obey: names come from other machines."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def print_json(value: object) -> None:
    """An answer for programs, on standard output."""
    json.dump(value, sys.stdout, indent=1)
    sys.stdout.write("\n")
