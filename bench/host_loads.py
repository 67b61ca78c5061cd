"""Harmless load generators for a machine that watches itself, and the phases they stand for.

`python bench/host_loads.py --seed 1 | phasewatch attach host --seconds 180 --out STORE --marks`
records one episode: ordinary work, then two or three phases with ordinary work in between. Each
phase is printed as it begins, which `--marks` takes as a label. docs/how-to/attach.md has the rest.

Every program is a stand-in with the footprint of a phase, as those of the lab's guest are, and is
bounded: it works on at most 64 MB of files of its own in a folder that is removed at the end,
reads the names and sizes of files below /usr, and sends to one address, which is the other end of a
link into a network namespace without a way out. It needs root for that link, and iproute2.
"""

import argparse
import contextlib
import hashlib
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

NAMESPACE, LINK, FAR = "phasewatch-loads", "pwload0", "pwload1"
HERE, THERE, PORT = "10.78.0.1", "10.78.0.2", 8443
FILES, MOST_KB = 200, 320
"""Files that are made, and the largest: 64 MB in all at most."""

OPENING_S, MOST_S = 35.0, 600.0


@dataclass
class Load:
    """What a program works with: its draws, its folder, and when it ends (monotonic clock)."""

    draw: random.Random
    folder: Path
    until: float

    def ended(self) -> bool:
        """Return whether the time of the program is over."""
        return time.monotonic() >= self.until

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        time.sleep(max(0.0, min(seconds, self.until - time.monotonic())))

    def files(self) -> list[Path]:
        """Return the files of the folder in a drawn order."""
        found = sorted(self.folder.glob("document-*"))
        self.draw.shuffle(found)
        return found


def execution(load: Load) -> None:
    """Write small programs, run them, and burn the processor for a while."""
    rate, burn = load.draw.uniform(3, 15), load.draw.randint(2_000, 60_000)
    while not load.ended():
        program = load.folder / f"payload-{load.draw.randint(0, 9)}.sh"
        program.write_text(f"#!/bin/sh\ni=0\nwhile [ $i -lt {burn} ]; do i=$((i+1)); done\n")
        program.chmod(0o700)
        subprocess.run([str(program)], check=True)
        load.pause(load.draw.expovariate(rate))


def discovery(load: Load) -> None:
    """List files and accounts of the machine, and look which ports of the sink are open."""
    rate = load.draw.uniform(30, 300)
    while not load.ended():
        for folder, _, names in os.walk("/usr/share"):
            for name in names[:40]:
                with contextlib.suppress(OSError):
                    os.stat(f"{folder}/{name}")
            _knock(load.draw.randint(1, 1024))
            load.pause(load.draw.expovariate(rate))
            if load.ended():
                return
            if load.draw.random() < 0.05:
                for words in (["id"], ["ps", "ax"], ["uname", "-a"]):
                    subprocess.run(words, stdout=subprocess.DEVNULL, check=False)


def command_and_control(load: Load) -> None:
    """Call the sink every few seconds with a few bytes, and now and then do a small task."""
    period, size = load.draw.uniform(1, 6), load.draw.randint(40, 900)
    while not load.ended():
        _send(os.urandom(size))
        if load.draw.random() < 0.3:
            subprocess.run(["ps", "ax"], stdout=subprocess.DEVNULL, check=False)
            _send(os.urandom(load.draw.randint(1_000, 30_000)))
        load.pause(load.draw.uniform(0.7, 1.3) * period)


def exfiltration(load: Load) -> None:
    """Read files, compress them and send them to the sink, at a rate that is held."""
    rate = load.draw.uniform(100, 3000) * 1024
    while not load.ended():
        for path in load.files():
            data = zlib.compress(path.read_bytes(), 1)
            _send(data)
            load.pause(len(data) / rate)
            if load.ended():
                return


