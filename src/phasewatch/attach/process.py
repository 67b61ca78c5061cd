"""The host kernel's accounts of a QEMU process: CPU time, switches, faults, memory and writes."""

import re
from collections.abc import Collection
from pathlib import Path

from phasewatch.attach.kernel import text
from phasewatch.attach.probe import NOT_MEASURED, Gone, Probe

PROC = (
    "vcpu_run",
    "vcpu_wait",
    "other_run",
    "utime",
    "stime",
    "vcpu_cs_vol",
    "vcpu_cs_invol",
    "other_cs_vol",
    "minflt",
    "rss",
    "write_bytes",
    "threads",
)
BY_THREAD = ("vcpu_run", "vcpu_wait", "other_run", "vcpu_cs_vol", "vcpu_cs_invol", "other_cs_vol")
"""The channels that need to know which threads are vCPUs."""

_SWITCHES = re.compile(r"^(?:non)?voluntary_ctxt_switches:\s+(\d+)", re.MULTILINE)
_VCPU = re.compile(r"CPU \d+/(?:TCG|KVM)")
_ACCOUNTS = 5
"""Numbers that are kept of a thread: time run, time waited, both kinds of switches, slices."""


class ProcessAccounts(Probe):
    """The kernel's accounts of a QEMU process, `[12]` in PROC order.

    What a thread had used when it ended still counts: I/O threads come and go, and a sum over the
    living threads alone would decrease. `vcpus` are the ids of the vCPU threads; without them they
    are those that QEMU has named so.
    """

    source, channels = "proc", PROC

    def __init__(self, pid: int, vcpus: Collection[int] = ()) -> None:
        self.pid = pid
        self._folder = Path(f"/proc/{pid}")
        self._living: dict[str, tuple[int, ...]] = {}
        self._gone = [0] * _ACCOUNTS
        self._is_vcpu = {str(thread): True for thread in vcpus}
        self._by_id = bool(vcpus)
        self._unmeasured: dict[str, str] = {}
        self._began = ""

    @property
    def unmeasured(self) -> dict[str, str]:
        """Channels that the last reading could not measure, each with the reason."""
        return dict(self._unmeasured)

    def read(self) -> list[float]:
        """Return the accounts now, `[12]`. Raises Gone when the process has ended."""
        try:
            return self._read()
        except (FileNotFoundError, ProcessLookupError) as error:
            raise Gone(f"process {self.pid} has ended") from error

    def _read(self) -> list[float]:
        self._unmeasured.clear()
        threads = dict(self._threads())
        for thread, last in self._living.items():
            if thread not in threads and not self._is_vcpu.get(thread):
                self._gone = [gone + used for gone, used in zip(self._gone, last, strict=True)]
        self._living = threads
        vcpu = self._sum(threads, True)
        other = [a + b for a, b in zip(self._sum(threads, False), self._gone, strict=True)]
        # The name of a process may hold blanks and brackets, so count from the last bracket.
        fields = text(self._folder / "stat").rpartition(")")[2].split()
        self._refuse_another(fields[0], fields[19])
        minflt, utime, stime, count = (int(fields[place]) for place in (7, 11, 12, 17))
        rss = int(text(self._folder / "statm").split()[1])
        times = [vcpu[0], vcpu[1], other[0], utime, stime, vcpu[2], vcpu[3], other[2]]
        values = [float(value) for value in (*times, minflt, rss)]
        return self._known([*values, self._written(), float(count)])

    def _refuse_another(self, state: str, began: str) -> None:
        """Raise ProcessLookupError for a zombie, or for another process that has taken the id."""
        self._began = self._began or began
        if state == "Z" or began != self._began:
            raise ProcessLookupError

    def _written(self) -> float:
        try:
            accounts = text(self._folder / "io").split()
        except PermissionError:
            self._unmeasured["write_bytes"] = (
                f"/proc/{self.pid}/io needs the user of the process, or CAP_SYS_PTRACE"
            )
            return NOT_MEASURED
        return float(accounts[accounts.index("write_bytes:") + 1])

    def _known(self, values: list[float]) -> list[float]:
        """Return the values, without those by thread where no thread is known to be a vCPU."""
        if any(self._is_vcpu.get(thread) for thread in self._living):
            return values
        reason = "no thread is named as a vCPU: start QEMU with -name NAME,debug-threads=on"
        self._unmeasured |= dict.fromkeys(BY_THREAD, reason)
        for channel in BY_THREAD:
            values[PROC.index(channel)] = NOT_MEASURED
        return values

    def _threads(self) -> list[tuple[str, tuple[int, ...]]]:
        found: list[tuple[str, tuple[int, ...]]] = []
        for folder in (self._folder / "task").iterdir():
            try:
                run, wait, slices = map(int, text(folder / "schedstat").split())
                status = text(folder / "status")
                self._name(folder.name, status)
            except (FileNotFoundError, ProcessLookupError):
                continue
            voluntary, forced = map(int, _SWITCHES.findall(status))
            found.append((folder.name, (run, wait, voluntary, forced, slices)))
        return found

    def _name(self, thread: str, status: str) -> None:
        if thread not in self._is_vcpu:
            name = status.splitlines()[0].partition(":")[2].strip()
            self._is_vcpu[thread] = not self._by_id and bool(_VCPU.fullmatch(name))

    def _sum(self, threads: dict[str, tuple[int, ...]], vcpu: bool) -> list[int]:
        rows = [used for thread, used in threads.items() if self._is_vcpu[thread] is vcpu]
        return [sum(column) for column in zip(*rows, strict=True)] if rows else [0] * _ACCOUNTS
