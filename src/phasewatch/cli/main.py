"""The `phasewatch` command: it loads every file under commands/ and turns errors into exit codes.

A mistake of the user is one line on standard error and an exit code that is not 0, never a
traceback.
"""

import pkgutil
import re
import sys
from importlib import import_module
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from phasewatch import __version__
from phasewatch.cli import commands
from phasewatch.cli.console import CANCELLED, REFUSED, app, err, out, plain
from phasewatch.cli.extras import extra_of, install_line
from phasewatch.errors import Refused

for _file in pkgutil.iter_modules(commands.__path__):
    if not _file.name.startswith("_"):
        import_module(f"{commands.__name__}.{_file.name}")


def main() -> None:
    """Run a command: a refusal or usage error is one line, and Ctrl-C ends without a traceback."""
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False, prog_name="phasewatch")
    except Refused as refused:
        _end(str(refused), REFUSED)
    except TyperException as error:
        _end(_usage(error), REFUSED)
    except ModuleNotFoundError as error:
        _end(_not_installed(error.name or str(error)), REFUSED)
    except OSError as error:
        what = f"{error.filename or 'input or output'}: {error.strerror or error}"
        remedy = "Check the path, its permissions and the free space."
        _end(f"{what}; expected to read or write it. {remedy}", REFUSED)
    except (KeyboardInterrupt, typer.Abort):
        code = CANCELLED
    if code == CANCELLED:
        _end("cancelled; no partly written file was left", CANCELLED)
    sys.exit(code)


def _end(line: str, code: int) -> NoReturn:
    err.print(plain(f"phasewatch: {line}"), soft_wrap=True)
    sys.exit(code)


def _usage(error: TyperException) -> str:
    """Return a usage error as one line: the argument, the problem, and the command that helps."""
    message = re.sub(r"^Invalid value for '(.+?)': ", r"\1: ", error.format_message())
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "phasewatch"
    return f"{message.rstrip('.')}; expected the arguments that `{command} --help` lists."


def _not_installed(module: str) -> str:
    """Return the message for a missing library: its name and the line that installs it."""
    extra = extra_of(module)
    line = install_line(extra) if extra else f"pip install {module.split('.')[0]}"
    remedy = f"Install it with `{line}`; `phasewatch doctor` lists all that is missing."
    return f"{module}: is not installed; expected a library that this command needs. {remedy}"


def _version(requested: bool) -> None:
    if requested:
        out.print(f"phasewatch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
