"""Recordings of machines in benign use that teach their levels: which they are, and what they say.

The opening of an episode is seconds of a machine known to be benign. A selection names longer
recordings: those declared baseline, which are no part of the question, and earlier benign episodes
of the same host. Their stretches join the openings in the level of the machine (decision 44).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from phasewatch.episode import NAMES, Episode, Identity, Label, Samples
from phasewatch.errors import Refused
from phasewatch.schema import Schema
from phasewatch.windowing import resample, signed_log

NOTE = "baseline"
"""The note of an episode that an importer or a recorder declares baseline; its value is true."""

NOTED, EARLIER, NONE = "noted", "earlier", "none"
FIELDS = ("id", *NAMES)
MOST_STRETCHES = 4320
"""Stretches of a machine that are used, the latest: 12 hours of 10 s each."""


class Noted(Protocol):
    """An episode or its manifest: names, and notes."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """The five names, by field."""

    @property
    def notes(self) -> Mapping[str, object]:
        """What a recorder or importer added."""


@dataclass(frozen=True)
class Selection:
    """Which recordings teach the level of their machine, beside openings.

    `noted` are those whose note declares them baseline, `names` those whose name in a field fits a
    shell pattern; both are declared. `earlier` adds benign episodes of the host that were over.
    """

    noted: bool = False
    earlier: bool = False
    names: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Selection":
        """Return the selection that a text names, parts separated by commas. Raises Refused."""
        found = cls()
        for part in text.split(","):
            name, equals, pattern = part.strip().partition("=")
            if equals and name in FIELDS and pattern:
                found = replace(found, names=(*found.names, (name, pattern)))
            elif part.strip() == NOTED:
                found = replace(found, noted=True)
            elif part.strip() == EARLIER:
                found = replace(found, earlier=True)
            elif part.strip() != NONE:
                raise Refused(
                    "--baseline",
                    f"{part.strip()!r} names no recordings",
                    f"{NOTED}, {EARLIER}, {NONE}, or FIELD=PATTERN with {', '.join(FIELDS)}",
                    "Write --baseline 'profile=idle*', for example.",
                    code="baseline",
                )
        return found

    def declares(self, one: Noted) -> bool:
        """Whether a recording is baseline: part of no split, used whatever its time."""
        names = one.provenance
        return (self.noted and one.notes.get(NOTE) is True) or any(
            fnmatchcase(names[name], pattern) for name, pattern in self.names
        )


OPENINGS = Selection()
"""Selects no recording: the level of a machine is that of its openings."""


@dataclass(frozen=True)
class Stretches:
    """The levels `[M,C]` of a benign recording's stretches, in order, and when it was over."""

    host: str
    end_ns: int
    levels: NDArray[np.float32]


