"""Rules for an episode whose bytes are sound: one function per rule.

A rule's decorator names its code and severity, its docstring is the sentence that explains it in
reports, and it yields one reason for each objection. `FILES` explains the codes that reading the
bytes may give, and `STORE` those that need the whole store.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from phasewatch.episode import UNIX_CEILING_NS, UNIX_FLOOR_NS, Episode, Ints, Samples
from phasewatch.schema import NS, Schema
from phasewatch.validation.clocks import ClockEvidence, measure
from phasewatch.validation.verdict import Finding, Severity, Verdict, overall_verdict

STUCK_WINDOWS, TIME_UNITS = 2, ("ns", "us", "ms", "s", "tick")
"""After how many windows a row must differ where a counter has one of these units.

Disks and networks can be idle; the time that a running machine uses grows.
"""

LONGEST_S = 7 * 86_400.0
"""A week: a longer episode has a broken clock, and would take hours to check."""

FULL_COVERAGE, MIN_COVERAGE, MAX_COVERAGE = 0.9, 0.5, 1.2
"""Share of the expected rows under which a source is degraded or rejected, and over which it is
degraded because its rate is not the nominal one."""

WAIT_CHANNEL, MAX_LOST_CORES = "proc.vcpu_wait", 0.25
"""The channel of time that vCPUs waited for a core, in ns, and how much of a core they may lose.

What is lost is what the CPU channels are off by: docs/decisions/0005-contention.md."""

MAX_MISFIT_MS = 250.0
"""How far the pings may lie off the line that maps the guest's clock: half a sampling period."""

MAX_DRIFT_S = 1.0
"""How far a source's two clocks may drift apart within an episode."""

FILES: Mapping[str, str] = {
    "stray_file": "What lies among the episodes is not an episode's folder",
    "file_missing": "The manifest or the samples are absent",
    "file_unlisted": "The folder holds a file that its manifest does not list",
    "unsafe_file": "A link, a folder or a device stands where a file must be; it was not opened",
    "unsafe_path": "The manifest lists a file outside its folder",
    "over_limit": "A file is larger than any episode may be, or unpacks to more; it was not read",
    "manifest_schema": "The manifest is not of this format",
    "manifest_digest": "The manifest was changed after it was written",
    "id_invalid": "The id is not usable, or not the folder's name",
    "sha_mismatch": "A file is not the one that its manifest lists",
    "samples_format": "The samples cannot be decoded, or are not of this format",
    "format_newer": "A newer release wrote it: this one cannot validate it",
    "unstable_read": "Two readings of the same file differ: suspect the disk or the memory",
    "io": "The system would not let us read it",
    "check_bug": "A rule failed: our fault, not the episode's",
}
STORE: Mapping[str, str] = {
    "content_duplicate": "Another episode of the store has the very same samples",
    "name_conflict": "Two ids differ in upper and lower case alone",
}


