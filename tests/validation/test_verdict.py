"""Four verdicts: the worst finding decides, and a further fault never makes it better."""

import math

from hypothesis import given
from hypothesis import strategies as st

from phasewatch.validation.verdict import (
    VERDICTS,
    Finding,
    Interner,
    ValidationResult,
    Verdict,
    count_verdicts,
    overall_verdict,
)

FINDINGS = st.builds(
    Finding, st.just("code"), st.sampled_from(["degraded", "rejected", "errored"]), st.just("why")
)


@given(st.lists(FINDINGS), FINDINGS)
def test_a_further_fault_never_improves_a_verdict(found: list[Finding], more: Finding) -> None:
    assert VERDICTS.index(overall_verdict([*found, more])) >= VERDICTS.index(overall_verdict(found))
    assert (overall_verdict(found) == "accepted") == (not found)


@given(st.lists(st.sampled_from(VERDICTS)))
def test_counts_add_up(verdicts: list[Verdict]) -> None:
    results = [
        ValidationResult(str(at), "h", "s", "p", "c", verdict)
        for at, verdict in enumerate(verdicts)
    ]
    assert sum(count_verdicts(results).values()) == len(results)


def test_deduplication_distinguishes_the_sign_of_zero() -> None:
    interner = Interner()
    first = interner.of(
        ValidationResult("a", "h" * 9, "s", "p", "c", "accepted", offsets=(("x-y", 0.0),))
    )
    second = interner.of(
        ValidationResult("b", "".join("h" * 9), "s", "p", "c", "accepted", offsets=(("x-y", -0.0),))
    )
    assert second.host is first.host
    assert math.copysign(1, second.offsets[0][1]) == -1
