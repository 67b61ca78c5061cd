"""Who is learned from and who is judged: disjoint sets of episodes, named by a recipe.

A split is made of episode ids before any window exists, so no two windows of one run can stand on
both sides. What a test set does not hold is derived from it, never written by hand.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from phasewatch.episode import Identity
from phasewatch.refusal import Refused


@dataclass(frozen=True)
class Split:
    """Disjoint sets of episode ids.

    `test` is on the held-out host; `validation` chooses the model; `seen` are episodes held back on
    the hosts that `train` has, so that the price of a new host can be told.
    """

    recipe: str
    held_out: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    seen: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse an episode on two sides."""
        every = [*self.train, *self.validation, *self.seen, *self.test]
        double = sorted({id for id in every if every.count(id) > 1})
        if double:
            raise ValueError(f"on two sides of the split: {', '.join(double)}")


def held_out_host(episodes: Sequence[Identity], test: str, validation: str) -> Split:
    """Test on host `test`, choose on host `validation`, train on most episodes of all others.

    One in five episodes of the training hosts, chosen by the digest of its id within each profile,
    is held back as `seen`. Raises Refused when a host is unknown, or a tested profile is untrained.
    """
    hosts = sorted({episode.host for episode in episodes})
    if not hosts:
        raise Refused(
            "split held_out_host",
            "the store has no usable episode",
            "accepted or degraded episodes of at least three hosts",
            "`phasewatch validate` says what is wrong with those it has.",
        )
    for role, host in (("test", test), ("validation", validation)):
        if host not in hosts:
            raise Refused(
                f"split held_out_host: {role} host",
                f"{host!r} has no usable episode",
                f"one of {', '.join(hosts)}",
                f"Name one with --{role}-host.",
            )
    if test == validation or len(hosts) < 3:
        raise Refused(
            "split held_out_host",
            f"test host {test!r}, validation host {validation!r}, {len(hosts)} hosts in all",
            "two different hosts and at least one more to train on",
            "Choose other hosts or record on more of them.",
        )
    rest = [episode for episode in episodes if episode.host not in (test, validation)]
    seen = _fifth(rest)
    split = Split(
        recipe="held_out_host",
        held_out=test,
        train=tuple(sorted(e.id for e in rest if e.id not in seen)),
        validation=tuple(sorted(e.id for e in episodes if e.host == validation)),
        seen=tuple(sorted(seen)),
        test=tuple(sorted(e.id for e in episodes if e.host == test)),
    )
    trained = {e.profile for e in episodes if e.id in split.train}
    missing = sorted({e.profile for e in episodes if e.id in split.test} - trained)
    if missing:
        raise Refused(
            "split held_out_host",
            f"profiles {', '.join(missing)} are in test and not in train",
            "every tested profile to be trained on",
            "Hold out another host or record those profiles on more hosts.",
        )
    return split


def _fifth(episodes: Sequence[Identity]) -> set[str]:
    """One episode in five of each profile, at least one where there are two; no seed, no order."""
    chosen: set[str] = set()
    for profile in {episode.profile for episode in episodes}:
        ids = [episode.id for episode in episodes if episode.profile == profile]
        ids.sort(key=lambda id: hashlib.sha256(id.encode()).digest())
        chosen.update(ids[: max(len(ids) // 5, int(len(ids) > 1))])
    return chosen


def untested(episodes: Sequence[Identity], ids: Sequence[str], what: str) -> list[str]:
    """Profiles or phases (`what`) that the store holds and the episodes `ids` do not."""

    def values(chosen: Sequence[Identity]) -> set[str]:
        if what == "profile":
            return {episode.profile for episode in chosen}
        return {phase for episode in chosen for phase in episode.phases}

    return sorted(values(episodes) - values([e for e in episodes if e.id in set(ids)]))
