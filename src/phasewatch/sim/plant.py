"""Planted faults: one function for each thing the validator may object to.

A fault of the telemetry is done to the episode before it is packed, a fault of the bytes to the
packed files. Each is named by the code under which the validator must report it, so that its
verdicts can be scored.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from phasewatch.episode import Episode, Label, Samples
from phasewatch.schema import NS
from phasewatch.store.format import MANIFEST, SAMPLES, Manifest, encode_episode, file_entry
from phasewatch.validation.clocks import PAIRED_CHANNELS
from phasewatch.validation.rules import RULES, WAITING
from phasewatch.validation.verdict import Verdict

Chance = np.random.Generator
Files = dict[str, bytes]

SEVERITIES: dict[str, Verdict] = {rule.code: rule.severity for rule in RULES}
SEVERITIES |= {"file_unlisted": "degraded", "format_newer": "errored"}


@dataclass(frozen=True, slots=True)
class Truth:
    """What is wrong with an episode: the code and the verdict it must get; "" and accepted."""

    id: str
    code: str
    verdict: Verdict


OnEpisode = Callable[[Episode, Chance], Episode]
OnFiles = Callable[[Files, Chance], Files]
TELEMETRY: dict[str, OnEpisode] = {}
BYTES: dict[str, OnFiles] = {}


def telemetry(code: str) -> Callable[[OnEpisode], OnEpisode]:
    """Register a fault of an episode."""

    def register(spoil: OnEpisode) -> OnEpisode:
        TELEMETRY[code] = spoil
        return spoil

    return register


def damage(code: str) -> Callable[[OnFiles], OnFiles]:
    """Register a fault of an episode's files."""

    def register(spoil: OnFiles) -> OnFiles:
        BYTES[code] = spoil
        return spoil

    return register


def codes() -> list[str]:
    """Every fault there is, in one order."""
    return sorted({**TELEMETRY, **BYTES})


def plant(episode: Episode, code: str, chance: Chance) -> tuple[Files, Truth]:
    """The episode's files with a fault in them, or without when `code` is empty."""
    if not code:
        return encode_episode(episode), Truth(episode.id, "", "accepted")
    if code in TELEMETRY:
        spoilt = TELEMETRY[code](episode, chance)
        return encode_episode(spoilt), Truth(episode.id, code, SEVERITIES[code])
    verdict = SEVERITIES.get(code, "rejected")
    return BYTES[code](encode_episode(episode), chance), Truth(episode.id, code, verdict)


# ---------------------------------------------------------------- telemetry


def _pick(episode: Episode, chance: Chance) -> str:
    return sorted(episode.sources)[chance.integers(len(episode.sources))]


def _with(episode: Episode, source: str, samples: Samples) -> Episode:
    return replace(episode, sources={**episode.sources, source: samples})


def _kept(samples: Samples, rows: np.ndarray) -> Samples:
    return replace(
        samples,
        t_wall_ns=samples.t_wall_ns[rows],
        t_mono_ns=samples.t_mono_ns[rows],
        values=samples.values[rows],
    )


def _moved(episode: Episode, chance: Chance, off: Callable[[Samples], np.ndarray]) -> Episode:
    """One source's wall clock replaced."""
    source = _pick(episode, chance)
    samples = episode.sources[source]
    return _with(episode, source, replace(samples, t_wall_ns=off(samples)))


@telemetry("span")
def _span(episode: Episode, chance: Chance) -> Episode:
    return replace(episode, end_ns=episode.start_ns - int(chance.integers(0, 60)) * NS)


@telemetry("labels_order")
def _labels_order(episode: Episode, chance: Chance) -> Episode:
    again = Label(episode.labels[-1].t_wall_ns - int(chance.integers(0, NS)), "impact")
    return replace(episode, labels=(*episode.labels, again))


@telemetry("labels_class")
def _labels_class(episode: Episode, chance: Chance) -> Episode:
    wrong = ("Impact", "c2", "lateral_movement", "")[chance.integers(4)]
    last = replace(episode.labels[-1], phase=wrong)
    return replace(episode, labels=(*episode.labels[:-1], last))


