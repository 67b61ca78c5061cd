"""The source "net": interfaces and protocols of one network namespace, counted by the kernel."""

from collections.abc import Callable

from phasewatch.attach.kernel import interfaces, pick, sockets, tables, total
from phasewatch.attach.probe import Probe

Row = dict[str, int]
INTERFACES = ("rx_bytes", "rx_pkts", "tx_bytes", "tx_pkts")
PROTOCOLS = {
    "tcp_active": "Tcp.ActiveOpens",
    "tcp_passive": "Tcp.PassiveOpens",
    "tcp_failed": "Tcp.AttemptFails",
    "tcp_resets": "Tcp.OutRsts",
    "tcp_inuse": "TCP.inuse",
    "udp_out": "Udp.OutDatagrams",
}


class Namespace(Probe):
    """The network of a namespace, `[10]`: all interfaces but loopback added up, TCP and UDP.

    `folder` returns the /proc/PID/net of a process in it. An interface that is removed takes
    nothing back from the sums, and one that is added counts from its first reading on.
    """

    source = "net"
    channels = (*INTERFACES, *PROTOCOLS)

    def __init__(self, folder: Callable[[], str]) -> None:
        self._folder = folder
        self._last: dict[str, Row] | None = None
        self._sums = dict.fromkeys(INTERFACES, 0)

    def read(self) -> list[float]:
        """Return the counters now, `[10]`. Raises OSError when the process is gone."""
        folder = self._folder()
        found = interfaces(f"{folder}/dev")
        outside = self._added({name: row for name, row in found.items() if name != "lo"})
        counts = tables(f"{folder}/snmp") | sockets(f"{folder}/sockstat")
        return [*pick(outside, INTERFACES), *pick(counts, PROTOCOLS.values())]

    def _added(self, now: dict[str, Row]) -> dict[str, int]:
        """Return the sums over interfaces, which grow by what each has counted since the last."""
        if self._last is None:
            self._sums = total(now.values(), INTERFACES)
        for name, row in now.items():
            before = (self._last or {}).get(name, row)
            for channel in INTERFACES:
                # An interface of the same name that began at zero has counted what it shows.
                grown = row[channel] - before[channel]
                self._sums[channel] += grown if grown >= 0 else row[channel]
        self._last = now
        return self._sums
