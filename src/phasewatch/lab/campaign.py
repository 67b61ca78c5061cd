"""A campaign: a configuration of all hosts that differs a little from the other campaigns'.

Machines change after a model was trained: kernels are configured anew, other programs run in the
background, collectors sample less evenly. A campaign applies such changes to every host, so that a
split by campaign tests whether a model survives them.
"""

import hashlib
from dataclasses import dataclass

from phasewatch.lab.hosts import Host


@dataclass(frozen=True)
class Campaign:
    """What a campaign changes: kernel parameters, background programs, and the times of samples.

    One of `background` replaces each host's background program; empty replaces none. `jitter` is
    how far, in percent of the sampling period, a reading may be off its time.
    """

    name: str
    kernel: str = ""
    background: tuple[str, ...] = ()
    jitter: float = 0.0

    def on(self, host: Host) -> Host:
        """Return a host with the changes of this campaign."""
        kernel = f"{host.kernel} {self.kernel}".strip()
        if not self.background:
            return host.model_copy(update={"kernel": kernel})
        digest = hashlib.sha256(f"{self.name} {host.name}".encode()).digest()
        chosen = self.background[int.from_bytes(digest[:4], "big") % len(self.background)]
        return host.model_copy(update={"kernel": kernel, "background": chosen})


SINGLE = Campaign("single")
"""The campaign of recordings outside a plan, which changes nothing on a host."""
