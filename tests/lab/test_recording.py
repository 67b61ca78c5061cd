"""A guest that is booted here: its episode is complete, or nothing is left behind."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_episode
from phasewatch.windowing import cut_windows

NEEDS = "qemu-system-x86_64", "gcc", "mke2fs", "depmod", "ip"
INSTALL = "apt-get install qemu-system-x86 seabios ipxe-qemu gcc libc6-dev e2fsprogs kmod iproute2"
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
absent = [name for name in NEEDS if shutil.which(name, path=PATH) is None]

pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(bool(absent), reason=f"{', '.join(absent)} missing: {INSTALL}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="records through a tap: run as root"),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of guest images, which both tests share."""
    return tmp_path_factory.mktemp("cache")


# A shell that starts the tests in the background has its children ignore Ctrl-C.
RUN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from phasewatch.cli.main import main
main()
"""


def recorder(store: Path, cache: Path, seconds: int) -> "subprocess.Popen[str]":
    words = f"--profile benign --host pc-small --seed 3 --seconds {seconds} --out {store}"
    command = [sys.executable, "-c", RUN, "record"]
    return subprocess.Popen(
        [*command, *words.split(), "--cache", str(cache)], stderr=subprocess.PIPE, text=True
    )


def machines(cache: Path) -> list[str]:
    """Command lines of every living QEMU that booted an image of `cache`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if line.startswith("qemu-system") and str(cache) in line:
            found.append(line)
    return found


def test_a_recorded_episode_is_complete(tmp_path: Path, cache: Path) -> None:
    process = recorder(tmp_path / "store", cache, 40)
    _, err = process.communicate()
    assert process.returncode == 0, err
    store = Store.open(tmp_path / "store")
    (id,) = store.ids()
    result = validate_episode(store, id)
    assert result.usable
    assert "source_missing" not in {finding.code for finding in result.findings}
    windows = cut_windows(store.read(id), store.schema)
    assert windows.x.shape == (7, 46, 20)
    assert (windows.x == windows.x).any(axis=(0, 2)).all()
    assert not machines(cache)


def test_a_killed_recorder_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    process = recorder(tmp_path / "store", cache, 300)
    assert process.stderr is not None
    assert any("restored" in line for line in process.stderr)
    assert machines(cache)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode != 0
    assert not machines(cache)
    assert Store.open(tmp_path / "store").ids() == []
    leftovers = tmp_path / "store" / "episodes"
    assert not leftovers.exists() or not list(leftovers.iterdir())
