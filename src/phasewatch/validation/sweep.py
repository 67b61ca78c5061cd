"""Validates every episode of a store and gives each one of four verdicts.

Episodes are validated in blocks, in this process or in others. A finished block is cached, so a
killed sweep resumes where it was, and a sweep over an unchanged store reads no episode.
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
    MAX_FILE_BYTES,
    SAMPLES,
    Manifest,
    assemble_episode,
    open_samples,
    read_file,
    read_table,
    verify_files,
)
from phasewatch.store.local import Store
from phasewatch.validation import rules
from phasewatch.validation.cache import VerdictCache, VersionedResult
from phasewatch.validation.rules import Facts
from phasewatch.validation.verdict import (
    Finding,
    Interner,
    Severity,
    ValidationResult,
    Verdict,
    overall_verdict,
)

BLOCK = 256
"""Episodes that are validated between two writes to the cache."""

GROUP_EPISODES, GROUP_BYTES = 16, 16 << 20
"""How many episodes, and bytes of their files, are in memory at once."""

UNDECIDED = {"format_newer"}
"""Codes of refusals that are due to this release and not to the bytes."""


class EpisodeSource(Protocol):
    """The episodes of a sweep: a `Store` or a `RemoteStore`."""

    schema: Schema

    def ids(self) -> list[str]:
        """Return the ids of all episodes, sorted."""

    def version(self, id: str) -> str:
        """Return a text that changes when the episode does; "" where it is unknown."""

    def location(self, id: str) -> str:
        """Return where an episode is, for messages."""

    def local_copy(self, id: str) -> AbstractContextManager[Store]:
        """Return a context that yields a store on this machine with the episode in it."""


def validate_episode(episodes: EpisodeSource, id: str) -> ValidationResult:
    """Return the result of one episode alone; faults of its bytes or the disk are findings."""
    (result,) = _validated(episodes, [(id, _fetched(episodes, id))])
    return result


def validate_store(
    episodes: EpisodeSource,
    tick: Callable[[int], object] = lambda count: None,
    executor: Executor = serial,
    cache: VerdictCache | None = None,
    full: bool = False,
) -> list[ValidationResult]:
    """Return a result for every episode, in the order of their ids.

    `cache` has the results of earlier sweeps, and `full` ignores it. `executor` runs the blocks,
    and `tick` is called with the number of episodes done. Raises Refused when the workers are lost.
    """
    ids = episodes.ids()
    known = cache.read() if cache else {}
    found: dict[str, VersionedResult] = {}
    if not full:
        same = (id for id in ids if id in known and known[id][0] == version_of(episodes, id))
        found = {id: known[id] for id in same}
        tick(len(found))
    interner = Interner()
    blocks = _blocks([id for id in ids if id not in found])
    for block, validated in zip(blocks, executor(partial(_block, episodes), blocks), strict=True):
        if cache:
            cache.add(validated)
        found.update(zip(block, [(at, interner.of(one)) for at, one in validated], strict=True))
        tick(len(validated))
    if cache and found != known:
        cache.replace(found[id] for id in ids)
    return with_store_findings([found[id][1] for id in ids])


def validate_and_read(
    episodes: EpisodeSource,
) -> tuple[list[ValidationResult], dict[str, Episode]]:
    """Validate every episode, and return the usable ones, decoded, beside all results.

    Each episode is read and decoded once. The decoded ones are held in memory.
    """
    results, decoded = [], {}
    for _, result, episode in validate_each(episodes, episodes.ids()):
        results.append(result)
        if episode is not None:
            decoded[result.id] = episode
    results = with_store_findings(results)
    return results, {result.id: decoded[result.id] for result in results if result.usable}


def validate_each(
    episodes: EpisodeSource, ids: Iterable[str]
) -> Iterator[tuple[str, ValidationResult, Episode | None]]:
    """Yield version, result and decoded episode of some ids; None for one that cannot be decoded.

    Each is read once, and few are in memory at a time. The results are without store findings.
    """
    for group in _groups(episodes, ids):
        decoded = _decoded(episodes, [(id, fetched) for id, _, fetched in group])
        for (_, version, _), (result, episode) in zip(group, decoded, strict=True):
            yield version, result, episode


def with_store_findings(results: Sequence[ValidationResult]) -> list[ValidationResult]:
    """Return the results with findings that need all of them: repeated contents and names."""
    same: defaultdict[str, list[str]] = defaultdict(list)
    folded: defaultdict[str, list[str]] = defaultdict(list)
    for one in results:
        folded[one.id.casefold()].append(one.id)
        if one.usable:
            same[one.content].append(one.id)
    return [
        _with_findings(one, _store_findings(one, same[one.content], folded[one.id.casefold()]))
        for one in results
    ]


def _store_findings(
    result: ValidationResult, same: Sequence[str], folded: Sequence[str]
) -> list[Finding]:
    """Return the findings that other episodes give: of the same content, or a similar name."""
    found = []
    if result.usable and result.id != same[0]:
        reason = f"its samples are those of {same[0]}, which is kept"
        found.append(Finding("content_duplicate", "rejected", reason))
    others = [id for id in folded if id != result.id]
    if others:
        reason = f"only upper and lower case tell it from {', '.join(others)}: copies may clash"
        found.append(Finding("name_conflict", "rejected", reason))
    return found


def _with_findings(result: ValidationResult, more: Sequence[Finding]) -> ValidationResult:
    """Return a result with more findings; an errored one is decided by the next sweep."""
    if not more or result.verdict == "errored":
        return result
    findings = (*result.findings, *more)
    return replace(result, verdict=overall_verdict(findings), findings=findings)


def _blocks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[first : first + BLOCK] for first in range(0, len(ids), BLOCK)]


def _block(episodes: EpisodeSource, ids: Iterable[str]) -> list[VersionedResult]:
    """Validate some episodes; the version of each is taken before it is read."""
    found: list[VersionedResult] = []
    for group in _groups(episodes, ids):
        validated = _validated(episodes, [(id, fetched) for id, _, fetched in group])
        found += zip([version for _, version, _ in group], validated, strict=True)
    return found


def _groups(episodes: EpisodeSource, ids: Iterable[str]) -> Iterator[list[tuple[str, str, Any]]]:
    """Yield ids, versions and files of a few episodes at a time, of fewer where they are large."""
    group, held = [], 0
    for id in ids:
        version, fetched = version_of(episodes, id), _fetched(episodes, id)
        group.append((id, version, fetched))
        held += fetched.size if isinstance(fetched, Fetched) else 0
        if len(group) == GROUP_EPISODES or held > GROUP_BYTES:
            yield group
            group, held = [], 0
    if group:
        yield group


def version_of(episodes: EpisodeSource, id: str) -> str:
    """Return the episode's version; "" where it has none, so that it is validated again."""
    try:
        return episodes.version(id)
    except OSError:
        return ""