@dataclass(frozen=True)
class Baseline:
    """What recordings of machines in benign use say of their levels.

    `declared` are recordings declared baseline, and `earlier` benign episodes by id, each usable
    for later episodes of its host. `episodes` are those to be judged, by id.
    """

    declared: tuple[Stretches, ...] = ()
    earlier: Mapping[str, Stretches] = field(default_factory=dict)
    episodes: Mapping[str, Identity] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether anything is known of any machine."""
        return bool(self.declared or self.earlier)

    @property
    def hosts(self) -> dict[str, int]:
        """The number of declared recordings of each host, by name."""
        names = sorted(one.host for one in self.declared)
        return {host: names.count(host) for host in names}

    def known(self, id: str, among: Iterable[str] = ()) -> NDArray[np.float32]:
        """Return the stretches `[M,C]` that are known of an episode's host when it begins.

        Of earlier episodes only those `among` are used, and only if they were over.
        """
        judged = self.episodes[id]
        return self.known_of(judged.host, judged.start_ns, among)

    def known_of(self, host: str, start_ns: int, among: Iterable[str] = ()) -> NDArray[np.float32]:
        """Return what `known` does, of a host at a time."""
        before = (self.earlier[id] for id in among if id in self.earlier)
        found = [one for one in before if one.host == host and one.end_ns <= start_ns]
        found += [one for one in self.declared if one.host == host]
        if not found:
            return np.zeros((0, 0), np.float32)
        ordered = sorted(found, key=lambda one: one.end_ns)
        return np.concatenate([one.levels for one in ordered])[-MOST_STRETCHES:]

    def channels(self, schema: Schema, other: Schema) -> "Baseline":
        """Return the same under `other`, some of whose channels those of `schema` are."""
        rows = [schema.names.index(name) for name in other.names]

        def some(one: Stretches) -> Stretches:
            return replace(one, levels=one.levels[:, rows])

        earlier = {id: some(one) for id, one in self.earlier.items()}
        return Baseline(tuple(map(some, self.declared)), earlier, self.episodes)


@dataclass(frozen=True)
class Record:
    """What a selection needs to know of an episode: its identity, and its notes."""

    identity: Identity
    notes: Mapping[str, object]

    @property
    def provenance(self) -> Mapping[str, str]:
        """The five names, by field."""
        return self.identity.provenance


def of_episodes(
    episodes: Mapping[str, Episode], schema: Schema, selection: Selection
) -> tuple[Baseline, list[str]]:
    """Return what the selected of some episodes say, and the ids of those to be judged.

    Raises Refused where a pattern fits none, where a declared recording is not benign throughout,
    and where all are declared.
    """
    records = {id: Record(_identity(one), one.notes) for id, one in episodes.items()}
    return of_records(records, episodes.__getitem__, schema, selection)


def of_records(
    records: Mapping[str, Record],
    read: Callable[[str], Episode],
    schema: Schema,
    selection: Selection,
) -> tuple[Baseline, list[str]]:
    """Return the same as `of_episodes`; only episodes that say something are `read`."""
    _refuse_idle_patterns(selection, list(records.values()))
    declared = {id for id, one in records.items() if selection.declares(one)}
    judged = [id for id in records if id not in declared]
    if declared and not judged:
        raise Refused(
            "--baseline",
            "declares every usable recording",
            "recordings beside them to train on and to judge",
            "Declare fewer, or none with --baseline none.",
            code="baseline",
        )
    benign = frozenset(schema.classes[:1])
    earlier = [id for id in judged if selection.earlier and records[id].identity.phases == benign]
    return Baseline(
        tuple(stretches_of(read(id), schema) for id in records if id in declared),
        {id: stretches_of(read(id), schema) for id in earlier},
        {id: records[id].identity for id in judged},
    ), judged


def stretches_of(episode: Episode, schema: Schema) -> Stretches:
    """Return the levels of a benign recording, one for each stretch as long as a window.

    A level is the median of `signed_log` over the steps of a stretch, NaN for a channel that is
    measured in less than half of them. Raises Refused for a recording that is not benign.
    """
    if not is_benign(episode.labels, schema):
        raise Refused(
            f"episode {episode.id}: labels",
            "holds a phase that is not benign",
            f"{schema.classes[0]} throughout, in a recording that is baseline",
            "Choose other recordings with --baseline, or correct [baseline] of the mapping.",
            code="baseline_hostile",
        )
    span = (episode.start_ns, episode.end_ns)
    return Stretches(episode.host, episode.end_ns, levels_of(episode.sources, schema, span))


def levels_of(
    sources: Mapping[str, Samples], schema: Schema, span: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the levels `[M,C]` of stretches as long as a window, from the beginning of a span.

    The span is in Unix ns; what is left of it at its end is shorter than a window and not used.
    """
    steps = schema.grid.steps
    many = (span[1] - span[0]) // schema.grid.step_ns // steps
    columns = resample(sources, schema, span[0], 0, many * steps)
    z = signed_log(columns).reshape(len(columns), many, steps)
    levels = np.full((many, len(columns)), np.nan, dtype=np.float32)
    known = steps <= np.isfinite(z).sum(axis=2).T * 2
    levels[known] = np.nanmedian(z.swapaxes(0, 1)[known], axis=1)
    return levels


def is_benign(labels: Sequence[Label], schema: Schema) -> bool:
    """Whether all labels are of the first class, and there is one."""
    return {label.phase for label in labels} == {schema.classes[0]}


def _refuse_idle_patterns(selection: Selection, records: Sequence[Record]) -> None:
    """Raise Refused for a pattern that no episode fits: it is mistyped."""
    for name, pattern in selection.names:
        there = sorted({one.provenance[name] for one in records})
        if not any(fnmatchcase(text, pattern) for text in there):
            raise Refused(
                f"--baseline {name}={pattern}",
                "fits no usable recording",
                f"a pattern that fits one of {', '.join(there[:8])}",
                "Correct the pattern.",
                code="baseline",
            )


def _identity(episode: Episode) -> Identity:
    phases = frozenset(label.phase for label in episode.labels)
    return Identity(**episode.provenance, start_ns=episode.start_ns, phases=phases)
