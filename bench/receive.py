"""`make bench`, the receiver: uploads through a faulty line to a receiver that is killed.

Nothing acknowledged may be lost, nothing torn, nothing created twice. By itself, with a number,
this file sends so many: `.venv/bin/python bench/receive.py 10000` takes minutes.
"""

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from phasewatch.errors import Refused
from phasewatch.store.client import Connection
from phasewatch.store.format import MANIFEST, SAMPLES, Manifest
from phasewatch.store.local import Store

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.faulty import Faulty

SENDERS, CLEAN, KILL_S = 16, 500, 10.0
Files = dict[str, bytes]
out = Console(highlight=False)


class Keeper:
    """A receiver in a process of its own, which can be killed and started again."""

    def __init__(self, folder: Path, host: str) -> None:
        self.root, self.log, self.kills = folder / "kept", folder / "log", 0
        self.token = secrets.token_hex(32)
        (folder / "tokens.toml").write_text(f'{host} = "{self.token}"\n')
        (folder / "tokens.toml").chmod(0o600)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        limits = ("--rate", "1000000", "--reserve-mb", "0")
        self._words = ("receive", "--store", self.root, "--tokens", folder / "tokens.toml", *limits)
        self._start()

    def _start(self) -> None:
        call = (sys.executable, "-c", "from phasewatch.cli.main import main; main()", *self._words)
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*map(str, call), "--port", str(self.port)], stdout=subprocess.PIPE, stderr=log
            )
        assert self._process.stdout
        self._process.stdout.readline()

    def end(self) -> None:
        """As `kill -9` ends it."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    @contextlib.contextmanager
    def restless(self) -> Iterator[None]:
        """Killed and started again every `KILL_S`."""
        done = threading.Event()

        def kill() -> None:
            while not done.wait(KILL_S):
                self.end()
                self.kills += 1
                self._start()

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def created(self) -> Counter[str]:
        """How often each episode was created, as it said."""
        return Counter(re.findall(r"^201 (\S+)", self.log.read_text(), re.MULTILINE))


def named(files: Files, id: str) -> Files:
    """The same episode under another id."""
    manifest = Manifest.model_validate_json(files[MANIFEST])
    return {**files, MANIFEST: manifest.model_copy(update={"id": id}).sealed()}


def hurry(seconds: float) -> None:
    """Pauses are a tenth of what they are, or they would be most of the time."""
    time.sleep(seconds / 10)


def send(url: str, token: str, files: Files, ids: list[str]) -> list[str]:
    """Ship some episodes; those that were acknowledged."""
    line, acknowledged = Connection(url, token, tries=100, sleep=hurry), []
    for id in ids:
        own = named(files, id)
        try:
            line.send(id, own[MANIFEST], own[SAMPLES])
        except Refused as refused:
            out.print(str(refused), markup=False)
        else:
            acknowledged.append(id)
    line.close()
    return acknowledged


def receiving(opened: Store, uploads: int = 1000) -> None:
    """The smallest episode of a store, shipped under many ids."""
    folders = [opened.folder(id) for id in opened.ids()]
    folder = min(folders, key=lambda one: (one / SAMPLES).stat().st_size)
    files = {name: (folder / name).read_bytes() for name in (MANIFEST, SAMPLES)}
    host = Manifest.model_validate_json(files[MANIFEST]).host
    size = sum(map(len, files.values()))
    with tempfile.TemporaryDirectory() as place:
        keeper = Keeper(Path(place), host)
        try:
            _clean(keeper, files, size)
            _faults(keeper, files, size, uploads)
        finally:
            keeper.end()


def _clean(keeper: Keeper, files: Files, size: int) -> None:
    ids = [f"clean{number}" for number in range(CLEAN)]
    begin = time.perf_counter()
    send(f"http://127.0.0.1:{keeper.port}", keeper.token, files, ids)
    over_http = time.perf_counter() - begin
    plain = Store(keeper.root.with_name("plain"), Store.open(keeper.root).schema)
    begin = time.perf_counter()
    for id in ids:
        plain.put(id, named(files, id))
    ratio = over_http / (time.perf_counter() - begin)
    out.print(
        f"received on a clean line: {CLEAN / over_http:,.0f} episodes/s of {size:,} bytes, "
        f"{ratio:.1f} x the time of writing them durably to this disk"
    )


def _faults(keeper: Keeper, files: Files, size: int, uploads: int) -> None:
    line = Faulty(keeper.port, seed=1, reach=4 * size)
    ids = [f"e{number}" for number in range(uploads)]
    begin = time.perf_counter()
    with keeper.restless(), ThreadPoolExecutor(SENDERS) as pool:
        parts = [ids[place::SENDERS] for place in range(SENDERS)]
        sent = pool.map(lambda own: send(line.url, keeper.token, files, own), parts)
        acknowledged = {id for part in sent for id in part}
    took = time.perf_counter() - begin
    line.close()
    kept = Store.open(keeper.root)
    there = [id for id in kept.ids() if id.startswith("e")]
    torn = [id for id in there if not whole(kept, id, named(files, id))]
    lost, twice = acknowledged - set(there), [n for n in keeper.created().values() if n > 1]
    faults = ", ".join(f"{count:,} {fate}" for fate, count in sorted(line.fates.items()))
    out.print(
        f"{uploads:,} uploads through a faulty line in {took:.0f} s ({faults}; receiver killed "
        f"{keeper.kills} times): {len(acknowledged):,} acknowledged · {len(lost)} of them lost · "
        f"{len(torn)} torn · {len(twice)} created twice"
    )


def whole(kept: Store, id: str, files: Files) -> bool:
    """Whether an episode is there as it was sent, and nothing beside."""
    try:
        kept.read(id)
    except (Refused, OSError):
        return False
    return {path.name: path.read_bytes() for path in kept.folder(id).iterdir()} == files


if __name__ == "__main__":
    receiving(Store.open(Path(__file__).parent.parent / "corpus"), *map(int, sys.argv[1:]))