class Facts:
    """An episode under one schema, with quantities that several rules use, computed once."""

    def __init__(self, episode: Episode, schema: Schema) -> None:
        self.episode = episode
        self.schema = schema
        self.present: dict[str, Samples] = {
            source: episode.sources[source]
            for source in schema.sources
            if source in episode.sources
        }
        self.gaps: dict[str, Ints] = {
            source: samples.t_wall_ns[1:] - samples.t_wall_ns[:-1]
            for source, samples in self.present.items()
        }
        self.ordered: dict[str, bool] = {
            source: int(gaps.min(initial=0)) >= 0 for source, gaps in self.gaps.items()
        }
        self.inside: dict[str, int] = {
            source: self._inside(samples.t_wall_ns, self.ordered[source])
            for source, samples in self.present.items()
        }

    def _inside(self, t: Ints, ordered: bool) -> int:
        """Return how many times lie inside the episode."""
        start_ns, end_ns = self.episode.start_ns, self.episode.end_ns
        if ordered:
            first, after = t.searchsorted(start_ns), t.searchsorted(end_ns, "right")
            return max(int(after - first), 0)
        return int(np.count_nonzero((t >= start_ns) & (t <= end_ns)))

    @cached_property
    def coverage(self) -> dict[str, float]:
        """Rows found inside the episode over rows expected of the nominal rate, per source."""
        return {
            source: self.inside[source] / (samples.rate_hz * self.episode.seconds)
            for source, samples in self.present.items()
            if samples.rate_hz * self.episode.seconds > 0
        }

    @cached_property
    def finite(self) -> dict[str, bool]:
        """Whether all values of a source are finite, by source."""
        return {
            source: bool(np.isfinite(samples.values).all())
            for source, samples in self.present.items()
        }

    @cached_property
    def falls(self) -> list[tuple[str, int, int]]:
        """Counters that fall: name, how often, and how often like an overflow of 32 bits."""
        found = []
        for samples in self.present.values():
            values = samples.values
            fell = values[1:] < values[:-1]
            for column in np.flatnonzero(fell.any(axis=0)).tolist():
                if self.schema.kinds.get(samples.names[column]) == "counter":
                    rows = np.flatnonzero(fell[:, column])
                    before, after = values[rows, column], values[rows + 1, column]
                    high = (before > 15 / 16 * 2**32) & (before < 2**32)
                    wraps = np.count_nonzero(high & (after < 2**32 / 16))
                    found.append((samples.names[column], len(rows), int(wraps)))
        return found

    @cached_property
    def shared(self) -> ClockEvidence:
        """Offsets of clocks and labels, from sources with ordered times and finite values."""
        if self.episode.seconds > LONGEST_S:
            return ClockEvidence()
        sound = {
            source: samples
            for source, samples in self.present.items()
            if self.finite[source] and self.ordered[source]
        }
        return measure(self.episode, sound, self.schema)


Check = Callable[[Facts], Iterable[str]]


@dataclass(frozen=True)
class Rule:
    """A check, its code, and the severity of its objections."""

    code: str
    severity: Severity
    check: Check

    @property
    def sentence(self) -> str:
        """The sentence that explains an objection."""
        return (self.check.__doc__ or "").strip().rstrip(".")


RULES: list[Rule] = []


def rule(code: str, severity: Severity) -> Callable[[Check], Check]:
    """Register a function that yields one reason for each objection it has to an episode."""

    def register(check: Check) -> Check:
        RULES.append(Rule(code, severity, check))
        return check

    return register


def sentences() -> dict[str, str]:
    """Return the sentence that explains each code."""
    return {**FILES, **{rule.code: rule.sentence for rule in RULES}, **STORE}


def examine(episode: Episode, schema: Schema) -> tuple[Verdict, tuple[Finding, ...]]:
    """Return the verdict on an episode whose bytes are sound, and the findings of every rule."""
    (result,) = check_all([Facts(episode, schema)])
    return result


def check_all(several: Sequence[Facts]) -> list[tuple[Verdict, tuple[Finding, ...]]]:
    """Return verdicts and findings for several episodes: each rule checks all, then the next."""
    found: list[list[Finding]] = [[] for _ in several]
    # Values may be any bytes; comparisons stay right where arithmetic overflows.
    with np.errstate(over="ignore", invalid="ignore"):
        for rule in RULES:
            for facts, findings in zip(several, found, strict=True):
                findings += _findings(rule, facts)
    return [(overall_verdict(one), tuple(one)) for one in map(_first_failure, found)]


def _findings(rule: Rule, facts: Facts) -> list[Finding]:
    """Return the findings of one rule; its failure is a finding, too."""
    try:
        return [Finding(rule.code, rule.severity, reason) for reason in rule.check(facts)]
    except MemoryError:
        reason = f"no memory for rule {rule.code}; validate again"
        return [Finding("io", "errored", reason)]
    except Exception as error:
        reason = f"rule {rule.code} failed with {type(error).__name__}: {error}; report this"
        return [Finding("check_bug", "errored", reason)]


def _first_failure(findings: list[Finding]) -> list[Finding]:
    """Return the findings, or only that of the first rule that failed."""
    failed = [one for one in findings if one.severity == "errored"]
    return failed[:1] or findings