@telemetry("labels_range")
def _labels_range(episode: Episode, chance: Chance) -> Episode:
    if chance.integers(2):
        return replace(episode, labels=())
    late = Label(episode.end_ns + int(chance.integers(1, 30)) * NS, "impact")
    return replace(episode, labels=(*episode.labels, late))


@telemetry("source_missing")
def _source_missing(episode: Episode, chance: Chance) -> Episode:
    gone = _pick(episode, chance)
    return replace(episode, sources={k: v for k, v in episode.sources.items() if k != gone})


@telemetry("sources_none")
def _sources_none(episode: Episode, chance: Chance) -> Episode:
    return replace(episode, sources={})


@telemetry("columns")
def _columns(episode: Episode, chance: Chance) -> Episode:
    source = _pick(episode, chance)
    samples = episode.sources[source]
    gone = int(chance.integers(len(samples.names)))
    names = samples.names[:gone] + samples.names[gone + 1 :]
    values = np.delete(samples.values, gone, axis=1)
    return _with(episode, source, replace(samples, names=names, values=values))


@telemetry("clock_base")
def _clock_base(episode: Episode, chance: Chance) -> Episode:
    return _moved(episode, chance, lambda samples: samples.t_mono_ns)


@telemetry("clock_overlap")
def _clock_overlap(episode: Episode, chance: Chance) -> Episode:
    hours = int(chance.integers(1, 13)) * (1 if chance.integers(2) else -1)
    return _moved(episode, chance, lambda samples: samples.t_wall_ns + hours * 3600 * NS)


