"""Judges every episode and gives each one of four verdicts, with reasons a person understands.

accepted: every rule ran and none objected · degraded: usable, with named losses · rejected: the
bytes are wrong, and stay so · errored: we could not decide, so the next sweep tries again.
A rule is one function; its decorator names its code and how much a finding weighs.
"""

import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phasewatch import __version__, durable
from phasewatch.episode import UNIX_FLOOR_NS, Episode, Identity, Samples
from phasewatch.refusal import Refused
from phasewatch.schema import NS, Schema
from phasewatch.store import Store

Verdict = Literal["accepted", "degraded", "rejected", "errored"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Severity = Literal["degraded", "rejected", "errored"]

INDEX = Path("data/processed/validation_v1.parquet")

THIN, TOO_THIN = 0.9, 0.5
"""Share of the expected rows under which a source is degraded, and under which it is rejected."""

WAITING, LOST = "proc.vcpu_wait", 0.25
"""The channel of time that vCPUs waited for a core, in ns, and how much of a core they may lose.

What is lost is what the CPU channels are off by: docs/decisions/0005-contention.md."""

MISFIT_MS = 250.0
"""How far the pings may lie off the line that maps the guest's clock: half a sampling period."""


@dataclass(frozen=True)
class Finding:
    """One objection of one rule."""

    code: str
    severity: Severity
    reason: str


@dataclass(frozen=True)
class Judgement:
    """One row of the acceptance index."""

    id: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    host: str = ""
    sample: str = ""
    profile: str = ""
    campaign: str = ""
    start_ns: int = 0
    end_ns: int = 0
    phases: tuple[str, ...] = ()
    rows: int = 0
    digest: str = ""

    @property
    def usable(self) -> bool:
        """May later stages read the episode?"""
        return self.verdict in ("accepted", "degraded")

    @property
    def identity(self) -> Identity:
        """What a split may know of the episode."""
        phases = frozenset(self.phases)
        who = (self.id, self.host, self.sample, self.profile, self.campaign)
        return Identity(*who, self.start_ns, phases)


Rule = Callable[[Episode, Schema], Iterable[str]]
RULES: list[tuple[str, Severity, Rule]] = []


def rule(code: str, severity: Severity) -> Callable[[Rule], Rule]:
    """Register a function that yields one reason for each objection it has to an episode."""

    def register(check: Rule) -> Rule:
        RULES.append((code, severity, check))
        return check

    return register


@rule("span", "rejected")
def _span(episode: Episode, schema: Schema) -> Iterator[str]:
    if episode.start_ns < UNIX_FLOOR_NS:
        yield f"start_ns {episode.start_ns} is no Unix time in nanoseconds"
    if episode.end_ns <= episode.start_ns:
        yield f"end_ns {episode.end_ns} is not after start_ns {episode.start_ns}"


@rule("labels_order", "rejected")
def _labels_order(episode: Episode, schema: Schema) -> Iterator[str]:
    times = [label.t_wall_ns for label in episode.labels]
    for before, after in itertools.pairwise(times):
        if after <= before:
            yield f"label at {after} follows one at {before}: times must strictly increase"


@rule("labels_class", "rejected")
def _labels_class(episode: Episode, schema: Schema) -> Iterator[str]:
    for phase in sorted({label.phase for label in episode.labels} - set(schema.classes)):
        yield f"phase {phase!r} is not one of {', '.join(schema.classes)}"


@rule("labels_range", "rejected")
def _labels_range(episode: Episode, schema: Schema) -> Iterator[str]:
    if not episode.labels:
        yield "there is no label; the first must stand at start_ns"
    elif episode.labels[0].t_wall_ns != episode.start_ns:
        yield f"the first label stands at {episode.labels[0].t_wall_ns}, not at start_ns"
    elif episode.labels[-1].t_wall_ns >= episode.end_ns:
        yield f"the last label stands at {episode.labels[-1].t_wall_ns}, not before end_ns"


@rule("source_missing", "degraded")
def _source_missing(episode: Episode, schema: Schema) -> Iterator[str]:
    for source in schema.sources:
        if source not in episode.sources:
            yield f"{source} was not recorded"


@rule("sources_none", "rejected")
def _sources_none(episode: Episode, schema: Schema) -> Iterator[str]:
    if not set(schema.sources) & set(episode.sources):
        yield "none of the schema's sources was recorded"


@rule("columns", "rejected")
def _columns(episode: Episode, schema: Schema) -> Iterator[str]:
    for source, samples in _present(episode, schema):
        for channel in schema.of(source):
            if channel.name not in samples.names:
                yield f"channel {channel.name} is missing from its source"


@rule("clock_base", "rejected")
def _clock_base(episode: Episode, schema: Schema) -> Iterator[str]:
    for source, samples in _present(episode, schema):
        if len(samples) and int(samples.t_wall_ns[0]) < UNIX_FLOOR_NS:
            yield (
                f"{source}.t_wall_ns starts at {samples.t_wall_ns[0]}: counted from boot, or not "
                "in nanoseconds, instead of Unix time"
            )


@rule("clock_overlap", "rejected")
def _clock_overlap(episode: Episode, schema: Schema) -> Iterator[str]:
    for source, samples in _present(episode, schema):
        if len(samples) and not _inside(episode, samples):
            off = (int(samples.t_wall_ns[0]) - episode.start_ns) / NS
            yield f"{source} has no row inside the episode: its clock is {off:+.1f} s off"


@rule("time_order", "rejected")
def _time_order(episode: Episode, schema: Schema) -> Iterator[str]:
    for source, samples in _present(episode, schema):
        back = int(np.sum(np.diff(samples.t_wall_ns) < 0))
        if back:
            yield f"{source}.t_wall_ns runs back {back} times"


@rule("rows_none", "rejected")
def _rows_none(episode: Episode, schema: Schema) -> Iterator[str]:
    for source, share in _coverage(episode, schema):
        if share < TOO_THIN:
            yield f"{source} has {share:.0%} of its rows; under {TOO_THIN:.0%} is too few"


@rule("rows_low", "degraded")
def _rows_low(episode: Episode, schema: Schema) -> Iterator[str]:
    for source, share in _coverage(episode, schema):
        if TOO_THIN <= share < THIN:
            yield f"{source} has {share:.0%} of its rows"


@rule("time_dup", "degraded")
def _time_dup(episode: Episode, schema: Schema) -> Iterator[str]:
    for source, samples in _present(episode, schema):
        same = int(np.sum(np.diff(samples.t_wall_ns) == 0))
        if same:
            yield f"{source} has {same} rows at the time of the row before"


@rule("time_gap", "degraded")
def _time_gap(episode: Episode, schema: Schema) -> Iterator[str]:
    for source, samples in _present(episode, schema):
        widest = float(np.max(np.diff(samples.t_wall_ns), initial=0)) / NS
        if widest > schema.grid.window_s / 2:
            yield f"{source} is silent for {widest:.1f} s"


@rule("value_nonfinite", "degraded")
def _value_nonfinite(episode: Episode, schema: Schema) -> Iterator[str]:
    for source, samples in _present(episode, schema):
        for column, name in enumerate(samples.names):
            bad = int(np.sum(~np.isfinite(samples.values[:, column])))
            if bad:
                yield f"{name} has {bad} of {len(samples)} values that are no numbers ({source})"


@rule("counter_reset", "degraded")
def _counter_reset(episode: Episode, schema: Schema) -> Iterator[str]:
    for source, samples in _present(episode, schema):
        for channel in schema.of(source):
            if channel.kind == "counter" and channel.name in samples.names:
                value = samples.values[:, samples.names.index(channel.name)]
                resets = int(np.sum(value[1:] < value[:-1]))
                if resets:
                    yield f"counter {channel.name} runs back {resets} times"


@rule("clock_fit", "rejected")
def _clock_fit(episode: Episode, schema: Schema) -> Iterator[str]:
    misfit = episode.notes.get("guest_clock_misfit_ms")
    if isinstance(misfit, int | float) and misfit > MISFIT_MS:
        yield (
            f"the guest's clock stepped: its pings are up to {misfit:.0f} ms off the line that "
            "maps it, and the labels with them"
        )


@rule("contention", "degraded")
def _contention(episode: Episode, schema: Schema) -> Iterator[str]:
    proc = episode.sources.get(WAITING.partition(".")[0])
    if WAITING not in schema.names or proc is None or WAITING not in proc.names or len(proc) < 2:
        return
    waited = proc.values[:, proc.names.index(WAITING)]
    t = (proc.t_wall_ns - episode.start_ns) / NS
    window = schema.grid.window_s
    ends = np.arange(window, episode.seconds, window / 2)
    lost = (np.interp(ends, t, waited) - np.interp(ends - window, t, waited)) / window / NS
    bad = lost > LOST
    if bad.any():
        yield (
            f"its vCPUs lost up to {lost.max():.2f} of a core to others, over {LOST} of one in "
            f"{bad.sum()} of {len(ends)} stretches of {window:g} s: CPU channels are low there"
        )


def _present(episode: Episode, schema: Schema) -> Iterator[tuple[str, Samples]]:
    for source in schema.sources:
        if source in episode.sources:
            yield source, episode.sources[source]


def _inside(episode: Episode, samples: Samples) -> int:
    t = samples.t_wall_ns
    return int(np.sum((t >= episode.start_ns) & (t <= episode.end_ns)))


def _coverage(episode: Episode, schema: Schema) -> Iterator[tuple[str, float]]:
    """Rows found inside the episode over rows expected of the nominal rate, per present source."""
    for source, samples in _present(episode, schema):
        expected = samples.rate_hz * episode.seconds
        if expected > 0:
            yield source, _inside(episode, samples) / expected


def judge(store: Store, id: str) -> Judgement:
    """The verdict on one episode; never raises for what the episode or the disk did."""
    try:
        manifest = store.manifest(id)
        episode = store.load(manifest)
    except Refused as refused:
        return Judgement(id, "rejected", (Finding(refused.code, "rejected", str(refused)),))
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}; repair access and validate again"
        return Judgement(id, "errored", (Finding("io", "errored", reason),))
    verdict, findings = examine(episode, store.schema)
    return Judgement(
        id=id,
        verdict=verdict,
        findings=findings,
        host=episode.host,
        sample=episode.sample,
        profile=episode.profile,
        campaign=episode.campaign,
        start_ns=episode.start_ns,
        end_ns=episode.end_ns,
        phases=tuple(sorted({label.phase for label in episode.labels})),
        rows=sum(len(samples) for samples in episode.sources.values()),
        digest=manifest.digest,
    )


