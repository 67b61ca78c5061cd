"""Judges every episode of a store and gives each one of four verdicts.

Episodes are judged in blocks, here or elsewhere; a finished block is in the ledger for good, so a
sweep that was killed goes on where it was, and one over an unchanged store judges nothing.
"""

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.io.executors import Executor, serial
from phasewatch.schema import Schema
from phasewatch.store.format import (
    MANIFEST,
    SAMPLES,
    SAMPLES_MOST,
    Manifest,
    assemble,
    checked,
    content,
    opened,
    table,
)
from phasewatch.store.local import Store
from phasewatch.validation import rules
from phasewatch.validation.cache import Stamped, VerdictCache
from phasewatch.validation.rules import Facts
from phasewatch.validation.verdict import Finding, Once, Severity, ValidationResult, Verdict, weigh

BLOCK = 256
"""Episodes judged between two writes to the ledger."""

TOGETHER, HELD = 16, 16 << 20
"""How many episodes, and bytes of their files, are in memory at once."""

UNDECIDED = {"format_newer"}
"""Refusals that say more of this release than of the bytes."""


class Episodes(Protocol):
    """What can be swept: a `Store`, or a `RemoteStore` far away."""

    schema: Schema

    def ids(self) -> list[str]:
        """Ids of all episodes, sorted."""

    def stamp(self, id: str) -> str:
        """What changes when an episode does; "" where that cannot be told."""

    def place(self, id: str) -> str:
        """Where an episode lies, for a person."""

    def near(self, id: str) -> AbstractContextManager[Store]:
        """A store on this machine with that episode in it."""


def validate_episode(episodes: Episodes, id: str) -> ValidationResult:
    """The verdict on one episode alone; never raises for what the episode or the disk did."""
    (result,) = _validated(episodes, [(id, _fetched(episodes, id))])
    return result


def validate_store(
    episodes: Episodes,
    tick: Callable[[int], object] = lambda count: None,
    spread: Executor = serial,
    kept: VerdictCache | None = None,
    full: bool = False,
) -> list[ValidationResult]:
    """A judgement for every episode, in the order of their ids.

    `kept` is the ledger to skip by and to resume from; `full` judges all the same. Raises Refused
    when the workers are lost.
    """
    ids = episodes.ids()
    known = kept.read() if kept else {}
    found: dict[str, Stamped] = {}
    if not full:
        same = (id for id in ids if id in known and known[id][0] == _stamp(episodes, id))
        found = {id: known[id] for id in same}
        tick(len(found))
    once = Once()
    blocks = _blocks([id for id in ids if id not in found])
    for block, judged in zip(blocks, spread(partial(_block, episodes), blocks), strict=True):
        if kept:
            kept.add(judged)
        found.update(zip(block, [(at, once.of(own)) for at, own in judged], strict=True))
        tick(len(judged))
    if kept and found != known:
        kept.replace(found[id] for id in ids)
    return across([found[id][1] for id in ids])


def validate_and_read(
    episodes: Episodes,
) -> tuple[list[ValidationResult], dict[str, Episode]]:
    """Validate every episode, and return the usable ones, decoded, beside all results.

    Each episode is read and decoded once. The decoded ones are held in memory.
    """
    results, decoded = [], {}
    for few in _some(episodes, episodes.ids()):
        for result, episode in _decoded(episodes, [(id, fetched) for id, _, fetched in few]):
            results.append(result)
            if episode is not None:
                decoded[result.id] = episode
    results = across(results)
    return results, {result.id: decoded[result.id] for result in results if result.usable}


def across(results: Sequence[ValidationResult]) -> list[ValidationResult]:
    """The same with what only the whole store shows: one content or one name for two episodes."""
    same: defaultdict[str, list[str]] = defaultdict(list)
    folded: defaultdict[str, list[str]] = defaultdict(list)
    for own in results:
        folded[own.id.casefold()].append(own.id)
        if own.usable:
            same[own.content].append(own.id)
    return [
        _with(own, _objections(own, same[own.content], folded[own.id.casefold()]))
        for own in results
    ]