@telemetry("clock_offset")
def _clock_offset(episode: Episode, chance: Chance) -> Episode:
    """The guest's clock runs behind or ahead of bursts that the network saw too."""
    # Some seconds each, as sources sample at moments of their own and blur the edges; at gaps of
    # which no two are the same, as what repeats itself agrees with itself elsewhere.
    gaps = np.tile((7, 13, 9, 17, 11, 19), 1 + round(episode.seconds) // 76)
    starts = np.cumsum(gaps) - 7 + int(chance.integers(0, 7))
    busy = np.isin(np.arange(round(episode.seconds) + 12), np.add.outer(starts, np.arange(4)))
    both = _active(episode, episode.start_ns + NS * np.arange(len(busy)), busy)
    guest = both.sources["guest"]
    off = round(chance.uniform(2.0, 3.5) * NS) * (1 if chance.integers(2) else -1)
    return _with(both, "guest", replace(guest, t_wall_ns=guest.t_wall_ns + off))


@telemetry("label_onset")
def _label_onset(episode: Episode, chance: Chance) -> Episode:
    """The machine gets busy long before or after the label says so."""
    middle = episode.start_ns + (episode.end_ns - episode.start_ns) // 2
    labels = (Label(episode.start_ns, "benign"), Label(middle, "impact"))
    late = round(chance.uniform(7, 10) * NS) * (1 if chance.integers(2) else -1)
    t = np.array([episode.start_ns, middle + late])
    return replace(_active(episode, t, np.array([False, True])), labels=labels)


def _active(episode: Episode, t_ns: np.ndarray, busy: np.ndarray) -> Episode:
    """Every channel that two sources count, at work from each busy `t_ns` on until the next."""
    for name in dict.fromkeys(name for pair in PAIRED_CHANNELS for name in pair):
        source = name.partition(".")[0]
        samples = episode.sources[source]
        values, column = samples.values.copy(), samples.names.index(name)
        at = np.maximum(np.searchsorted(t_ns, samples.t_wall_ns, side="right") - 1, 0)
        work = np.where(busy[at], 4000.0, 4.0)
        values[:, column] = work if source == "netflow" else np.cumsum(work)
        episode = _with(episode, source, replace(samples, values=values))
    return episode


@telemetry("clock_step")
def _clock_step(episode: Episode, chance: Chance) -> Episode:
    def stepped(samples: Samples) -> np.ndarray:
        t = samples.t_wall_ns.copy()
        t[int(chance.integers(20, len(t) - 20)) :] += round(chance.uniform(1.5, 4.0) * NS)
        return t

    return _moved(episode, chance, stepped)


@telemetry("rows_high")
def _rows_high(episode: Episode, chance: Chance) -> Episode:
    source = _pick(episode, chance)
    samples = episode.sources[source]
    wrong = samples.rate_hz / chance.uniform(1.5, 4.0)
    return _with(episode, source, replace(samples, rate_hz=wrong))


@telemetry("value_negative")
def _value_negative(episode: Episode, chance: Chance) -> Episode:
    samples = episode.sources["netflow"]
    values = samples.values.copy()
    values[chance.integers(len(values)), 0] = -float(chance.integers(1, 1000))
    return _with(episode, "netflow", replace(samples, values=values))


@telemetry("counter_wrap")
def _counter_wrap(episode: Episode, chance: Chance) -> Episode:
    samples = episode.sources["proc"]
    values = samples.values.copy()
    column = samples.names.index("proc.minflt")
    row = int(chance.integers(len(values) // 2, len(values) - 20))
    # A page fault a row, so that there is something to run over.
    counted = values[:, column] + np.arange(len(values))
    values[:, column] = (counted - counted[row]) % 2**32
    return _with(episode, "proc", replace(samples, values=values))


@telemetry("time_order")
def _time_order(episode: Episode, chance: Chance) -> Episode:
    def swapped(samples: Samples) -> np.ndarray:
        t = samples.t_wall_ns.copy()
        first = int(chance.integers(len(t) - 3))
        t[[first, first + 3]] = t[[first + 3, first]]
        return t

    return _moved(episode, chance, swapped)


@telemetry("time_dup")
def _time_dup(episode: Episode, chance: Chance) -> Episode:
    def doubled(samples: Samples) -> np.ndarray:
        t = samples.t_wall_ns.copy()
        rows = chance.choice(np.arange(8, len(t) - 8, 4), size=3, replace=False)
        t[rows] = t[rows - 1]
        return t

    return _moved(episode, chance, doubled)


@telemetry("rows_none")
def _rows_none(episode: Episode, chance: Chance) -> Episode:
    return _thinned(episode, chance, 0.1, 0.4)


@telemetry("rows_low")
def _rows_low(episode: Episode, chance: Chance) -> Episode:
    return _thinned(episode, chance, 0.55, 0.82)


def _thinned(episode: Episode, chance: Chance, low: float, high: float) -> Episode:
    """A source that ends early, as when a collector dies."""
    source = _pick(episode, chance)
    samples = episode.sources[source]
    kept = np.arange(round(len(samples) * chance.uniform(low, high)))
    return _with(episode, source, _kept(samples, kept))


@telemetry("time_gap")
def _time_gap(episode: Episode, chance: Chance) -> Episode:
    source = _pick(episode, chance)
    samples = episode.sources[source]
    first = int(chance.integers(20, len(samples) // 2))
    gone = np.arange(first, first + int(chance.integers(14, 40)))
    return _with(episode, source, _kept(samples, np.setdiff1d(np.arange(len(samples)), gone)))


@telemetry("value_nonfinite")
def _value_nonfinite(episode: Episode, chance: Chance) -> Episode:
    source = _pick(episode, chance)
    samples = episode.sources[source]
    values = samples.values.copy()
    rows = chance.choice(len(values), size=int(chance.integers(1, 12)), replace=False)
    values[rows, chance.integers(values.shape[1])] = (np.nan, np.inf)[chance.integers(2)]
    return _with(episode, source, replace(samples, values=values))


@telemetry("counter_reset")
def _counter_reset(episode: Episode, chance: Chance) -> Episode:
    samples = episode.sources["proc"]
    values = samples.values.copy()
    row = int(chance.integers(20, len(values) - 20))
    # Past 2^32, for from just below it a fall is that of a counter of 32 bits which runs over.
    values[:, 0] += 2**33
    values[row:, 0] -= values[row, 0]
    return _with(episode, "proc", replace(samples, values=values))


@telemetry("source_stuck")
def _source_stuck(episode: Episode, chance: Chance) -> Episode:
    """A collector that hands out its last row for ever."""
    source = ("proc", "guest")[chance.integers(2)]
    samples = episode.sources[source]
    values = samples.values.copy()
    row = int(chance.integers(4, len(values) // 6))
    values[row:] = values[row]
    return _with(episode, source, replace(samples, values=values))


@telemetry("clock_fit")
def _clock_fit(episode: Episode, chance: Chance) -> Episode:
    misfit = round(float(chance.uniform(500, 9000)), 1)
    return replace(episode, notes={**episode.notes, "guest_clock_misfit_ms": misfit})


@telemetry("contention")
def _contention(episode: Episode, chance: Chance) -> Episode:
    samples = episode.sources["proc"]
    values = samples.values.copy()
    t = (samples.t_wall_ns - samples.t_wall_ns[0]) / NS
    begin, lasts = chance.uniform(5, 20), chance.uniform(12, 30)
    lost = np.clip(t - begin, 0, lasts) * chance.uniform(0.4, 0.9) * NS
    values[:, samples.names.index(WAITING)] += lost
    return _with(episode, "proc", replace(samples, values=values))


# ---------------------------------------------------------------- bytes


def _resealed(packed: Files, **changes: object) -> Files:
    """The files with another manifest, sealed again: a recorder's mistake, not a broken disk."""
    manifest = Manifest.model_validate_json(packed[MANIFEST]).model_copy(update=changes)
    return {**packed, MANIFEST: manifest.sealed()}


@damage("file_missing")
def _file_missing(files: Files, chance: Chance) -> Files:
    gone = (MANIFEST, SAMPLES)[chance.integers(2)]
    return {name: data for name, data in files.items() if name != gone}


@damage("manifest_schema")
def _manifest_schema(files: Files, chance: Chance) -> Files:
    value = json.loads(files[MANIFEST])
    field = sorted(value)[chance.integers(len(value))]
    if chance.integers(2):
        del value[field]
    else:
        value[field] = None
    return {**files, MANIFEST: json.dumps(value).encode()}


@damage("manifest_digest")
def _manifest_digest(files: Files, chance: Chance) -> Files:
    value = json.loads(files[MANIFEST])
    value["host"] = "somebody-else"
    return {**files, MANIFEST: json.dumps(value).encode()}


@damage("id_invalid")
def _id_invalid(files: Files, chance: Chance) -> Files:
    return _resealed(files, id=f"other-{chance.integers(10**6)}")


@damage("sha_mismatch")
def _sha_mismatch(files: Files, chance: Chance) -> Files:
    data = bytearray(files[SAMPLES])
    if chance.integers(2):
        del data[int(chance.integers(1, len(data))) :]
    else:
        data[int(chance.integers(len(data)))] ^= 1 << int(chance.integers(8))
    return {**files, SAMPLES: bytes(data)}


@damage("samples_format")
def _samples_format(files: Files, chance: Chance) -> Files:
    data = files[SAMPLES][: len(files[SAMPLES]) // 2]
    return _resealed({**files, SAMPLES: data}, files={SAMPLES: file_entry(data)})


@damage("file_unlisted")
def _file_unlisted(files: Files, chance: Chance) -> Files:
    return {**files, ("notes.txt", "samples.parquet.bak")[chance.integers(2)]: b"left behind"}


@damage("unsafe_path")
def _unsafe_path(files: Files, chance: Chance) -> Files:
    outside = ("../store.json", "/etc/hostname", "a/../../b")[chance.integers(3)]
    listed = {SAMPLES: file_entry(files[SAMPLES]), outside: file_entry(b"")}
    return _resealed(files, files=listed)


@damage("format_newer")
def _format_newer(files: Files, chance: Chance) -> Files:
    return _resealed(files, format=int(chance.integers(2, 9)))
