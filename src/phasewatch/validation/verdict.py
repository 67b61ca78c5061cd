"""The result of validating an episode: one of four verdicts, and every reason for it.

accepted: every rule ran and none objected · degraded: usable, with named losses · rejected: the
bytes are wrong, and stay so · errored: no decision was possible, so the next sweep tries again.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from phasewatch.episode import NAMES, Identity, Provenance

Verdict = Literal["accepted", "degraded", "rejected", "errored"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Severity = Literal["degraded", "rejected", "errored"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One objection of one rule."""

    code: str
    severity: Severity
    reason: str


@dataclass(frozen=True, slots=True)
class ValidationResult(Provenance):
    """One row of the acceptance index.

    `rows` counts each source's rows. `offsets` has, per pair "a-b" of sources that saw the same
    activity, by how many seconds a's clock is ahead of b's. `content` is the sha256 of the samples;
    `digest` is the manifest's own where the bytes are sound, and else that of the bytes found.
    """

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    start_ns: int = 0
    end_ns: int = 0
    phases: tuple[str, ...] = ()
    rows: tuple[tuple[str, int], ...] = ()
    offsets: tuple[tuple[str, float], ...] = ()
    content: str = ""
    digest: str = ""

    @classmethod
    def unreadable(cls, id: str, finding: Finding, digest: str = "") -> "ValidationResult":
        """Return the result of an episode of which nothing but the id is known."""
        return cls(id, "", "", "", "", finding.severity, (finding,), digest=digest)

    @property
    def usable(self) -> bool:
        """Whether later stages may read the episode: it is accepted or degraded."""
        return self.verdict in ("accepted", "degraded")

    @property
    def codes(self) -> tuple[str, ...]:
        """The rules that objected, each once."""
        return tuple(dict.fromkeys(finding.code for finding in self.findings))

    @property
    def identity(self) -> Identity:
        """The identity of the episode, from which splits are built."""
        phases = frozenset(self.phases)
        return Identity(**self.provenance, start_ns=self.start_ns, phases=phases)


class Interner:
    """Stores values that many results share once: they are most of the memory of 76,660."""

    # No number with a point among them: 0.0 is the same as -0.0, and other bytes.
    SHARED = ("verdict", *NAMES, "phases", "rows")

    def __init__(self) -> None:
        self._shared: dict[object, object] = {}

    def of(self, result: ValidationResult) -> ValidationResult:
        """Return the same result, its common values shared with earlier ones."""
        for name in self.SHARED:
            value = getattr(result, name)
            object.__setattr__(result, name, self._shared.setdefault(value, value))
        return result


def overall_verdict(findings: Iterable[Finding]) -> Verdict:
    """Return the worst verdict among findings, "accepted" without any."""
    severities = {finding.severity for finding in findings}
    worst: tuple[Verdict, ...] = ("errored", "rejected", "degraded")
    return next((verdict for verdict in worst if verdict in severities), "accepted")


def count_verdicts(results: Iterable[ValidationResult]) -> dict[Verdict, int]:
    """Return the number of episodes with each of the four verdicts."""
    found = Counter(result.verdict for result in results)
    return {verdict: found[verdict] for verdict in VERDICTS}