def _refuse_stray(store: Store, id: str) -> None:
    """Raise Refused unless an episode is a folder of this store, and OSError when it is gone."""
    path = store.folder(id)
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        raise Refused(path, "is a link", "a folder", "Move the episode here.", code="unsafe_file")
    if not stat.S_ISDIR(mode):
        problem = "is a file among the episodes"
        raise Refused(path, problem, "episodes alone", "Move it elsewhere.", code="stray_file")


def _validated(
    episodes: EpisodeSource, fetched: Sequence[tuple[str, Any]]
) -> list[ValidationResult]:
    """Return the results of some episodes, each without regard to the others."""
    return [result for result, _ in _decoded(episodes, fetched)]


def _decoded(
    episodes: EpisodeSource, fetched: Sequence[tuple[str, Any]]
) -> list[tuple[ValidationResult, Episode | None]]:
    """Return results and decoded episodes: each step takes all episodes, then the next step.

    Taking one episode through all steps costs a fifth more: each step is much code, which the
    processor's caches then lose.
    """
    reached = [so_far for _, so_far in fetched]
    for step in _STEPS:
        for at, (id, found) in enumerate(fetched):
            if not isinstance(reached[at], ValidationResult):
                reached[at] = _tried(
                    partial(step, found, reached[at], episodes.schema), episodes, id
                )
    decoded = [
        (found, facts)
        for (_, found), facts in zip(fetched, reached, strict=True)
        if isinstance(facts, Facts)
    ]
    results = map(_result, decoded, rules.check_all([facts for _, facts in decoded]))
    return [
        (last, None) if isinstance(last, ValidationResult) else (next(results), last.episode)
        for last in reached
    ]


def _tried(step: Callable[[], Any], episodes: EpisodeSource, id: str) -> Any:
    """Return the value of a step or, where it fails, a result with the reason."""
    try:
        return step()
    except Refused as refused:
        return _unreadable(episodes, id, _finding_of(refused, _second_refusal(episodes, id)))
    except (OSError, MemoryError) as error:
        where = getattr(error, "filename", None) or id
        reason = f"{where}: {getattr(error, 'strerror', None) or type(error).__name__}"
        finding = Finding("io", "errored", f"{reason}; repair access and validate again")
        return ValidationResult.unreadable(_printable(id), finding)