def _objections(own: ValidationResult, same: Sequence[str], folded: Sequence[str]) -> list[Finding]:
    found = []
    if own.usable and own.id != same[0]:
        reason = f"its samples are those of {same[0]}, which is kept"
        found.append(Finding("content_duplicate", "rejected", reason))
    others = [id for id in folded if id != own.id]
    if others:
        reason = f"only upper and lower case tell it from {', '.join(others)}: copies may clash"
        found.append(Finding("name_conflict", "rejected", reason))
    return found


def _with(own: ValidationResult, more: Sequence[Finding]) -> ValidationResult:
    if not more or own.verdict == "errored":
        return own
    findings = (*own.findings, *more)
    return replace(own, verdict=weigh(findings), findings=findings)


def _blocks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[first : first + BLOCK] for first in range(0, len(ids), BLOCK)]


def _block(episodes: Episodes, ids: Iterable[str]) -> list[Stamped]:
    """Judge some episodes, in whatever process; each stamped before it is read."""
    found: list[Stamped] = []
    for few in _some(episodes, ids):
        judged = _validated(episodes, [(id, fetched) for id, _, fetched in few])
        found += zip([stamp for _, stamp, _ in few], judged, strict=True)
    return found


def _some(episodes: Episodes, ids: Iterable[str]) -> Iterator[list[tuple[str, str, Any]]]:
    """Ids, stamps and files of a few episodes at a time; of fewer, where they are large."""
    few, held = [], 0
    for id in ids:
        stamp, fetched = _stamp(episodes, id), _fetched(episodes, id)
        few.append((id, stamp, fetched))
        held += fetched.size if isinstance(fetched, Fetched) else 0
        if len(few) == TOGETHER or held > HELD:
            yield few
            few, held = [], 0
    if few:
        yield few


def _stamp(episodes: Episodes, id: str) -> str:
    """The episode's stamp; "" where it has none, so that it is judged again."""
    try:
        return episodes.stamp(id)
    except OSError:
        return ""


def _folder(store: Store, id: str) -> None:
    """Raise Refused for what is no folder of this store, OSError when it is gone."""
    path = store.folder(id)
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        raise Refused(path, "is a link", "a folder", "Move the episode here.", code="unsafe_file")
    if not stat.S_ISDIR(mode):
        problem = "is a file among the episodes"
        raise Refused(path, problem, "episodes alone", "Move it elsewhere.", code="stray_file")


def _validated(episodes: Episodes, fetched: Sequence[tuple[str, Any]]) -> list[ValidationResult]:
    """The verdicts on some episodes, alone."""
    return [result for result, _ in _decoded(episodes, fetched)]


def _decoded(
    episodes: Episodes, fetched: Sequence[tuple[str, Any]]
) -> list[tuple[ValidationResult, Episode | None]]:
    """The verdicts on some episodes, and the episodes: each step is taken with all, then the next.

    Going back and forth would cost a fifth more: each is much code of its own, which the
    processor's caches forget meanwhile.
    """
    reached = [so_far for _, so_far in fetched]
    for step in _STEPS:
        for at, (id, found) in enumerate(fetched):
            if not isinstance(reached[at], ValidationResult):
                reached[at] = _tried(
                    partial(step, found, reached[at], episodes.schema), episodes, id
                )
    understood = [
        (found, facts)
        for (_, found), facts in zip(fetched, reached, strict=True)
        if isinstance(facts, Facts)
    ]
    told = map(_told, understood, rules.ask([facts for _, facts in understood]))
    return [
        (own, None) if isinstance(own, ValidationResult) else (next(told), own.episode)
        for own in reached
    ]


def _tried(step: Callable[[], Any], episodes: Episodes, id: str) -> Any:
    """What a step gives; where it cannot be taken, the judgement that says why."""
    try:
        return step()
    except Refused as refused:
        return _refused(episodes, id, _objection(refused, _again(episodes, id)))
    except (OSError, MemoryError) as error:
        where = getattr(error, "filename", None) or id
        reason = f"{where}: {getattr(error, 'strerror', None) or type(error).__name__}"
        finding = Finding("io", "errored", f"{reason}; repair access and validate again")
        return ValidationResult(_shown(id), "errored", (finding,))


