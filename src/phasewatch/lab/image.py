"""The lab's guest: a Debian cloud kernel, busybox and two static C programs in an initramfs.

An image is built from Debian packages when it is first needed, in a cache folder:
`packages-ARCH-*` holds kernel, busybox and modules as they were downloaded, `image-ARCH-DIGEST`
what QEMU boots. An edit of the C sources or of INIT changes the digest, so a new image is built
without another download. Building needs no root and leaves the system's apt state unchanged.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from phasewatch.errors import Refused

GUEST = Path(__file__).parent / "guest"
PROGRAMS = ("agent", "load")
SCRATCH_MIB = 64

# What the guest needs beyond what the kernel has built in; modprobe adds what these need.
MODULES = (
    "virtio_pci",
    "virtio_mmio",
    "virtio_net",
    "virtio_blk",
    "virtio_console",
    "virtio_balloon",
    "ext4",
)

# IPv6 goes off before eth0 comes up: its chatter would be in every capture.
INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
hz=2
jitter=0
ip4=10.77.0.100/24
for word in $(cat /proc/cmdline); do
  case $word in
    agent_hz=*) hz=${word#*=} ;;
    agent_jitter=*) jitter=${word#*=} ;;
    ip4=*) ip4=${word#*=} ;;
  esac
done
for module in $(cat /modules/order); do
  insmod /modules/$module || echo "init: $module was not loaded"
done
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  [ -e /sys/class/net/eth0 ] && [ -e /dev/vda ] && break
  usleep 100000
done
[ -e /proc/sys/net/ipv6 ] && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
ip link set lo up
ip address add $ip4 dev eth0 && ip link set eth0 up || echo "init: eth0 is not up"
mount -t ext4 -o noatime /dev/vda /data || echo "init: /data is not mounted"
/bin/agent $hz $jitter &
/bin/load &
read up rest < /proc/uptime
echo "init: ready after $up s"
while :; do wait; sleep 3600; done
"""


@dataclass(frozen=True)
class Machine:
    """What differs between the architectures when an image is built."""

    debian: str
    kernel: str
    compiler: str
    compiler_package: str


