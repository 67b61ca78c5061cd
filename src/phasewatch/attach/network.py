"""The source "net": interfaces and protocols of one network namespace, counted by the kernel."""

from collections.abc import Callable

from phasewatch.attach.kernel import interfaces, pick, sockets, tables, total
from phasewatch.attach.probe import Probe

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

    `folder` returns the /proc/PID/net of a process in it.
    """

    source = "net"
    channels = (*INTERFACES, *PROTOCOLS)

    def __init__(self, folder: Callable[[], str]) -> None:
        self._folder = folder

    def read(self) -> list[float]:
        """Return the counters now, `[10]`. Raises OSError when the process is gone."""
        folder = self._folder()
        found = interfaces(f"{folder}/dev")
        outside = total((row for name, row in found.items() if name != "lo"), INTERFACES)
        counts = tables(f"{folder}/snmp") | sockets(f"{folder}/sockstat")
        return [*pick(outside, INTERFACES), *pick(counts, PROTOCOLS.values())]
