"""One upload, killed before and after every call that reaches the disk.

Run by tests/store/test_receiver.py.

Prints one JSON line a kill: at which call, whether it was acknowledged, what the store held then,
what the same upload was answered afterwards, and what the store held in the end.
"""

import io
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

from tests import toy, uploads

from phasewatch import schema
from phasewatch.store.format import encode_episode
from phasewatch.store.local import Store
from phasewatch.store.receiver import Receiver

CALLS = {
    "open",
    "mkdir",
    "write",
    "flush",
    "fsync",
    "chmod",
    "rename",
    "close",
    "stat",
    "flock",
    "__exit__",
}


def killer(step: int) -> Callable[[FrameType, str, Any], None]:
    """A profile function that kills this process at the `step`-th event of such a call."""
    seen = count()

    def watch(frame: FrameType, event: str, called: Any) -> None:
        name = getattr(called, "__name__", "")
        if event in ("c_call", "c_return") and name in CALLS and next(seen) == step:
            os.write(1, f"{event} {name}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    return watch


def upload(root: Path) -> int:
    """Take the toy episode in, as a receiver that has just been started."""
    store = Store.create(root, schema.vm46())
    with Receiver(store, uploads.HOSTS, uploads.LIMITS) as receiver:
        path, head, body = uploads.upload(encode_episode(EPISODE))
        return receiver.put(path, head, io.BytesIO(body)).status.value


def killed(root: Path, step: int) -> tuple[str, bool]:
    """Upload in a child that is killed at `step`; where it was, and whether it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        sys.setprofile(killer(step))
        upload(root)
        sys.setprofile(None)
        os.write(1, b"acknowledged\n")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as output:
        lines = output.read().splitlines()
    os.waitpid(child, 0)
    return (lines or ["end"])[0], "acknowledged" in lines


def stored_ids(root: Path) -> list[str]:
    """Episodes that a reader of the store sees, each read whole."""
    if not (root / "store.json").exists():
        return []
    store = Store.open(root)
    return [store.read(id).id for id in store.ids()]


def main() -> None:
    """Every step, until the upload is through."""
    acknowledged, step = False, 0
    while not acknowledged:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "store"
            at, acknowledged = killed(root, step)
            found = {"step": step, "at": at, "acknowledged": acknowledged, "then": stored_ids(root)}
            found |= {"again": upload(root), "now": stored_ids(root)}
            found["left"] = sorted(path.name for path in (root / "incoming").iterdir())
            sys.stdout.write(json.dumps(found) + "\n")
        step += 1


EPISODE = toy.episode()

if __name__ == "__main__":
    main()
