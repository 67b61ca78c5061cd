"""The source "pressure": how long tasks of a machine or a control group stood still."""

from collections.abc import Mapping

from phasewatch.attach.kernel import pressure
from phasewatch.attach.probe import NOT_MEASURED, Probe

STALLS = {"cpu_some": "cpu", "io_some": "io", "io_full": "io", "mem_some": "memory"}
"""The resource of each channel; the kind of stall is the last part of its name."""


class Pressure(Probe):
    """Stalled time in µs, `[4]`, from the pressure file of each resource.

    A file that is not there makes its channels unmeasured; so does a kernel that refuses to read
    it because pressure is switched off.
    """

    source = "pressure"
    channels = tuple(STALLS)

    def __init__(self, files: Mapping[str, str]) -> None:
        """Prepare to read; `files` are paths by "cpu", "io" and "memory"."""
        self._files = dict(files)
        self._unmeasured: dict[str, str] = {}

    @property
    def unmeasured(self) -> dict[str, str]:
        """Channels that the last reading could not measure, each with the reason."""
        return dict(self._unmeasured)

    def read(self) -> list[float]:
        """Return the stalled time of each channel now, `[4]`."""
        self._unmeasured.clear()
        found = {resource: self._stalled(path) for resource, path in self._files.items()}
        values = []
        for channel, resource in STALLS.items():
            stalled = found[resource].get(channel.rpartition("_")[2])
            values.append(NOT_MEASURED if stalled is None else float(stalled))
        return values

    def _stalled(self, path: str) -> dict[str, int]:
        try:
            return pressure(path)
        except OSError:
            reason = f"{path} cannot be read: boot with psi=1 (needs a kernel with CONFIG_PSI)"
            names = [name for name, one in STALLS.items() if self._files[one] == path]
            self._unmeasured |= dict.fromkeys(names, reason)
            return {}
