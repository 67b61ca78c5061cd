"""Whether a model fits what a collector measures, and what the channels cost that it lacks."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from phasewatch.errors import Refused, counted
from phasewatch.schema import Channel, Schema

if TYPE_CHECKING:
    from phasewatch.artifacts.dropout import Dropout


def refuse_other(what: str, trained: Schema, collected: Schema, kind: str) -> None:
    """Raise Refused for models that mean other things by the names of a collector's channels.

    `what` names the models, `trained` is the schema that they read, `collected` that of the
    collector of a `kind`.
    """
    theirs = {channel.name: channel for channel in collected.channels}
    common = [channel for channel in trained.channels if channel.name in theirs]
    wrong = [one.name for one in common if _meaning(one) != _meaning(theirs[one.name])]
    if common and not wrong:
        return
    problem = f"defines {', '.join(wrong[:3])} otherwise" if wrong else "has none of its channels"
    raise Refused(
        f"{what} for {kind}",
        f"is of {trained.name}, which {problem}",
        f"one trained on {collected.name}, or on some of its channels",
        "Choose a model that was trained on such episodes.",
        code="bundle_schema",
    )


def _meaning(channel: Channel) -> tuple[str, str]:
    return channel.unit, channel.kind


def lacking(trained: Schema, collected: Schema, missing: Iterable[str]) -> list[str]:
    """Return the channels that a model reads and that are not measured, in the model's order.

    `missing` are those of the collector's channels that are not measured at this machine.
    """
    measured = set(collected.names) - set(missing)
    return [name for name in trained.names if name not in measured]


def lost(absent: Sequence[str]) -> str:
    """Return a line about channels that a model reads and that are not measured; "" for none."""
    if not absent:
        return ""
    return f"reads {counted(len(absent), 'channel')} not measured here ({', '.join(absent)})"


def cost(absent: Sequence[str], measured: "Dropout | None") -> str:
    """Return the line of `lost` about a bundle, with what it scores without those channels.

    It has the score where `phasewatch dropout` has measured it, and says else that it is not known.
    """
    if not absent:
        return ""
    score = measured.score_without(absent) if measured else None
    if measured is None or score is None:
        known = "what it scores without is not known: `phasewatch dropout` measures it"
        return f"{lost(absent)}; {known}"
    return (
        f"{lost(absent)}: macro F1 {score:.3f} instead of {measured.macro_f1:.3f}, on "
        f"{measured.windows} windows of {measured.hosts}"
    )
