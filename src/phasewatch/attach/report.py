"""What is said when a watch begins: what is measured, what is not and why, what cannot be seen."""

from collections.abc import Iterator, Mapping

from phasewatch.attach.collector import Collector


def opening(name: str, watched: Collector, missing: Mapping[str, str]) -> Iterator[str]:
    """Yield lines about a machine: how many channels are measured, and which are not, and why."""
    known = watched.schema().names
    absent = {channel: missing[channel] for channel in known if channel in missing}
    yield (
        f"{name} ({watched.kind}): {len(known) - len(absent)} of {len(known)} channels of "
        f"{watched.schema_name} are measured"
    )
    for reason, channels in _by_reason(absent).items():
        yield f"  not measured: {', '.join(channels)}: {reason}"
    for what in watched.blind:
        yield f"  cannot be seen: {what}"


def _by_reason(missing: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the channels of each reason; all channels of a source as `source.*`."""
    found: dict[str, list[str]] = {}
    for channel, reason in missing.items():
        found.setdefault(reason, []).append(channel)
    return found
