"""Explains one verdict: its reasons, and how much of the episode each source covers."""

import html
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from phasewatch.episode import Episode, Samples
from phasewatch.errors import Refused
from phasewatch.schema import NS
from phasewatch.store.format import SAMPLES
from phasewatch.store.local import Store, refuse_unknown
from phasewatch.validation.rules import Facts, sentences
from phasewatch.validation.sweep import EpisodeSource, validate_episode, with_store_findings
from phasewatch.validation.verdict import ValidationResult

CELLS = 60
"""The number of equal stretches in which a source's coverage is shown."""

BLOCKS = " ▁▂▃▄▅▆▇█"
INK = {"accepted": "#2a7f62", "degraded": "#b7791f", "rejected": "#b03a2e", "errored": "#6c3483"}


@dataclass(frozen=True)
class Track:
    """A source in time: its rows, and the share covered of the episode and of each stretch."""

    source: str
    rows: int
    rate_hz: float
    share: float
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Explanation:
    """A result and its evidence; without tracks where the bytes could not be read.

    `labels` are (seconds from the start, phase).
    """

    result: ValidationResult
    tracks: tuple[Track, ...]
    labels: tuple[tuple[float, str], ...]
    seconds: float


def explain(episodes: EpisodeSource, id: str) -> Explanation:
    """Return the explanation of one episode. Raises Refused when the store has none of that id."""
    ids = episodes.ids()
    refuse_unknown(id, ids, "--explain")
    result = _result_among(episodes, ids, id)
    try:
        with episodes.local_copy(id) as store:
            facts = Facts(store.read(id), episodes.schema)
    except (Refused, OSError):
        return Explanation(result, (), (), 0.0)
    episode = facts.episode
    labels = tuple(
        ((label.t_wall_ns - episode.start_ns) / NS, label.phase) for label in episode.labels
    )
    return Explanation(result, tuple(_tracks(facts)), labels, episode.seconds)


def _result_among(episodes: EpisodeSource, ids: Sequence[str], id: str) -> ValidationResult:
    """Return the result of one episode, compared with others of the same name or samples.

    In a remote store samples are not compared: that would fetch them all.
    """
    result = validate_episode(episodes, id)
    alike = [
        other
        for other in ids
        if other.casefold() == id.casefold()
        or (result.usable and result.content == _content(episodes, other))
    ]
    validated = [result if other == id else validate_episode(episodes, other) for other in alike]
    return with_store_findings(validated)[alike.index(id)]


def _content(episodes: EpisodeSource, id: str) -> str:
    """Return the digest of the samples from the manifest; "" where it is not available."""
    if not isinstance(episodes, Store):
        return ""
    try:
        return episodes.manifest(id).files[SAMPLES].sha256
    except (Refused, OSError, KeyError):
        return ""


def _tracks(facts: Facts) -> Iterator[Track]:
    """Yield a track for each source of the schema."""
    for source in facts.schema.sources:
        samples = facts.present.get(source)
        if samples is None:
            yield Track(source, 0, 0.0, 0.0, (0.0,) * CELLS)
            continue
        share = facts.coverage.get(source, 0.0)
        yield Track(source, len(samples), samples.rate_hz, share, _shares(facts.episode, samples))


def _shares(episode: Episode, samples: Samples) -> tuple[float, ...]:
    """Return the share of each stretch that is within two periods after a row."""
    if episode.seconds <= 0 or not samples.rate_hz > 0 or not len(samples):
        return (0.0,) * CELLS
    fine = np.linspace(episode.start_ns, episode.end_ns, CELLS * 8, endpoint=False)
    t = np.sort(samples.t_wall_ns)
    before = np.searchsorted(t, fine, side="right") - 1
    age = np.where(before >= 0, fine - t[np.maximum(before, 0)], np.inf)
    covered = age <= 2 * NS / samples.rate_hz
    return tuple(covered.reshape(CELLS, 8).mean(axis=1).tolist())


def text(explanation: Explanation) -> list[str]:
    """Return the explanation as lines for a terminal of 80 columns."""
    result = explanation.result
    lines = [f"{result.id}: {result.verdict}", *_identity(result, explanation.seconds)]
    explained = sentences()
    for finding in result.findings:
        lines += [f"  [{finding.code}] {explained.get(finding.code, 'refused')}: {finding.reason}"]
    if explanation.tracks:
        lines.append(
            f"  source    rows  of due  0 s{f'{explanation.seconds:.0f} s':>{CELLS // 2 - 3}}"
        )
    for track in explanation.tracks:
        bar = "".join(BLOCKS[round(share * 8)] for share in _halved(track.shares))
        lines.append(f"  {track.source:<8}{track.rows:>6} {track.share:>6.0%}   {bar}")
    if explanation.labels:
        lines.append(
            "  labels: " + " · ".join(f"{at:.1f} s {phase}" for at, phase in explanation.labels)
        )
    if result.offsets:
        offsets = " · ".join(f"{pair} {offset:+.2f} s" for pair, offset in result.offsets)
        lines.append(f"  clock offsets: {offsets}")
    lines.append(f"  digest of what was validated: {result.digest or 'none: it could not be read'}")
    return lines


