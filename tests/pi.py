"""A Raspberry Pi 4 to run bundles on: Debian's aarch64 Python and the lock's wheels, under qemu.

`make pi` puts it into .venv/pi; it needs qemu-user-static, apt-get and dpkg, and no root. What a
processor answers is real, down to its instructions; how long it takes is not.
"""

import getpass
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from packaging.requirements import Requirement

from phasewatch.windowing import Windows

ROOT = Path(__file__).parent.parent
HERE = ROOT / ".venv" / "pi"
SYSTEM, SITE, READY = HERE / "system", HERE / "site", HERE / "ready"
QEMU = "qemu-aarch64-static"
PACKAGES = "python3.11-minimal", "libpython3.11-stdlib", "libstdc++6"
GLIBC = "manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014"
CORES = range(4)
CORTEX_A72 = """processor\t: {core}
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
ANSWER = """
import sys
from pathlib import Path
import numpy as np
from phasewatch.artifacts import bundle
folder = Path(sys.argv[1])
for number, place in enumerate(sys.argv[2:]):
    given = [np.load(folder / f"{name}{number}.npy") for name in ("x", "opening", "past")]
    np.save(folder / f"logits{number}.npy", bundle.load(Path(place)).logits(*given))
"""


def lacks() -> str:
    """What has to be done before anything runs here; empty when nothing has."""
    if shutil.which(QEMU) is None:
        return f"no {QEMU}: apt-get install qemu-user-static, then `make pi`"
    return "" if READY.exists() else "no aarch64 Python: `make pi` gets one"


def run(*arguments: object, stdin: str = "") -> str:
    """What `python3.11 arguments…` prints there. Raises CalledProcessError, its stderr shown."""
    begin = [QEMU, "-L", str(SYSTEM), "-cpu", "cortex-a72", "-E", f"PYTHONPATH={SITE}:{ROOT}/src"]
    python = str(SYSTEM / "usr/bin/python3.11")
    command = [*begin, python, *map(str, arguments)]
    return subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def logits(
    bundles: Sequence[Path], windows: Sequence[Windows], folder: Path
) -> list[NDArray[np.float64]]:
    """The board's logits of each bundle's windows, `[N,K]` each; files go through `folder`."""
    for number, one in enumerate(windows):
        np.save(folder / f"x{number}.npy", one.x)
        np.save(folder / f"opening{number}.npy", one.opening)
        np.save(folder / f"past{number}.npy", one.past)
    run("-c", ANSWER, folder, *bundles)
    return [np.load(folder / f"logits{number}.npy") for number in range(len(bundles))]


def megabytes() -> float:
    """What `pip install phasewatch[live]` puts on the disk there, phasewatch included."""
    parts = (SITE, ROOT / "src" / "phasewatch")
    files = (file for part in parts for file in part.rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in files if file.suffix != ".pyc") / 1e6


def make() -> None:
    """All of it, from package indexes alone."""
    shutil.rmtree(HERE, ignore_errors=True)
    SYSTEM.mkdir(parents=True)
    _debian(HERE / "apt")
    _board()
    _wheels()
    READY.touch()


def _debian(state: Path) -> None:
    """Debian's packages, without telling this machine's own apt of another architecture."""
    (state / "lists" / "partial").mkdir(parents=True)
    (state / "cache" / "archives" / "partial").mkdir(parents=True)
    (state / "status").touch()
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": getpass.getuser(),
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Debug::NoLocking": "1",
    }
    apt = ["apt-get", "-qq", *(part for key in options for part in ("-o", f"{key}={options[key]}"))]
    wanted = ["-y", "--no-install-recommends", "--download-only", "install", *PACKAGES]
    for step in (["update"], wanted):
        subprocess.run([*apt, *step], check=True, stdout=subprocess.DEVNULL)
    for archive in sorted((state / "cache" / "archives").glob("*.deb")):
        subprocess.run(["dpkg", "-x", archive, SYSTEM], check=True)
    shutil.rmtree(state)


def _board() -> None:
    """What onnxruntime asks the kernel about the processor: it does not start without an answer."""
    cpus = SYSTEM / "sys/devices/system/cpu"
    files = {cpus / name: f"0-{CORES[-1]}" for name in ("possible", "present", "online")}
    for core in CORES:
        files[cpus / f"cpu{core}/topology/core_id"] = str(core)
        files[cpus / f"cpu{core}/topology/physical_package_id"] = "0"
        files[cpus / f"cpu{core}/cpufreq/cpuinfo_max_freq"] = "1800000"
    files[SYSTEM / "proc/cpuinfo"] = "".join(CORTEX_A72.format(core=core) for core in CORES)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def _wheels() -> None:
    """The wheels that the lock names for `phasewatch[live]`, and nothing else."""
    locked = HERE / "live.lock"
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^[^\s#][^\n]*(?:\n[ \t]+[^\n]*)*", lock, re.MULTILINE)
    names = _needed("phasewatch[live]")
    locked.write_text(
        "\n".join(entry for entry in entries if _plain(re.split(r"[=\[; ]", entry)[0]) in names)
    )
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"]
    command += ["--disable-pip-version-check", "--require-hashes", f"--requirement={locked}"]
    command += ["--only-binary=:all:", "--python-version=3.11", f"--target={SITE}"]
    for glibc in GLIBC:
        command += ["--platform", f"{glibc}_aarch64"]
    subprocess.run(command, check=True)


def _needed(wanted: str) -> set[str]:
    """The names of everything that a requirement installs, itself left out."""
    found: dict[str, set[str]] = {}
    waiting = [Requirement(wanted)]
    while waiting:
        one = waiting.pop()
        name = _plain(one.name)
        if name in found and found[name] >= one.extras:
            continue
        found[name] = found.get(name, set()) | one.extras
        for text in metadata.requires(one.name) or ():
            part = Requirement(text)
            chosen = [{"extra": extra} for extra in ("", *one.extras)]
            if part.marker is None or any(part.marker.evaluate(extra) for extra in chosen):
                waiting.append(part)
    return set(found) - {_plain(Requirement(wanted).name)}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    if shutil.which(QEMU) is None:
        sys.exit(lacks())
    make()
    sys.stdout.write(f"{SITE}: phasewatch[live] takes {megabytes():.0f} MB on aarch64\n")
