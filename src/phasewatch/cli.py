"""The `phasewatch` command: every file under commands/, and how each of them may end.

What a user got wrong is one line on standard error and an exit code that is not 0, never a
traceback.
"""

import pkgutil
import sys
from importlib import import_module
from typing import Annotated

import typer

from phasewatch import __version__, commands
from phasewatch.console import CANCELLED, REFUSED, app, err, out
from phasewatch.refusal import Refused

for _file in pkgutil.iter_modules(commands.__path__):
    import_module(f"{commands.__name__}.{_file.name}")


def main() -> None:
    """Entry point: a refusal is one line, Ctrl-C is quiet."""
    try:
        app()
    except Refused as refused:
        err.print(f"phasewatch: {refused}", markup=False, soft_wrap=True)
        sys.exit(REFUSED)
    except OSError as error:
        what = f"{error.filename or 'input or output'}: {error.strerror or error}"
        remedy = "Check the path, its permissions and the free space."
        err.print(f"phasewatch: {what}; expected to read or write it. {remedy}", soft_wrap=True)
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        err.print("phasewatch: cancelled; nothing half-written was kept")
        sys.exit(CANCELLED)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"phasewatch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
