"""Snapshots of booted machines: a machine boots once for every configuration, then is restored.

A snapshot is a folder of the cache, `snapshot-HOST-DIGEST`, with the memory and the devices as
QEMU writes them and the disk as it was at that moment. The digest covers QEMU, its command line
and the guest image, so a snapshot is never restored into a machine it does not fit.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from phasewatch.lab.hosts import Host
from phasewatch.lab.image import Image, in_place
from phasewatch.lab.machine import Machine, command


@dataclass(frozen=True)
class Snapshot:
    """The saved state of a booted machine; `created` is true when this call booted and saved it."""

    state: Path
    disk: Path
    created: bool


def snapshot(
    host: Host, image: Image, blank: Path, cache: Path, link: str, jitter: float
) -> Snapshot:
    """Return the snapshot of a host; without one in `cache`, boot the host on `link` and save it.

    `blank` is the disk that a new machine starts from, `jitter` the agent's, in percent of its
    period. Raises Refused when the machine does not boot or cannot be saved.
    """
    target = cache / f"snapshot-{host.name}-{_digest(host, image, jitter)}"
    created = not target.exists()
    if created:
        with in_place(target) as folder:
            machine = Machine(host, image, blank, link, jitter)
            try:
                machine.boot()
                machine.save(folder / "state", folder / "disk.ext4")
            finally:
                machine.kill()
    return Snapshot(target / "state", target / "disk.ext4", created)


def _digest(host: Host, image: Image, jitter: float) -> str:
    """Return a digest of the image, QEMU's command line, and the size and time of its program."""
    words = command(host, image, "link", jitter, [0, 0, 0, 0])
    program = Path(shutil.which(words[0]) or words[0])
    if program.exists():
        found = program.stat()
        words += [str(found.st_size), str(found.st_mtime_ns)]
    return hashlib.sha256(" ".join([image.digest, *words]).encode()).hexdigest()[:16]