def page(explanation: Explanation) -> str:
    """Return the explanation as one self-contained HTML page."""
    result = explanation.result
    explained = sentences()
    reasons = "".join(
        f"<li><b>{html.escape(explained.get(one.code, one.code))}</b> "
        f"<code>{html.escape(one.code)}</code><br>{html.escape(one.reason)}</li>"
        for one in result.findings
    )
    lines = _identity(result, explanation.seconds)
    identity = "".join(f"<p>{html.escape(line.strip())}</p>" for line in lines)
    offsets = " · ".join(f"{html.escape(pair)} {off:+.2f} s" for pair, off in result.offsets)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(result.id)}: {result.verdict}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1c2733}}h1{{font-size:1.3rem;overflow-wrap:anywhere}}h1 b{{color:{INK[result.verdict]}}}
p{{margin:.3rem 0}}svg{{width:100%;height:auto}}text{{font:12px system-ui,sans-serif}}
code{{background:#eef1f4;padding:0 .3em}}</style>
<h1>{html.escape(result.id)}: <b>{result.verdict}</b></h1>
{identity}
<ul>{reasons or "<li>No rule objected.</li>"}</ul>
{_plot(explanation)}
<p>Clock offsets: {offsets or "none could be measured"}</p>
<p>Digest of what was validated: <code>{result.digest or "none"}</code></p>
</html>
"""


def _plot(explanation: Explanation) -> str:
    """Return as SVG the coverage of each source and the labels, over the seconds of the episode."""
    if not explanation.tracks or explanation.seconds <= 0:
        return ""
    left, width, tall = 100, 840, 26
    cell = width / CELLS
    parts = []
    for row, track in enumerate(explanation.tracks):
        y = row * tall
        name = f"{html.escape(track.source)} {track.share:.0%}"
        parts.append(f'<text x="{left - 6}" y="{y + 16}" text-anchor="end">{name}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{width}" height="20" fill="#f3d9d6"/>')
        parts += [
            f'<rect x="{left + at * cell:.1f}" y="{y + 20 * (1 - share):.1f}" '
            f'width="{cell + 0.3:.1f}" height="{20 * share:.1f}" fill="#2f6690"/>'
            for at, share in enumerate(track.shares)
            if share
        ]
    bottom = len(explanation.tracks) * tall
    spans = [*explanation.labels, (explanation.seconds, "")]
    for number, ((at, phase), (after, _)) in enumerate(itertools.pairwise(spans)):
        x, wide = (
            left + width * at / explanation.seconds,
            width * (after - at) / explanation.seconds,
        )
        parts.append(
            f'<rect x="{x:.1f}" y="{bottom}" width="{max(wide - 1, 0):.1f}" height="20" '
            f'fill="#e3e8ee"><title>{html.escape(phase)} from {at:.1f} s</title></rect>'
        )
        if wide > 7 * len(phase):
            parts.append(f'<text x="{x + 4:.1f}" y="{bottom + 15}">{html.escape(phase)}</text>')
        elif wide > 0:
            y = bottom + 36 + 14 * (number % 2)
            parts.append(f'<text x="{x:.1f}" y="{y}">{html.escape(phase)}</text>')
    parts.append(f'<text x="{left - 6}" y="{bottom + 15}" text-anchor="end">labels</text>')
    for at in np.linspace(0, explanation.seconds, 7):
        x = left + width * at / explanation.seconds
        parts.append(f'<text x="{x:.1f}" y="{bottom + 70}" text-anchor="middle">{at:.0f} s</text>')
    return (
        f'<svg viewBox="0 0 {left + width + 20} {bottom + 76}" role="img" '
        f'aria-label="Coverage of the episode by each source">{"".join(parts)}</svg>'
        "<p>Dark: the source was recorded; light: it was silent. The share is that of the rows "
        "which its rate promises.</p>"
    )


def _halved(shares: Sequence[float]) -> list[float]:
    """Return the lower share of every two stretches, so that a gap stays visible."""
    return [min(pair) for pair in zip(shares[::2], shares[1::2], strict=True)]


def _identity(result: ValidationResult, seconds: float) -> list[str]:
    """Return the line that says which machine ran what, when; none where it is not known."""
    if not result.host:
        return []
    start_ns, known = result.start_ns, 0 < result.start_ns < 2**62
    begun = datetime.fromtimestamp(start_ns / NS, UTC) if known else None
    when = f"{begun:%Y-%m-%d %H:%M:%S} UTC" if begun else f"start_ns {start_ns}"
    machine = f"{result.profile} on {result.host}"
    return [f"  {machine}, {when}, {seconds:.1f} s; campaign {result.campaign}"]
