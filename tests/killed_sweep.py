"""A sweep of 50 episodes, killed at every write, fsync, rename and removal. A script: test_sweep's.

`python tests/killed_sweep.py 2` judges them in blocks of 2, each of which goes to the cache. After
each kill the index is whole or absent, and the same command ends with the bytes of an unbroken one.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import toy

from phasewatch.store import local
from phasewatch.store.local import Store
from phasewatch.validation import index, sweep
from phasewatch.validation.cache import VerdictCache

CALLS = ("fsync", "replace", "unlink")


def run(store: Store, out: Path) -> bytes:
    """One sweep, resumed where there is something to resume; the index's bytes."""
    index.write(
        sweep.validate_store(store, cache=VerdictCache(out / "cache", store.schema)),
        out / "index.parquet",
    )
    return (out / "index.parquet").read_bytes()


class Doom:
    """Kills this process at the `left`-th of the calls that it was put before."""

    def __init__(self, left: int) -> None:
        self._left = left

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def done(*given: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **named)

        return done

    def opened(self, handle: int, mode: str, call: Callable[..., Any] = os.fdopen) -> Any:
        """A file that may be killed between the halves of what is written."""
        file = call(handle, mode, buffering=0)
        return Halves(file, self) if "w" in mode else file


class Halves:
    """A file that is written in two halves."""

    def __init__(self, file: Any, doom: Doom) -> None:
        self._file, self._doom = file, doom
        self.fileno, self.flush = file.fileno, file.flush

    def __enter__(self) -> "Halves":
        return self

    def __exit__(self, *why: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        half = len(data) // 2
        self._file.write(data[:half])
        self._doom.before(self._file.write)(data[half:])


def killed(store: Store, out: Path, step: int) -> bool:
    """Sweep in a child that is killed at the `step`-th call; did it get that far?"""
    child = os.fork()
    if not child:
        doom = Doom(step)
        for name in CALLS:
            setattr(os, name, doom.before(getattr(os, name)))
        os.fdopen = doom.opened  # type: ignore[assignment]
        run(store, out)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def main() -> None:
    """Every step, until a sweep gets through."""
    local.SETTLED_NS, sweep.BLOCK = 0, int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        store = toy.store(Path(folder, "store"), seeds=5)
        for id in store.ids()[50:]:
            store.remove(id)
        unbroken, step, going = run(store, Path(folder, "whole")), 0, True
        while going:
            step += 1
            out = Path(folder, str(step))
            going = killed(store, out, step)
            if (out / "index.parquet").exists():
                assert (out / "index.parquet").read_bytes() == unbroken, f"torn at {step}"
            assert run(store, out) == unbroken, f"lost at {step}"
    sys.stdout.write(f"{step - 1} kills: 0 torn, 0 lost, every index the same\n")


if __name__ == "__main__":
    main()