@rule("span", "rejected")
def _span(facts: Facts) -> Iterator[str]:
    """The episode's start and end are no Unix times, in the wrong order, or a week apart."""
    start_ns, end_ns = facts.episode.start_ns, facts.episode.end_ns
    if not UNIX_FLOOR_NS <= start_ns < UNIX_CEILING_NS:
        yield f"start_ns {start_ns} is no Unix time in nanoseconds"
    if end_ns <= start_ns:
        yield f"end_ns {end_ns} is not after start_ns {start_ns}"
    if facts.episode.seconds > LONGEST_S:
        yield f"it lasts {facts.episode.seconds / 86_400:,.0f} days; a week is the most"


@rule("labels_order", "rejected")
def _labels_order(facts: Facts) -> Iterator[str]:
    """Labels do not follow each other in time."""
    times = [label.t_wall_ns for label in facts.episode.labels]
    for before, after in itertools.pairwise(times):
        if after <= before:
            yield f"label at {after} follows one at {before}: times must strictly increase"


@rule("labels_class", "rejected")
def _labels_class(facts: Facts) -> Iterator[str]:
    """A label names a phase that the schema does not know."""
    classes = facts.schema.classes
    for phase in sorted({label.phase for label in facts.episode.labels} - set(classes)):
        yield f"phase {phase!r} is not one of {', '.join(classes)}"


@rule("labels_range", "rejected")
def _labels_range(facts: Facts) -> Iterator[str]:
    """There is no label, or one outside the episode."""
    episode = facts.episode
    if not episode.labels:
        yield "there is no label; the first must stand at start_ns"
    elif episode.labels[0].t_wall_ns != episode.start_ns:
        yield f"the first label stands at {episode.labels[0].t_wall_ns}, not at start_ns"
    elif episode.labels[-1].t_wall_ns >= episode.end_ns:
        yield f"the last label stands at {episode.labels[-1].t_wall_ns}, not before end_ns"


@rule("source_missing", "degraded")
def _source_missing(facts: Facts) -> Iterator[str]:
    """A source was not recorded."""
    for source in facts.schema.sources:
        if source not in facts.present:
            yield f"{source} was not recorded"


@rule("sources_none", "rejected")
def _sources_none(facts: Facts) -> Iterator[str]:
    """No source was recorded."""
    if not facts.present:
        yield "none of the schema's sources was recorded"


@rule("columns", "rejected")
def _columns(facts: Facts) -> Iterator[str]:
    """A source lacks one of its channels, or has one twice."""
    for source, samples in facts.present.items():
        names = set(samples.names)
        for channel in facts.schema.channels_of(source):
            if channel.name not in names:
                yield f"channel {channel.name} is missing from its source"
        if len(names) < len(samples.names):
            double = sorted({name for name in names if samples.names.count(name) > 1})
            yield f"{source} has {', '.join(double)} more than once"


@rule("clock_base", "rejected")
def _clock_base(facts: Facts) -> Iterator[str]:
    """A source's clock counts from boot, or not in nanoseconds."""
    for source, samples in facts.present.items():
        ends = [int(samples.t_wall_ns[at]) for at in (0, -1)] if len(samples) else []
        strange = [at for at in ends if not UNIX_FLOOR_NS <= at < UNIX_CEILING_NS]
        if strange:
            yield (
                f"{source}.t_wall_ns {'starts' if strange[0] == ends[0] else 'ends'} at "
                f"{strange[0]}: counted from boot, or not in nanoseconds, instead of Unix time"
            )


@rule("clock_overlap", "rejected")
def _clock_overlap(facts: Facts) -> Iterator[str]:
    """A source's clock is so far off that none of its rows lies inside the episode."""
    for source, samples in facts.present.items():
        if len(samples) and not facts.inside[source]:
            off = (int(samples.t_wall_ns[0]) - facts.episode.start_ns) / NS
            quarters = round(off / 900)
            zone = quarters and abs(off - 900 * quarters) < 10
            hint = f", {quarters / 4:+g} h: a time zone?" if zone else ""
            yield f"{source} has no row inside the episode: its clock is {off:+.1f} s off{hint}"