MACHINES = {
    "x86_64": Machine("amd64", "cloud-amd64", "x86_64-linux-gnu-gcc", "gcc libc6-dev"),
    "aarch64": Machine(
        "arm64",
        "cloud-arm64",
        "aarch64-linux-gnu-gcc",
        "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    ),
    "arm": Machine(
        "armhf",
        "armmp-lpae",
        "arm-linux-gnueabihf-gcc",
        "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
    ),
}

# Messages in English, and one blank disk the same as the next: mke2fs writes the time into it.
ENVIRONMENT = {"LC_ALL": "C", "E2FSPROGS_FAKE_TIME": "1700000000"}

# The Debian package that brings each command used here.
PROVIDERS = {
    "apt-get": "apt",
    "apt-cache": "apt",
    "dpkg-deb": "dpkg",
    "depmod": "kmod",
    "modprobe": "kmod",
    "mke2fs": "e2fsprogs",
}


@dataclass(frozen=True)
class Image:
    """A bootable guest; `digest` names everything that went into it."""

    arch: str
    kernel: Path
    initrd: Path
    digest: str


def image(arch: str, cache: Path, log: Callable[[str], None]) -> Image:
    """Return the guest image for `arch`, which is built under `cache` if it is not there yet.

    `log` is given a line for each step that takes long. Raises Refused for an unknown architecture,
    a missing command, or packages that cannot be downloaded.
    """
    machine = _machine(arch)
    wanted = hashlib.sha256(" ".join(MODULES).encode()).hexdigest()[:8]
    packages = cache / f"packages-{arch}-{wanted}"
    if not packages.exists():
        log(f"guest image: downloading Debian's {machine.debian} kernel and busybox")
        with in_place(packages) as folder:
            _fetch(machine, folder)
    digest = _digest(arch, packages)
    target = cache / f"image-{arch}-{digest[:16]}"
    if not target.exists():
        log(f"guest image: building {target.name}")
        with in_place(target) as folder:
            _build(machine, packages, folder)
    return Image(arch, target / "vmlinuz", target / "initrd.cpio", digest)


def scratch(cache: Path) -> Path:
    """Return the blank ext4 disk of `SCRATCH_MIB` MiB, built under `cache` if it is not there yet.

    Machines start from copies of it. Raises Refused when mke2fs is missing or fails.
    """
    target = cache / f"scratch-{SCRATCH_MIB}m"
    if not target.exists():
        with in_place(target) as folder:
            _make_file_system(folder / "disk.ext4")
    return target / "disk.ext4"


def _make_file_system(disk: Path) -> None:
    """Write a sparse ext4 file system without a journal and with fixed identifiers.

    The order of a folder's entries depends on the identifiers. The inode tables are complete, since
    the guest would otherwise write them during a recording.
    """
    with disk.open("wb") as file:
        file.truncate(SCRATCH_MIB * 2**20)
    name = "7a6d3a36-0077-4077-8077-000000000077"
    options = ["-F", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-U", name]
    extended = ["-E", f"lazy_itable_init=0,hash_seed={name}"]
    _run([_command("mke2fs"), *options, *extended, str(disk)])


def _machine(arch: str) -> Machine:
    if arch not in MACHINES:
        raise Refused(
            "guest image", f"unknown architecture {arch}", " or ".join(MACHINES), "Choose one."
        )
    return MACHINES[arch]


@contextmanager
def in_place(target: Path) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to `target` on success and removed on failure."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():  # Otherwise another process built the same folder first.
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------- commands


def _command(name: str, package: str = "") -> str:
    """Return the path of a command; sbin is searched too, which is not in every user's PATH."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if path is None:
        package = package or PROVIDERS[name]
        raise Refused(
            "guest image",
            f"the command {name} is missing",
            f"{name}, which the guest image is built with",
            f"apt-get install {package}",
        )
    return path


def _run(command: Sequence[str], cwd: Path | None = None) -> str:
    """Return the output of a command. Raises Refused with its last line when it fails."""
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return done.stdout
    last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
    raise Refused(
        "guest image",
        f"{Path(command[0]).name} failed: {last}",
        "a Debian system with its package sources reachable",
        "Repair that and run it again; nothing half-built is left.",
    )


# ---------------------------------------------------------------- packages


def _apt_options(debian: str, folder: Path) -> list[str]:
    """Return options that give apt a separate architecture, lists and cache under `folder`."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    settings = {
        "APT::Architecture": debian,
        "APT::Architectures::": debian,
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Dir::State": folder,
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": folder / "cache",
    }
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def _kernel_package(options: Sequence[str], flavour: str) -> str:
    """Return the kernel package on which linux-image-FLAVOUR, a package without files, depends."""
    listing = _run([_command("apt-cache"), *options, "depends", f"linux-image-{flavour}"])
    for line in listing.splitlines():
        kind, _, name = line.strip().partition(": ")
        if kind == "Depends" and name.startswith("linux-image-"):
            return name
    raise Refused(
        "guest image",
        f"linux-image-{flavour} names no kernel",
        "Debian's package sources",
        "Run on Debian 12 or newer.",
    )


def _fetch(machine: Machine, folder: Path) -> None:
    """Download the packages and leave vmlinuz, busybox, modules/ and versions.json in `folder`."""
    work = folder / "work"
    options = _apt_options(machine.debian, work)
    get = _command("apt-get")
    # A mirror in the middle of an update lacks some lists; those it has may be enough.
    with suppress(Refused):
        _run([get, *options, "-q", "update"])
    names = [_kernel_package(options, machine.kernel), "busybox-static"]
    _run([get, *options, "-q", "download", *names], cwd=work)
    archives = sorted(work.glob("*.deb"))
    for archive in archives:
        _run([_command("dpkg-deb"), "-x", str(archive), str(work / "root")])
    versions = [archive.stem for archive in archives]
    (folder / "versions.json").write_text(json.dumps(versions) + "\n")
    _gather(work / "root", folder)
    shutil.rmtree(work)


def _gather(root: Path, folder: Path) -> None:
    """Copy the few files that are needed out of the unpacked packages."""
    kernel = next((root / "boot").glob("vmlinuz-*"))
    shutil.copyfile(kernel, folder / "vmlinuz")
    busybox = next(p for p in (root / "bin/busybox", root / "usr/bin/busybox") if p.is_file())
    shutil.copyfile(busybox, folder / "busybox")
    modules = folder / "modules"
    modules.mkdir()
    order = _module_files(root, kernel.name.removeprefix("vmlinuz-"))
    for path in order:
        (modules / _plain_name(path)).write_bytes(_plain_bytes(path))
    (modules / "order").write_text("".join(f"{_plain_name(path)}\n" for path in order))


def _module_files(root: Path, version: str) -> list[Path]:
    """Return the module files in the order in which to load them.

    The order is that of depmod, because a module loaded before one that it needs fails silently.
    """
    if not (root / "lib/modules").exists():  # newer Debian: /lib is /usr/lib
        (root / "lib").symlink_to("usr/lib")
    _run([_command("depmod"), "-b", str(root), version])
    order: list[Path] = []
    for name in MODULES:
        options = ["-d", str(root), "-S", version, "--show-depends"]
        for line in _run([_command("modprobe"), *options, name]).splitlines():
            verb, _, rest = line.strip().partition(" ")
            path = Path(rest.split()[0]) if rest else Path()
            if verb == "insmod" and path not in order:
                order.append(path)
    return order


def _plain_name(path: Path) -> str:
    return path.name.removesuffix(".xz")


def _plain_bytes(path: Path) -> bytes:
    """Return a module uncompressed: Debian 13 compresses modules, busybox's insmod reads plain."""
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content


# ---------------------------------------------------------------- the image


def _digest(arch: str, packages: Path) -> str:
    """Return a digest of sources, init and package versions: the same digest, the same guest."""
    total = hashlib.sha256(f"{arch}\n{INIT}".encode())
    for path in [packages / "versions.json", *(GUEST / f"{name}.c" for name in PROGRAMS)]:
        content = path.read_bytes()
        total.update(f"{path.name} {len(content)}\n".encode() + content)
    return total.hexdigest()


def _build(machine: Machine, packages: Path, folder: Path) -> None:
    """Compile the guest's programs and leave vmlinuz and initrd.cpio in `folder`."""
    compiler = _command(machine.compiler, machine.compiler_package)
    archive = Archive()
    for name in ("bin", "data", "dev", "modules", "proc", "sys", "tmp", "var"):
        archive.add(name, 0o040755)
    archive.add("dev/console", 0o020600, device=(5, 1))
    archive.add("init", 0o100755, INIT.encode())
    archive.add("bin/busybox", 0o100755, (packages / "busybox").read_bytes())
    for name in PROGRAMS:
        binary = folder / name
        flags = ["-O2", "-static", "-pthread", "-s", "-D_FILE_OFFSET_BITS=64", "-o", str(binary)]
        _run([compiler, *flags, str(GUEST / f"{name}.c")])
        archive.add(f"bin/{name}", 0o100755, binary.read_bytes())
        binary.unlink()
    for module in sorted((packages / "modules").iterdir()):
        archive.add(f"modules/{module.name}", 0o100644, module.read_bytes())
    (folder / "initrd.cpio").write_bytes(archive.finish())
    shutil.copyfile(packages / "vmlinuz", folder / "vmlinuz")


class Archive:
    """A cpio archive in the kernel's `newc` format.

    The cpio command takes owners, times and device nodes from the disk, so it would need root and
    its output would differ on every run.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._count = 0

    def add(
        self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        """Add a file or folder by its path; `mode` is st_mode, `device` a node's numbers."""
        self._count += 1
        path = name.encode() + b"\0"
        numbers = [self._count, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0]
        head = b"070701" + b"".join(b"%08X" % number for number in numbers)
        self._parts += [_padded(head + path), _padded(content)]

    def finish(self) -> bytes:
        """Add the trailer and return the archive."""
        self.add("TRAILER!!!", 0)
        return b"".join(self._parts)


def _padded(content: bytes) -> bytes:
    """Return the bytes padded to a multiple of four, where every part of a newc archive ends."""
    return content + b"\0" * (-len(content) % 4)