@dataclass(frozen=True)
class Fetched:
    """What lies in an episode's folder, the digests of its files unchecked."""

    manifest: Manifest
    files: dict[str, bytes]
    unlisted: tuple[Finding, ...]
    place: str

    @property
    def samples(self) -> str:
        """Where the samples lie, for a person."""
        return f"{self.place}/{SAMPLES}"

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.files.values()))


def _fetched(episodes: Episodes, id: str) -> Any:
    """What lies in an episode's folder, or the judgement that says why it cannot be had."""
    return _tried(partial(_fetch, episodes, id), episodes, id)


def _fetch(episodes: Episodes, id: str) -> Fetched:
    with episodes.near(id) as store:
        _folder(store, id)
        manifest = store.manifest(id)
        unlisted = _unlisted(store.folder(id), manifest)
        return Fetched(manifest, store.files(manifest), unlisted, episodes.place(id))


_STEPS: tuple[Callable[[Fetched, Any, Schema], Any], ...] = (
    lambda found, _, schema: checked(found.manifest, found.files, found.place),
    lambda found, data, schema: opened(data, found.samples),
    lambda found, file, schema: table(file, found.samples),
    lambda found, unpacked, schema: assemble(found.manifest, unpacked, found.samples),
    lambda found, episode, schema: Facts(episode, schema),
)
"""From what was fetched to what rules are asked of, each from what the one before gave."""


def _told(
    understood: tuple[Fetched, Facts], answer: tuple[Verdict, tuple[Finding, ...]]
) -> ValidationResult:
    (found, facts), (verdict, findings) = understood, answer
    episode = facts.episode
    if verdict != "errored" and found.unlisted:
        findings = (*found.unlisted, *findings)
        verdict = weigh(findings)
    return ValidationResult(
        id=episode.id,
        verdict=verdict,
        findings=findings,
        host=episode.host,
        sample=episode.sample,
        profile=episode.profile,
        campaign=episode.campaign,
        start_ns=episode.start_ns,
        end_ns=episode.end_ns,
        phases=tuple(sorted({label.phase for label in episode.labels})),
        rows=tuple((source, len(samples)) for source, samples in sorted(episode.sources.items())),
        offsets=facts.shared.offsets if verdict != "errored" else (),
        content=found.manifest.files[SAMPLES].sha256,
        digest=found.manifest.digest,
    )


def _unlisted(folder: Path, manifest: Manifest) -> tuple[Finding, ...]:
    names = sorted({*os.listdir(folder)} - {MANIFEST, *manifest.files})
    return tuple(
        Finding("file_unlisted", "degraded", f"{name!a} is not in the manifest, nor checked")
        for name in names
    )


def _objection(first: Refused, then: Refused) -> Finding:
    """What two readings that were refused say together."""
    if (first.code, str(first)) != (then.code, str(then)):
        reason = f"first: {first}; then: {then}; test the disk and the memory"
        return Finding("unstable_read", "errored", reason)
    severity: Severity = "errored" if first.code in UNDECIDED else "rejected"
    return Finding(first.code, severity, str(first))


def _again(episodes: Episodes, id: str) -> Refused:
    """What a second reading objects to: bytes are blamed only when two readings agree."""
    try:
        with episodes.near(id) as store:
            _folder(store, id)
            store.read(id)
    except Refused as refused:
        return refused
    except (OSError, MemoryError) as error:
        return Refused(id, str(error), "the same again", "", code="io")
    return Refused(id, "nothing", "the same again", "", code="")


def _refused(episodes: Episodes, id: str, finding: Finding) -> ValidationResult:
    """The judgement of bytes that cannot be taken."""
    try:
        with episodes.near(id) as store:
            digest = _found(store.root / "episodes" / id)
    except (OSError, Refused):
        digest = ""
    return ValidationResult(_shown(id), finding.severity, (finding,), digest=digest)


def _shown(id: str) -> str:
    """An id as text: a folder's name may be any bytes."""
    return id.encode(errors="backslashreplace").decode()


def _found(folder: Path) -> str:
    """sha256 over the names and bytes of an episode's plain files. Raises Refused, or OSError."""
    hashed = hashlib.sha256()
    for name in sorted(os.listdir(folder)):
        data = hashlib.sha256(content(folder / name, SAMPLES_MOST)).hexdigest()
        hashed.update(f"{name!a} {data}\n".encode())
    return hashed.hexdigest()