@rule("clock_offset", "degraded")
def _clock_offset(facts: Facts) -> Iterator[str]:
    """Two sources saw the same activity at different times."""
    for pair in facts.shared.pairs:
        if pair.apart:
            when = f"{abs(pair.offset_s):.1f} s {'late' if pair.offset_s > 0 else 'early'}"
            yield (
                f"{pair.left} saw {when} what {pair.right} saw: correlation "
                f"{pair.shifted:.2f} then, {pair.unshifted:.2f} as stamped"
            )


@rule("label_onset", "degraded")
def _label_onset(facts: Facts) -> Iterator[str]:
    """The telemetry changes at other times than the labels say."""
    onset = facts.shared.onset
    if onset is not None and onset.apart:
        yield (
            f"the telemetry changes {onset.late_s:+.1f} s from where the labels do: they explain "
            f"{onset.shifted:.0%} of it there, {onset.unshifted:.0%} where they stand"
        )


@rule("time_order", "rejected")
def _time_order(facts: Facts) -> Iterator[str]:
    """A source's time runs back."""
    for source, gaps in facts.gaps.items():
        if not facts.ordered[source]:
            yield f"{source}.t_wall_ns runs back {np.count_nonzero(gaps < 0)} times"


@rule("clock_step", "degraded")
def _clock_step(facts: Facts) -> Iterator[str]:
    """A source's wall clock was set while it recorded: its own monotonic clock disagrees."""
    for source, samples in facts.present.items():
        if not len(samples) or not facts.ordered[source]:
            continue
        apart = samples.t_wall_ns - samples.t_mono_ns
        if (drift := float(apart.max() - apart.min()) / NS) > MAX_DRIFT_S:
            yield f"{source}'s wall clock moved {drift:.1f} s against its monotonic clock"


@rule("rows_none", "rejected")
def _rows_none(facts: Facts) -> Iterator[str]:
    """A source has under half of its rows."""
    for source, share in facts.coverage.items():
        if share < MIN_COVERAGE:
            yield f"{source} has {share:.0%} of its rows; under {MIN_COVERAGE:.0%} is too few"


@rule("rows_low", "degraded")
def _rows_low(facts: Facts) -> Iterator[str]:
    """A source lacks over a tenth of its rows."""
    for source, share in facts.coverage.items():
        if MIN_COVERAGE <= share < FULL_COVERAGE:
            yield f"{source} has {share:.0%} of its rows"


@rule("rows_high", "degraded")
def _rows_high(facts: Facts) -> Iterator[str]:
    """A source has more rows than its rate allows, or no rate."""
    for source, samples in facts.present.items():
        if facts.coverage.get(source, 0.0) > MAX_COVERAGE:
            share = facts.coverage[source]
            rows = f"{share:.0%}" if share < 100 else f"{share:.0e} times"
            yield f"{source} has {rows} of its rows: its rate is another"
        if not samples.rate_hz > 0:
            yield f"{source} says that its rate is {samples.rate_hz} Hz"


@rule("time_dup", "degraded")
def _time_dup(facts: Facts) -> Iterator[str]:
    """Rows of a source share one time."""
    for source, gaps in facts.gaps.items():
        if same := np.count_nonzero(gaps == 0):
            yield f"{source} has {same} rows at the time of the row before"


@rule("time_gap", "degraded")
def _time_gap(facts: Facts) -> Iterator[str]:
    """A source is silent for over half a window."""
    for source, gaps in facts.gaps.items():
        widest = float(gaps.max(initial=0)) / NS
        if widest > facts.schema.grid.window_s / 2:
            yield f"{source} is silent for {widest:.1f} s"