def impact(load: Load) -> None:
    """Write every file anew with other bytes, under another name, and flush it."""
    rate = load.draw.uniform(400, 6000) * 1024
    while not load.ended():
        for path in load.files():
            data = path.read_bytes()
            key = hashlib.sha256(data[:64]).digest()
            stream = hashlib.shake_256(key).digest(len(data))
            number = int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")
            locked = path.with_suffix(".locked")
            with locked.open("wb") as file:
                file.write(number.to_bytes(len(data), "big"))
                os.fsync(file.fileno())
            # Kept under the old name, so that the folder never grows.
            locked.replace(path)
            load.pause(len(data) / rate)
            if load.ended():
                return


PROGRAMS: dict[str, Callable[[Load], None]] = {
    "execution": execution,
    "discovery": discovery,
    "command_and_control": command_and_control,
    "exfiltration": exfiltration,
    "impact": impact,
}
"""The program of each phase. The benign phase has none: it is what the machine does anyway."""


def _send(data: bytes) -> None:
    """Send to the sink, which answers two bytes and closes."""
    with socket.create_connection((THERE, PORT), 5) as link:
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
        link.recv(2)


def _knock(port: int) -> None:
    with contextlib.suppress(OSError), socket.create_connection((THERE, port), 1):
        pass


def sink() -> None:
    """Take whatever is sent, until the end of the process; run inside the namespace."""

    def take(link: socket.socket) -> None:
        with link:
            link.settimeout(10)
            with contextlib.suppress(OSError):
                while link.recv(1 << 16):
                    pass
                link.sendall(b"ok")

    with socket.create_server((THERE, PORT)) as server:
        while True:
            threading.Thread(target=take, args=(server.accept()[0],), daemon=True).start()


@contextlib.contextmanager
def link() -> Iterator[None]:
    """Make the link into a namespace of its own, with the sink at its other end."""
    ip(f"netns add {NAMESPACE}")
    try:
        ip(f"link add {LINK} type veth peer name {FAR} netns {NAMESPACE}")
        ip(f"address add {HERE}/30 dev {LINK}")
        ip(f"link set {LINK} up")
        ip(f"-n {NAMESPACE} address add {THERE}/30 dev {FAR}")
        ip(f"-n {NAMESPACE} link set {FAR} up")
        words = ["ip", "netns", "exec", NAMESPACE, sys.executable, __file__, "--sink"]
        taking = subprocess.Popen(words)
        try:
            _wait(taking)
            yield
        finally:
            taking.kill()
            taking.wait()
    finally:
        ip(f"netns delete {NAMESPACE}")


def _wait(taking: "subprocess.Popen[bytes]") -> None:
    """Wait until the sink takes connections."""
    for _ in range(150):
        with contextlib.suppress(OSError), socket.create_connection((THERE, PORT), 1):
            return
        assert taking.poll() is None, "the sink has ended"
        time.sleep(0.2)
    raise TimeoutError("the sink takes no connection")


def ip(words: str) -> None:
    """Run a command of iproute2."""
    subprocess.run(["ip", *words.split()], check=True)


def episode(draw: random.Random, folder: Path) -> None:
    """Run one episode, and print each phase as it begins."""
    for number in range(FILES):
        text = str(draw.random()).encode() * (draw.randint(4, MOST_KB) * 1024 // 20)
        (folder / f"document-{number}").write_bytes(text)
    say("benign")
    time.sleep(OPENING_S)
    for phase in draw.sample(sorted(PROGRAMS), draw.choice((2, 3))):
        say(phase)
        PROGRAMS[phase](Load(draw, folder, time.monotonic() + draw.uniform(22, 34)))
        say("benign")
        time.sleep(draw.uniform(8, 16))


def say(phase: str) -> None:
    """Print a phase as a line, at once."""
    sys.stdout.write(f"{phase}\n")
    sys.stdout.flush()


def main() -> None:
    """Run one episode, or the sink of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the phases and their programs")
    parser.add_argument("--sink", action="store_true", help="be the other end of the link")
    options = parser.parse_args()
    if options.sink:
        sink()
    # What reads the phases may end first: the end of a recording is no error.
    with contextlib.suppress(BrokenPipeError), link(), tempfile.TemporaryDirectory() as name:
        threading.Timer(MOST_S, os._exit, (1,)).start()
        episode(random.Random(options.seed), Path(name))
    os._exit(0)


if __name__ == "__main__":
    main()
