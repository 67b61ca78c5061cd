"""What is said when a watch begins: what is measured, what is not and why, what cannot be seen."""

from collections.abc import Iterator, Mapping, Sequence

from phasewatch.attach.collector import Collector
from phasewatch.schema import Schema


def opening(
    name: str, watched: Collector, layout: Schema, missing: Mapping[str, str]
) -> Iterator[str]:
    """Yield lines about a machine: how many channels are measured, and which are not, and why."""
    absent = {one: missing[one] for one in layout.names if one in missing}
    count = len(layout.names) - len(absent)
    of = f"of {len(layout.names)} channels of {layout.name} are measured"
    line = f"{name} ({watched.kind}): {count} {of}"
    trusted = layout.deployed().names if "realistic" in layout.modes else ()
    if 0 < len(trusted) < len(layout.names):
        found = sum(one not in absent for one in trusted)
        line += f", {found} of the {len(trusted)} that a model in realistic mode reads"
    yield line
    for reason, channels in _by_reason(absent).items():
        yield f"  not measured: {', '.join(_short(channels, layout))}: {reason}"
    for what in watched.blind:
        yield f"  cannot be seen: {what}"


def _by_reason(missing: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the channels of each reason."""
    found: dict[str, list[str]] = {}
    for channel, reason in missing.items():
        found.setdefault(reason, []).append(channel)
    return found


def _short(channels: Sequence[str], layout: Schema) -> list[str]:
    """Return channels, with all those of a source as `source.*`."""
    names = set(channels)
    whole = {
        source
        for source in layout.sources
        if {channel.name for channel in layout.channels_of(source)} <= names
    }
    kept = [name for name in channels if name.partition(".")[0] not in whole]
    return [*(f"{source}.*" for source in layout.sources if source in whole), *kept]
