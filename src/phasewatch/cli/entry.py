"""The entry point of the installed `phasewatch`: Ctrl-C is quiet while commands are imported."""

import signal


def main() -> None:
    """Import the commands and run one.

    Until they are imported, which takes seconds on a busy machine, an interrupt ends the process
    without a traceback. An interrupt that the process ignores stays ignored.
    """
    traceback = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if traceback:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from phasewatch.cli import main as commands

    if traceback:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    commands.main()
