"""The interface of a collector, one way to watch a machine, and the registry of all of them.

Every file in `collectors/` whose name has no leading underscore is a collector, and has a class
`Collector` derived from the one here.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from phasewatch import schema
from phasewatch.attach.probe import Probe
from phasewatch.errors import Refused
from phasewatch.io import fields
from phasewatch.schema import Schema

Network = Literal["packets", "counters", "off"]


class Target(fields.Table):
    """What is watched: a machine of a kind, and how it is found.

    `target` is what the kind of machine goes by, `name` its name in what is written. The other
    fields are options of some collectors; a collector refuses those that it does not take.
    """

    kind: str
    target: str = ""
    name: str = ""
    qmp: str = ""
    interface: str = ""
    connect: str = ""
    network: Network = Field("packets", description="packets, counters or off")
    unstable: bool = False

    def given(self) -> set[str]:
        """Return the names of the options that differ from their defaults."""
        default = Target(kind=self.kind, network="packets")
        options = ("qmp", "interface", "connect", "network", "unstable")
        return {name for name in options if getattr(self, name) != getattr(default, name)}


class Collector(ABC):
    """A machine under watch: its `name` and the `probes` that read it.

    `kind` is the name of the collector's file, `schema_name` that of the schema its channels are
    of, and `options` are the fields of `Target` that it takes. `needs` says what it has to be
    allowed, `blind` what it cannot see whatever it is allowed.
    """

    kind: ClassVar[str]
    schema_name: ClassVar[str]
    options: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[str]
    blind: ClassVar[Sequence[str]] = ()
    name: str
    probes: Sequence[Probe]
    absent: dict[str, str]
    """Channels of sources that have no probe here, by full name, each with the reason."""

    followed: Target | None
    """What the machine is looked for by when it has ended; None where it cannot return."""

    @abstractmethod
    def __init__(self, target: Target) -> None:
        """Find the machine. Raises Gone where it is not there, and Refused for a bad target."""

    @classmethod
    def schema(cls) -> Schema:
        """Return the schema of the channels."""
        return schema.shipped(cls.schema_name)

    @classmethod
    def lacks(cls) -> Sequence[str]:
        """Return what this process lacks here for all channels, each with what that costs."""
        return ()

    @classmethod
    def schema_of(cls, target: Target) -> Schema:
        """Return the schema of the channels of one machine. Raises Refused where it has none."""
        return cls.schema()

    def gaps(self) -> Sequence[tuple[int, str]]:
        """Return what interrupted the readings since the last call: until when, and why.

        A machine that is read here is interrupted by nothing that its probes do not say.
        """
        return ()

    def unmeasured(self) -> dict[str, str]:
        """Return the channels that are not measured, by full name, each with the reason."""
        found = dict(self.absent)
        for probe in self.probes:
            found |= {f"{probe.source}.{name}": why for name, why in probe.unmeasured.items()}
        return found

    def close(self) -> None:
        """Let go of what the probes hold open."""
        for probe in self.probes:
            probe.close()


def kinds() -> tuple[str, ...]:
    """Return the names of all collectors: the files in `collectors/`."""
    folder = str(Path(__file__).parent / "collectors")
    found = (module.name for module in pkgutil.iter_modules([folder]))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def of_kind(kind: str) -> type[Collector]:
    """Return the collector of a kind. Raises Refused for one that is unknown."""
    if kind not in kinds():
        raise Refused(
            f"collector {kind!r}",
            "is unknown",
            f"one of {', '.join(kinds())}",
            "Choose one; `phasewatch attach --help` describes them.",
            code="collector",
        )
    module: Any = importlib.import_module(f"phasewatch.attach.collectors.{kind}")
    found: type[Collector] = module.Collector
    return found


def checked(target: Target) -> type[Collector]:
    """Return the collector of a target. Raises Refused for an option that it does not take."""
    collector = of_kind(target.kind)
    for name in sorted(target.given() - collector.options):
        expected = ", ".join(sorted(collector.options)) or "no option"
        raise Refused(
            f"{target.kind} {target.target}".strip(),
            f"takes no {name}",
            expected,
            "Leave the option out.",
            code="collector_option",
        )
    return collector


def missing_target(kind: str, expected: str) -> Refused:
    """Return the refusal of a target that is absent."""
    return Refused(kind, "has no target", expected, "Name the machine to watch.", code="target")
