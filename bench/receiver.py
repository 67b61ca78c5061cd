"""`make bench`, the receiver: uploads over a faulty network to a receiver that is killed.

No acknowledged episode may be lost, torn or created twice. The command line takes a number of
uploads: `.venv/bin/python bench/receiver.py 10000` takes minutes.
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


class KilledReceiver:
    """A receiver in its own process, which can be killed and started again."""

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
        """Kill the process as `kill -9` does."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    @contextlib.contextmanager
    def restless(self) -> Iterator[None]:
        """Kill and start it again every `KILL_S` seconds."""
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
        """Return how often each episode was created, according to the log."""
        return Counter(re.findall(r"^201 (\S+)", self.log.read_text(), re.MULTILINE))


def renamed_files(files: Files, id: str) -> Files:
    """Return the same episode under another id."""
    manifest = Manifest.model_validate_json(files[MANIFEST])
    return {**files, MANIFEST: manifest.model_copy(update={"id": id}).sealed()}


def short_pause(seconds: float) -> None:
    """Pause for a tenth of the time: pauses would be most of the measurement."""
    time.sleep(seconds / 10)


def send(url: str, token: str, files: Files, ids: list[str]) -> list[str]:
    """Ship episodes; return the ids of those that were acknowledged."""
    line, acknowledged = Connection(url, token, tries=100, sleep=short_pause), []
    for id in ids:
        renamed = renamed_files(files, id)
        try:
            line.send(id, renamed[MANIFEST], renamed[SAMPLES])
        except Refused as refused:
            out.print(str(refused), markup=False)
        else:
            acknowledged.append(id)
    line.close()
    return acknowledged


def run(opened: Store, uploads: int = 1000) -> None:
    """Ship the smallest episode of a store under many ids, and print the results."""
    folders = [opened.folder(id) for id in opened.ids()]
    folder = min(folders, key=lambda one: (one / SAMPLES).stat().st_size)
    files = {name: (folder / name).read_bytes() for name in (MANIFEST, SAMPLES)}
    host = Manifest.model_validate_json(files[MANIFEST]).host
    size = sum(map(len, files.values()))
    with tempfile.TemporaryDirectory() as place:
        receiver = KilledReceiver(Path(place), host)
        try:
            _clean(receiver, files, size)
            _faults(receiver, files, size, uploads)
        finally:
            receiver.end()


def _clean(receiver: KilledReceiver, files: Files, size: int) -> None:
    ids = [f"clean{number}" for number in range(CLEAN)]
    begin = time.perf_counter()
    send(f"http://127.0.0.1:{receiver.port}", receiver.token, files, ids)
    over_http = time.perf_counter() - begin
    plain = Store(receiver.root.with_name("plain"), Store.open(receiver.root).schema)
    begin = time.perf_counter()
    for id in ids:
        plain.put(id, renamed_files(files, id))
    ratio = over_http / (time.perf_counter() - begin)
    out.print(
        f"received without faults: {CLEAN / over_http:,.0f} episodes/s of {size:,} bytes, "
        f"{ratio:.1f} x the time of writing them durably to this disk"
    )


def _faults(receiver: KilledReceiver, files: Files, size: int, uploads: int) -> None:
    line = Faulty(receiver.port, seed=1, reach=4 * size)
    ids = [f"e{number}" for number in range(uploads)]
    begin = time.perf_counter()
    with receiver.restless(), ThreadPoolExecutor(SENDERS) as pool:
        parts = [ids[place::SENDERS] for place in range(SENDERS)]
        sent = pool.map(lambda own: send(line.url, receiver.token, files, own), parts)
        acknowledged = {id for part in sent for id in part}
    took = time.perf_counter() - begin
    line.close()
    store = Store.open(receiver.root)
    stored = [id for id in store.ids() if id.startswith("e")]
    torn = [id for id in stored if not is_intact(store, id, renamed_files(files, id))]
    lost, twice = acknowledged - set(stored), [n for n in receiver.created().values() if n > 1]
    faults = ", ".join(f"{count:,} {fate}" for fate, count in sorted(line.fates.items()))
    out.print(
        f"{uploads:,} uploads over a faulty network in {took:.0f} s ({faults}; receiver killed "
        f"{receiver.kills} times): {len(acknowledged):,} acknowledged · {len(lost)} of them lost · "
        f"{len(torn)} torn · {len(twice)} created twice"
    )


def is_intact(store: Store, id: str, files: Files) -> bool:
    """Return whether an episode is stored as it was sent, with no other file."""
    try:
        store.read(id)
    except (Refused, OSError):
        return False
    return {path.name: path.read_bytes() for path in store.folder(id).iterdir()} == files


if __name__ == "__main__":
    run(Store.open(Path(__file__).parent.parent / "corpus"), *map(int, sys.argv[1:]))