@dataclass(frozen=True)
class Fetched:
    """What lies in an episode's folder, the digests of its files unchecked."""

    manifest: Manifest
    files: dict[str, bytes]
    unlisted: tuple[Finding, ...]
    place: str

    @property
    def samples(self) -> str:
        """The location of the samples, for messages."""
        return f"{self.place}/{SAMPLES}"

    @property
    def size(self) -> int:
        """Total size of the files, in bytes."""
        return sum(map(len, self.files.values()))


def _fetched(episodes: EpisodeSource, id: str) -> Any:
    """Return the files of an episode, or a result with the reason why they cannot be read."""
    return _tried(partial(_fetch, episodes, id), episodes, id)


def _fetch(episodes: EpisodeSource, id: str) -> Fetched:
    """Return the files of an episode. Raises Refused, or OSError."""
    with episodes.local_copy(id) as store:
        _refuse_stray(store, id)
        manifest = store.manifest(id)
        unlisted = _unlisted(store.folder(id), manifest)
        return Fetched(manifest, store.files(manifest), unlisted, episodes.location(id))


_STEPS: tuple[Callable[[Fetched, Any, Schema], Any], ...] = (
    lambda found, _, schema: verify_files(found.manifest, found.files, found.place),
    lambda found, data, schema: open_samples(data, found.samples),
    lambda found, file, schema: read_table(file, found.samples),
    lambda found, unpacked, schema: assemble_episode(found.manifest, unpacked, found.samples),
    lambda found, episode, schema: Facts(episode, schema),
)
"""The steps from fetched files to the facts for the rules; each takes the value before it."""


def _result(
    decoded: tuple[Fetched, Facts], checked: tuple[Verdict, tuple[Finding, ...]]
) -> ValidationResult:
    """Return the result of an episode that was decoded and checked by every rule."""
    (found, facts), (verdict, findings) = decoded, checked
    episode = facts.episode
    if verdict != "errored" and found.unlisted:
        findings = (*found.unlisted, *findings)
        verdict = overall_verdict(findings)
    return ValidationResult(
        **episode.provenance,
        verdict=verdict,
        findings=findings,
        start_ns=episode.start_ns,
        end_ns=episode.end_ns,
        phases=tuple(sorted({label.phase for label in episode.labels})),
        rows=tuple((source, len(samples)) for source, samples in sorted(episode.sources.items())),
        offsets=facts.shared.offsets if verdict != "errored" else (),
        content=found.manifest.files[SAMPLES].sha256,
        digest=found.manifest.digest,
    )


def _unlisted(folder: Path, manifest: Manifest) -> tuple[Finding, ...]:
    """Return a finding for each file of an episode that its manifest does not list."""
    names = sorted({*os.listdir(folder)} - {MANIFEST, *manifest.files})
    return tuple(
        Finding("file_unlisted", "degraded", f"{name!a} is not in the manifest, nor checked")
        for name in names
    )


def _finding_of(first: Refused, then: Refused) -> Finding:
    """Return the finding for two readings that were refused."""
    if (first.code, str(first)) != (then.code, str(then)):
        reason = f"first: {first}; then: {then}; test the disk and the memory"
        return Finding("unstable_read", "errored", reason)
    severity: Severity = "errored" if first.code in UNDECIDED else "rejected"
    return Finding(first.code, severity, str(first))


def _second_refusal(episodes: EpisodeSource, id: str) -> Refused:
    """Return the refusal of a second reading: an episode is rejected only when both agree."""
    try:
        with episodes.local_copy(id) as store:
            _refuse_stray(store, id)
            store.read(id)
    except Refused as refused:
        return refused
    except (OSError, MemoryError) as error:
        return Refused(id, str(error), "the same again", "", code="io")
    return Refused(id, "nothing", "the same again", "", code="")


def _unreadable(episodes: EpisodeSource, id: str, finding: Finding) -> ValidationResult:
    """Return the result for bytes that cannot be read as an episode."""
    try:
        with episodes.local_copy(id) as store:
            digest = _files_digest(store.root / "episodes" / id)
    except (OSError, Refused):
        digest = ""
    return ValidationResult.unreadable(_printable(id), finding, digest)


def _printable(id: str) -> str:
    """Return an id as printable text, since a folder's name may be any bytes."""
    return id.encode(errors="backslashreplace").decode()


def _files_digest(folder: Path) -> str:
    """Return a sha256 over names and bytes of an episode's files. Raises Refused, or OSError."""
    hashed = hashlib.sha256()
    for name in sorted(os.listdir(folder)):
        data = hashlib.sha256(read_file(folder / name, MAX_FILE_BYTES)).hexdigest()
        hashed.update(f"{name!a} {data}\n".encode())
    return hashed.hexdigest()
