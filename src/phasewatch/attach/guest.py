"""What the collectors of virtual machines share: the schema, and the network port of a guest."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from phasewatch.attach import interface
from phasewatch.attach.collector import Collector, Target
from phasewatch.attach.kernel import NET_RAW, PTRACE, capable
from phasewatch.attach.packets import CHANNELS
from phasewatch.attach.probe import Probe
from phasewatch.schema import vm46

INSIDE = "the inside of the guest: no agent is asked"
CONTENTS = "the contents of packets"


class Guest(Collector):
    """A virtual machine whose emulator is process `pid` of this host."""

    schema_name: ClassVar[str] = "vm46"
    pid: int

    @classmethod
    def lacks(cls) -> Sequence[str]:
        """Return the capabilities that this process lacks, each with what that costs."""
        found = {"CAP_NET_RAW: packets": NET_RAW, "CAP_SYS_PTRACE: guests of other users": PTRACE}
        return [line for line, bit in found.items() if not capable(bit)]

    def _begin(self, name: str, pid: int, followed: Target | None) -> None:
        """Set what is known of a guest before it is probed."""
        self.name, self.pid, self.followed = name, pid, followed
        self.probes, self.absent = [], {}
        inside = [one.name.partition(".")[2] for one in vm46().channels_of("guest")]
        self._lacks("guest", inside, "no agent runs in the guest")

    def _lacks(self, source: str, channels: Sequence[str], reason: str) -> None:
        self.absent |= {f"{source}.{name}": reason for name in channels}

    def _add(self, probe: Probe) -> None:
        self.probes = [*self.probes, probe]

    def _add_network(self, target: Target, only: Callable[[], str]) -> None:
        """Add the probe of the guest's port, which `only` names unless the target does."""
        if target.network == "off":
            self._lacks("netflow", CHANNELS, "switched off")
            return
        try:
            name = target.interface or only()
            # A macvtap device transmits what its guest sends; a tap receives it.
            inverted = name.startswith("macvtap")
            if target.network == "counters":
                self._add(interface.Counters(name, "packets are switched off", inverted))
            else:
                self._add(interface.probe(name, self.pid, inverted))
        except OSError as error:
            self._lacks("netflow", CHANNELS, error.strerror or str(error))


def one_of(found: Sequence[str], kind: str) -> str:
    """Return the only interface of a guest. Raises OSError, which says what there is instead."""
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} interfaces ({', '.join(found)})" if found else f"no {kind}"
    raise OSError(f"the guest has {what}; name one with --interface")