@rule("value_nonfinite", "degraded")
def _value_nonfinite(facts: Facts) -> Iterator[str]:
    """Values are no numbers."""
    for source, samples in facts.present.items():
        if facts.finite[source]:
            continue
        for column, name in enumerate(samples.names):
            if bad := np.count_nonzero(~np.isfinite(samples.values[:, column])):
                yield f"{name} has {bad} of {len(samples)} values that are no numbers ({source})"


@rule("value_negative", "degraded")
def _value_negative(facts: Facts) -> Iterator[str]:
    """A count is below zero."""
    for samples in facts.present.values():
        if not (samples.values < 0).any():
            continue
        for column, name in enumerate(samples.names):
            below = np.count_nonzero(samples.values[:, column] < 0)
            if below and facts.schema.kinds.get(name, "gauge") != "gauge":
                yield f"{name} is below zero {below} times"


@rule("counter_reset", "degraded")
def _counter_reset(facts: Facts) -> Iterator[str]:
    """A counter runs back: what passed meanwhile is not known."""
    for name, resets, wraps in facts.falls:
        if resets > wraps:
            yield f"counter {name} runs back {resets - wraps} times"


@rule("counter_wrap", "degraded")
def _counter_wrap(facts: Facts) -> Iterator[str]:
    """A counter ran over its 32 bits: what passed meanwhile is not used."""
    for name, _, wraps in facts.falls:
        if wraps:
            yield f"counter {name} starts again from zero after 2^32, {wraps} times"


@rule("source_stuck", "degraded")
def _source_stuck(facts: Facts) -> Iterator[str]:
    """A source that counts time gives one row again and again."""
    window_s = facts.schema.grid.window_s
    for source, samples in facts.present.items():
        t, counted = samples.t_wall_ns, facts.schema.channels_of(source)
        time = any(one.kind == "counter" and one.unit in TIME_UNITS for one in counted)
        if len(t) < 2 or t[-1] <= t[0] or not time:
            continue
        looks = samples.values[:: max(int(len(t) * window_s * NS / int(t[-1] - t[0])), 1)]
        if still := np.count_nonzero((looks[STUCK_WINDOWS:] == looks[:-STUCK_WINDOWS]).all(axis=1)):
            yield f"{source} gives the same row {STUCK_WINDOWS * window_s:g} s later, {still} times"


@rule("clock_fit", "rejected")
def _clock_fit(facts: Facts) -> Iterator[str]:
    """The guest's clock stepped: its times, and the labels, cannot be mapped."""
    misfit = facts.episode.notes.get("guest_clock_misfit_ms")
    if misfit is None:
        return
    if isinstance(misfit, bool) or not isinstance(misfit, int | float) or misfit < 0:
        yield f"guest_clock_misfit_ms is {misfit!r}, which is no number of milliseconds"
    elif misfit > MAX_MISFIT_MS:
        yield (
            f"the guest's clock stepped: its pings are up to {misfit:.0f} ms off the line that "
            "maps it, and the labels with them"
        )


@rule("contention", "degraded")
def _contention(facts: Facts) -> Iterator[str]:
    """The vCPUs lost time to others: CPU channels read low."""
    episode, proc = facts.episode, facts.present.get(WAIT_CHANNEL.partition(".")[0])
    if WAIT_CHANNEL not in facts.schema.names or proc is None or episode.seconds > LONGEST_S:
        return
    if WAIT_CHANNEL not in proc.names or len(proc) < 2:
        return
    waited = proc.values[:, proc.names.index(WAIT_CHANNEL)]
    waited = np.where(np.isfinite(waited), waited, np.nan)
    t = (proc.t_wall_ns - episode.start_ns) / NS
    window = facts.schema.grid.window_s
    ends = np.arange(window, episode.seconds, window / 2)
    lost = (np.interp(ends, t, waited) - np.interp(ends - window, t, waited)) / window / NS
    bad = lost > MAX_LOST_CORES
    if bad.any():
        yield (
            f"its vCPUs lost up to {lost[bad].max():.2f} of a core to others, over "
            f"{MAX_LOST_CORES} of one in {bad.sum()} of {len(ends)} stretches of {window:g} s: "
            "CPU channels are low there"
        )
