"""Planted faults, one function for each code that the validator reports.

A fault of the telemetry changes the episode before it is packed, a fault of the files changes the
packed bytes. Each is registered under the code that the validator must report for it, so that
validation can be scored.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from phasewatch.episode import Episode, Label, Samples
from phasewatch.schema import NS
from phasewatch.store.format import MANIFEST, SAMPLES, Manifest, encode_episode, file_entry
from phasewatch.validation.clocks import PAIRED_CHANNELS
from phasewatch.validation.rules import RULES, WAIT_CHANNEL
from phasewatch.validation.verdict import Verdict

Generator = np.random.Generator
Files = dict[str, bytes]

SEVERITIES: dict[str, Verdict] = {rule.code: rule.severity for rule in RULES}
SEVERITIES |= {"file_unlisted": "degraded", "format_newer": "errored"}


@dataclass(frozen=True, slots=True)
class Truth:
    """What is planted in an episode: the code and the verdict it must get; "" without a fault."""

    id: str
    code: str
    verdict: Verdict


OnEpisode = Callable[[Episode, Generator], Episode]
OnFiles = Callable[[Files, Generator], Files]
EPISODE_FAULTS: dict[str, OnEpisode] = {}
FILE_FAULTS: dict[str, OnFiles] = {}


def episode_fault(code: str) -> Callable[[OnEpisode], OnEpisode]:
    """Register a fault of the telemetry under its code."""

    def register(fault: OnEpisode) -> OnEpisode:
        EPISODE_FAULTS[code] = fault
        return fault

    return register


def file_fault(code: str) -> Callable[[OnFiles], OnFiles]:
    """Register a fault of the packed files under its code."""

    def register(fault: OnFiles) -> OnFiles:
        FILE_FAULTS[code] = fault
        return fault

    return register


def codes() -> list[str]:
    """Return the codes of all faults, sorted."""
    return sorted({**EPISODE_FAULTS, **FILE_FAULTS})


def plant(episode: Episode, code: str, generator: Generator) -> tuple[Files, Truth]:
    """Return the packed files of an episode with the fault `code`, and the truth about it.

    With an empty code the episode has no fault.
    """
    if not code:
        return encode_episode(episode), Truth(episode.id, "", "accepted")
    if code in EPISODE_FAULTS:
        faulty = EPISODE_FAULTS[code](episode, generator)
        return encode_episode(faulty), Truth(episode.id, code, SEVERITIES[code])
    verdict = SEVERITIES.get(code, "rejected")
    return FILE_FAULTS[code](encode_episode(episode), generator), Truth(episode.id, code, verdict)


# ---------------------------------------------------------------- telemetry


def _random_source(episode: Episode, generator: Generator) -> str:
    return sorted(episode.sources)[generator.integers(len(episode.sources))]


def _with_source(episode: Episode, source: str, samples: Samples) -> Episode:
    return replace(episode, sources={**episode.sources, source: samples})


def _with_rows(samples: Samples, rows: np.ndarray) -> Samples:
    return replace(
        samples,
        t_wall_ns=samples.t_wall_ns[rows],
        t_mono_ns=samples.t_mono_ns[rows],
        values=samples.values[rows],
    )


def _with_clock(
    episode: Episode, generator: Generator, clock: Callable[[Samples], np.ndarray]
) -> Episode:
    """Return the episode with the wall clock of one source replaced by what `clock` returns."""
    source = _random_source(episode, generator)
    samples = episode.sources[source]
    return _with_source(episode, source, replace(samples, t_wall_ns=clock(samples)))


@episode_fault("span")
def _span(episode: Episode, generator: Generator) -> Episode:
    return replace(episode, end_ns=episode.start_ns - int(generator.integers(0, 60)) * NS)


@episode_fault("labels_order")
def _labels_order(episode: Episode, generator: Generator) -> Episode:
    again = Label(episode.labels[-1].t_wall_ns - int(generator.integers(0, NS)), "impact")
    return replace(episode, labels=(*episode.labels, again))


@episode_fault("labels_class")
def _labels_class(episode: Episode, generator: Generator) -> Episode:
    wrong = ("Impact", "c2", "lateral_movement", "")[generator.integers(4)]
    last = replace(episode.labels[-1], phase=wrong)
    return replace(episode, labels=(*episode.labels[:-1], last))


@episode_fault("labels_range")
def _labels_range(episode: Episode, generator: Generator) -> Episode:
    if generator.integers(2):
        return replace(episode, labels=())
    late = Label(episode.end_ns + int(generator.integers(1, 30)) * NS, "impact")
    return replace(episode, labels=(*episode.labels, late))


@episode_fault("source_missing")
def _source_missing(episode: Episode, generator: Generator) -> Episode:
    gone = _random_source(episode, generator)
    return replace(episode, sources={k: v for k, v in episode.sources.items() if k != gone})


@episode_fault("sources_none")
def _sources_none(episode: Episode, generator: Generator) -> Episode:
    return replace(episode, sources={})


@episode_fault("columns")
def _columns(episode: Episode, generator: Generator) -> Episode:
    source = _random_source(episode, generator)
    samples = episode.sources[source]
    gone = int(generator.integers(len(samples.names)))
    names = samples.names[:gone] + samples.names[gone + 1 :]
    values = np.delete(samples.values, gone, axis=1)
    return _with_source(episode, source, replace(samples, names=names, values=values))


@episode_fault("clock_base")
def _clock_base(episode: Episode, generator: Generator) -> Episode:
    return _with_clock(episode, generator, lambda samples: samples.t_mono_ns)


@episode_fault("clock_overlap")
def _clock_overlap(episode: Episode, generator: Generator) -> Episode:
    hours = int(generator.integers(1, 13)) * (1 if generator.integers(2) else -1)
    return _with_clock(episode, generator, lambda samples: samples.t_wall_ns + hours * 3600 * NS)


@episode_fault("clock_offset")
def _clock_offset(episode: Episode, generator: Generator) -> Episode:
    """Shift the clock of the guest against bursts of activity that the network records, too."""
    # Bursts last some seconds, because sources sample at different times, which blurs the edges.
    # The gaps between them differ, because a periodic signal agrees with itself at other offsets.
    gaps = np.tile((7, 13, 9, 17, 11, 19), 1 + round(episode.seconds) // 76)
    starts = np.cumsum(gaps) - 7 + int(generator.integers(0, 7))
    busy = np.isin(np.arange(round(episode.seconds) + 12), np.add.outer(starts, np.arange(4)))
    both = _with_activity(episode, episode.start_ns + NS * np.arange(len(busy)), busy)
    guest = both.sources["guest"]
    off = round(generator.uniform(2.0, 3.5) * NS) * (1 if generator.integers(2) else -1)
    return _with_source(both, "guest", replace(guest, t_wall_ns=guest.t_wall_ns + off))


@episode_fault("label_onset")
def _label_onset(episode: Episode, generator: Generator) -> Episode:
    """Start the activity of the machine long before or after the label."""
    middle = episode.start_ns + (episode.end_ns - episode.start_ns) // 2
    labels = (Label(episode.start_ns, "benign"), Label(middle, "impact"))
    late = round(generator.uniform(7, 10) * NS) * (1 if generator.integers(2) else -1)
    t = np.array([episode.start_ns, middle + late])
    return replace(_with_activity(episode, t, np.array([False, True])), labels=labels)


def _with_activity(episode: Episode, t_ns: np.ndarray, busy: np.ndarray) -> Episode:
    """Return the episode with activity in every channel that two sources count.

    It lasts from each `t_ns` that is `busy` to the next time.
    """
    for name in dict.fromkeys(name for pair in PAIRED_CHANNELS for name in pair):
        source = name.partition(".")[0]
        samples = episode.sources[source]
        values, column = samples.values.copy(), samples.names.index(name)
        at = np.maximum(np.searchsorted(t_ns, samples.t_wall_ns, side="right") - 1, 0)
        work = np.where(busy[at], 4000.0, 4.0)
        values[:, column] = work if source == "netflow" else np.cumsum(work)
        episode = _with_source(episode, source, replace(samples, values=values))
    return episode


@episode_fault("clock_step")
def _clock_step(episode: Episode, generator: Generator) -> Episode:
    def stepped(samples: Samples) -> np.ndarray:
        t = samples.t_wall_ns.copy()
        t[int(generator.integers(20, len(t) - 20)) :] += round(generator.uniform(1.5, 4.0) * NS)
        return t

    return _with_clock(episode, generator, stepped)


@episode_fault("rows_high")
def _rows_high(episode: Episode, generator: Generator) -> Episode:
    source = _random_source(episode, generator)
    samples = episode.sources[source]
    wrong = samples.rate_hz / generator.uniform(1.5, 4.0)
    return _with_source(episode, source, replace(samples, rate_hz=wrong))


@episode_fault("value_negative")
def _value_negative(episode: Episode, generator: Generator) -> Episode:
    samples = episode.sources["netflow"]
    values = samples.values.copy()
    values[generator.integers(len(values)), 0] = -float(generator.integers(1, 1000))
    return _with_source(episode, "netflow", replace(samples, values=values))


@episode_fault("counter_wrap")
def _counter_wrap(episode: Episode, generator: Generator) -> Episode:
    samples = episode.sources["proc"]
    values = samples.values.copy()
    column = samples.names.index("proc.minflt")
    row = int(generator.integers(len(values) // 2, len(values) - 20))
    # One page fault in each row, so that the counter has something to wrap.
    counted = values[:, column] + np.arange(len(values))
    values[:, column] = (counted - counted[row]) % 2**32
    return _with_source(episode, "proc", replace(samples, values=values))


@episode_fault("time_order")
def _time_order(episode: Episode, generator: Generator) -> Episode:
    def swapped(samples: Samples) -> np.ndarray:
        t = samples.t_wall_ns.copy()
        first = int(generator.integers(len(t) - 3))
        t[[first, first + 3]] = t[[first + 3, first]]
        return t

    return _with_clock(episode, generator, swapped)


@episode_fault("time_dup")
def _time_dup(episode: Episode, generator: Generator) -> Episode:
    def doubled(samples: Samples) -> np.ndarray:
        t = samples.t_wall_ns.copy()
        rows = generator.choice(np.arange(8, len(t) - 8, 4), size=3, replace=False)
        t[rows] = t[rows - 1]
        return t

    return _with_clock(episode, generator, doubled)


@episode_fault("rows_none")
def _rows_none(episode: Episode, generator: Generator) -> Episode:
    return _cut_short(episode, generator, 0.1, 0.4)


@episode_fault("rows_low")
def _rows_low(episode: Episode, generator: Generator) -> Episode:
    return _cut_short(episode, generator, 0.55, 0.82)


def _cut_short(episode: Episode, generator: Generator, low: float, high: float) -> Episode:
    """End a source early, as when its collector stops."""
    source = _random_source(episode, generator)
    samples = episode.sources[source]
    rows = np.arange(round(len(samples) * generator.uniform(low, high)))
    return _with_source(episode, source, _with_rows(samples, rows))


@episode_fault("time_gap")
def _time_gap(episode: Episode, generator: Generator) -> Episode:
    source = _random_source(episode, generator)
    samples = episode.sources[source]
    first = int(generator.integers(20, len(samples) // 2))
    gone = np.arange(first, first + int(generator.integers(14, 40)))
    return _with_source(
        episode, source, _with_rows(samples, np.setdiff1d(np.arange(len(samples)), gone))
    )


@episode_fault("value_nonfinite")
def _value_nonfinite(episode: Episode, generator: Generator) -> Episode:
    source = _random_source(episode, generator)
    samples = episode.sources[source]
    values = samples.values.copy()
    rows = generator.choice(len(values), size=int(generator.integers(1, 12)), replace=False)
    values[rows, generator.integers(values.shape[1])] = (np.nan, np.inf)[generator.integers(2)]
    return _with_source(episode, source, replace(samples, values=values))


@episode_fault("counter_reset")
def _counter_reset(episode: Episode, generator: Generator) -> Episode:
    samples = episode.sources["proc"]
    values = samples.values.copy()
    row = int(generator.integers(20, len(values) - 20))
    # Above 2^32, because a fall from just below it is a counter of 32 bits that wraps.
    values[:, 0] += 2**33
    values[row:, 0] -= values[row, 0]
    return _with_source(episode, "proc", replace(samples, values=values))


@episode_fault("source_stuck")
def _source_stuck(episode: Episode, generator: Generator) -> Episode:
    """Repeat one row of a source to its end, as when its collector hangs."""
    source = ("proc", "guest")[generator.integers(2)]
    samples = episode.sources[source]
    values = samples.values.copy()
    row = int(generator.integers(4, len(values) // 6))
    values[row:] = values[row]
    return _with_source(episode, source, replace(samples, values=values))


@episode_fault("clock_fit")
def _clock_fit(episode: Episode, generator: Generator) -> Episode:
    misfit = round(float(generator.uniform(500, 9000)), 1)
    return replace(episode, notes={**episode.notes, "guest_clock_misfit_ms": misfit})


@episode_fault("contention")
def _contention(episode: Episode, generator: Generator) -> Episode:
    samples = episode.sources["proc"]
    values = samples.values.copy()
    t = (samples.t_wall_ns - samples.t_wall_ns[0]) / NS
    begin, lasts = generator.uniform(5, 20), generator.uniform(12, 30)
    lost = np.clip(t - begin, 0, lasts) * generator.uniform(0.4, 0.9) * NS
    values[:, samples.names.index(WAIT_CHANNEL)] += lost
    return _with_source(episode, "proc", replace(samples, values=values))


# ---------------------------------------------------------------- bytes


def _with_manifest(packed: Files, **changes: object) -> Files:
    """Return the files with a changed manifest that is sealed again.

    That is a mistake of a recorder, not of a disk.
    """
    manifest = Manifest.model_validate_json(packed[MANIFEST]).model_copy(update=changes)
    return {**packed, MANIFEST: manifest.sealed()}


@file_fault("file_missing")
def _file_missing(files: Files, generator: Generator) -> Files:
    gone = (MANIFEST, SAMPLES)[generator.integers(2)]
    return {name: data for name, data in files.items() if name != gone}


@file_fault("manifest_schema")
def _manifest_schema(files: Files, generator: Generator) -> Files:
    value = json.loads(files[MANIFEST])
    field = sorted(value)[generator.integers(len(value))]
    if generator.integers(2):
        del value[field]
    else:
        value[field] = None
    return {**files, MANIFEST: json.dumps(value).encode()}


@file_fault("manifest_digest")
def _manifest_digest(files: Files, generator: Generator) -> Files:
    value = json.loads(files[MANIFEST])
    value["host"] = "somebody-else"
    return {**files, MANIFEST: json.dumps(value).encode()}


@file_fault("id_invalid")
def _id_invalid(files: Files, generator: Generator) -> Files:
    return _with_manifest(files, id=f"other-{generator.integers(10**6)}")


@file_fault("sha_mismatch")
def _sha_mismatch(files: Files, generator: Generator) -> Files:
    data = bytearray(files[SAMPLES])
    if generator.integers(2):
        del data[int(generator.integers(1, len(data))) :]
    else:
        data[int(generator.integers(len(data)))] ^= 1 << int(generator.integers(8))
    return {**files, SAMPLES: bytes(data)}


@file_fault("samples_format")
def _samples_format(files: Files, generator: Generator) -> Files:
    data = files[SAMPLES][: len(files[SAMPLES]) // 2]
    return _with_manifest({**files, SAMPLES: data}, files={SAMPLES: file_entry(data)})


@file_fault("file_unlisted")
def _file_unlisted(files: Files, generator: Generator) -> Files:
    return {**files, ("notes.txt", "samples.parquet.bak")[generator.integers(2)]: b"left behind"}


@file_fault("unsafe_path")
def _unsafe_path(files: Files, generator: Generator) -> Files:
    outside = ("../store.json", "/etc/hostname", "a/../../b")[generator.integers(3)]
    listed = {SAMPLES: file_entry(files[SAMPLES]), outside: file_entry(b"")}
    return _with_manifest(files, files=listed)


@file_fault("format_newer")
def _format_newer(files: Files, generator: Generator) -> Files:
    return _with_manifest(files, format=int(generator.integers(2, 9)))
