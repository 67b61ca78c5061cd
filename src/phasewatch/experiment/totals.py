"""Totals of a store: episodes, samples, hosts and host-hours, by campaign and by verdict.

Hours are those of the labels in the manifests, so no samples are read, and one episode at a time is
in memory: a store may hold any number of them.
"""

import contextlib
import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields

from phasewatch.episode import ambiguous_spans
from phasewatch.errors import Refused
from phasewatch.schema import NS
from phasewatch.store.format import Manifest
from phasewatch.store.local import Store
from phasewatch.validation.verdict import ValidationResult

HOUR_NS = 3600 * NS
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Total:
    """The totals of one campaign or verdict, or of all episodes, and of all usable ones.

    `by` says which of these it is, and `name` which campaign or verdict. `benign_h` and `hostile_h`
    are host-hours by label, `ambiguous_h` those among them whose phase nothing observable
    distinguishes.
    """

    by: str
    name: str
    episodes: int
    samples: int
    hosts: int
    benign_h: float
    hostile_h: float
    ambiguous_h: float


@dataclass
class _Sum:
    """What has been counted so far of one row; times in ns."""

    episodes: int = 0
    samples: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    benign_ns: int = 0
    hostile_ns: int = 0
    ambiguous_ns: int = 0

    def add(self, result: ValidationResult, spent: tuple[int, int, int]) -> None:
        """Count an episode with its benign, hostile and ambiguous time."""
        self.episodes += 1
        self.samples |= {result.sample} - {""}
        self.hosts |= {result.host} - {""}
        self.benign_ns += spent[0]
        self.hostile_ns += spent[1]
        self.ambiguous_ns += spent[2]

    def total(self, by: str, name: str) -> Total:
        """Return the sums as a row of the table, with times in hours."""
        times = (self.benign_ns, self.hostile_ns, self.ambiguous_ns)
        hours = (round(one / HOUR_NS, 3) for one in times)
        return Total(by, name, self.episodes, len(self.samples), len(self.hosts), *hours)


def totals(results: Iterable[ValidationResult], store: Store) -> list[Total]:
    """Return a row for each campaign, each verdict, all usable episodes, and all episodes.

    An episode whose manifest cannot be read has no hours, and one without a campaign counts as
    `unreadable`.
    """
    sums: defaultdict[tuple[str, str], _Sum] = defaultdict(_Sum)
    for result in results:
        spent = _spent(store, result.id)
        for row in _rows(result):
            sums[row].add(result, spent)
    order = {by: place for place, by in enumerate(("campaign", "verdict", "usable", "all"))}
    keys = sorted(sums, key=lambda key: (order[key[0]], key))
    return [sums[key].total(*key) for key in keys]


def _rows(result: ValidationResult) -> Iterator[tuple[str, str]]:
    """Yield the rows that an episode counts in."""
    yield "campaign", result.campaign or UNREADABLE
    yield "verdict", result.verdict
    if result.usable:
        yield "usable", "all usable"
    yield "all", "all episodes"


def _spent(store: Store, id: str) -> tuple[int, int, int]:
    """Return the benign, hostile and ambiguous time of an episode, in ns; zeros if unreadable."""
    with contextlib.suppress(Refused, OSError):
        manifest = store.manifest(id)
        benign, hostile = _labelled(manifest, store.schema.classes[0])
        return benign, hostile, _ambiguous(manifest)
    return 0, 0, 0


def _labelled(manifest: Manifest, benign: str) -> tuple[int, int]:
    """Return the time under the benign label, and under all others."""
    starts = [time for time, _ in manifest.labels]
    ends = [*starts[1:], manifest.end_ns]
    spent = [0, 0]
    for (begin, phase), end in zip(manifest.labels, ends, strict=True):
        spent[phase != benign] += max(end - begin, 0)
    return spent[0], spent[1]


def _ambiguous(manifest: Manifest) -> int:
    """Return the time of the ambiguous acts within the episode; overlapping acts count once."""
    reached, spent = manifest.start_ns, 0
    for begin, end in sorted(ambiguous_spans(manifest.notes, f"episode {manifest.id}")):
        begin, end = max(begin, reached), min(end, manifest.end_ns)
        spent += max(end - begin, 0)
        reached = max(reached, end)
    return spent


# ---------------------------------------------------------------- as text

HEAD = ("episodes", "samples", "hosts", "benign, h", "hostile, h", "ambiguous, h")


def cells(total: Total) -> list[str]:
    """Return the cells of a row as text, without its name."""
    hours = (total.benign_h, total.hostile_h, total.ambiguous_h)
    counts = (total.episodes, total.samples, total.hosts)
    return [*(f"{one:,}" for one in counts), *(f"{one:,.2f}" for one in hours)]


def table(found: Sequence[Total]) -> bytes:
    """Return the rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [one.name for one in fields(Total)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in found)
    return text.getvalue().encode()


def markdown(found: Sequence[Total]) -> str:
    """Return the rows as a Markdown table."""
    lines = [["", *HEAD], ["---"] * (1 + len(HEAD))]
    lines += [[named(one), *cells(one)] for one in found]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def named(total: Total) -> str:
    """Return the name of a row in words."""
    return total.name if total.by in ("usable", "all") else f"{total.by} {total.name}"
