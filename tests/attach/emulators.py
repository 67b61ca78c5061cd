"""A QEMU process of the tests' own without a guest: its firmware idles, which suffices to read."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = "qemu-system-x86_64"


def needed() -> None:
    """Skip where QEMU is not installed."""
    if shutil.which(PROGRAM) is None:
        pytest.skip(f"{PROGRAM} is not installed")


@contextmanager
def emulator(folder: Path, name: str = "box", *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a QEMU process with a disk and a QMP socket at `folder/qmp`; it ends with the block."""
    needed()
    named = name if "," in name else f"{name},debug-threads=on"
    disk, socket = folder / "disk", folder / "qmp"
    disk.write_bytes(bytes(1 << 20))
    words = f"""
        {PROGRAM} -name {named} -accel tcg -m 32 -display none -nodefaults
        -drive file={disk},if=virtio,format=raw -qmp unix:{socket},server=on,wait=off
    """.split()
    process = subprocess.Popen([*words, *more])
    try:
        deadline = time.monotonic() + 60
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()
        socket.unlink(missing_ok=True)