def examine(episode: Episode, schema: Schema) -> tuple[Verdict, tuple[Finding, ...]]:
    """Every rule's findings on an episode whose bytes are sound, and the verdict they add up to."""
    findings: list[Finding] = []
    for code, severity, check in RULES:
        try:
            findings += [Finding(code, severity, reason) for reason in check(episode, schema)]
        except Exception as error:
            reason = f"rule {code} failed with {type(error).__name__}: {error}; report this"
            return "errored", (Finding("check_bug", "errored", reason),)
    severities = {finding.severity for finding in findings}
    if "rejected" in severities:
        return "rejected", tuple(findings)
    return ("degraded" if severities else "accepted"), tuple(findings)


def sweep(store: Store, tick: Callable[[], None] = lambda: None) -> list[Judgement]:
    """A judgement for every episode of the store, in the order of their ids."""
    judgements = []
    for id in store.ids():
        judgements.append(judge(store, id))
        tick()
    return judgements


def write_index(judgements: Sequence[Judgement], path: Path) -> None:
    """The acceptance index: one row an episode, page checksums on, written whole or not at all."""
    rows = [
        {
            "id": row.id,
            "verdict": row.verdict,
            "codes": [finding.code for finding in row.findings],
            "reasons": [finding.reason for finding in row.findings],
            "host": row.host,
            "sample": row.sample,
            "profile": row.profile,
            "campaign": row.campaign,
            "start_ns": row.start_ns,
            "end_ns": row.end_ns,
            "phases": list(row.phases),
            "rows": row.rows,
            "digest": row.digest,
            "tool": __version__,
        }
        for row in judgements
    ]
    buffer = io.BytesIO()
    table = pa.Table.from_pylist(rows, schema=_INDEX)
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    durable.write(path, buffer.getvalue())


_INDEX = pa.schema(
    [(name, pa.string()) for name in ("id", "verdict")]
    + [(name, pa.list_(pa.string())) for name in ("codes", "reasons")]
    + [(name, pa.string()) for name in ("host", "sample", "profile", "campaign")]
    + [("start_ns", pa.int64()), ("end_ns", pa.int64()), ("phases", pa.list_(pa.string()))]
    + [("rows", pa.int64()), ("digest", pa.string()), ("tool", pa.string())]
)


def counts(judgements: Iterable[Judgement]) -> dict[Verdict, int]:
    """How many episodes got each verdict; the four add up to all."""
    found = Counter(judgement.verdict for judgement in judgements)
    return {verdict: found[verdict] for verdict in VERDICTS}
