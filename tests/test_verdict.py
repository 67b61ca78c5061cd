"""Four verdicts: the worst finding decides, and a further fault never makes it better."""

from hypothesis import given
from hypothesis import strategies as st

from phasewatch.verdict import VERDICTS, Finding, Judgement, counts, weigh

FINDINGS = st.builds(
    Finding, st.just("code"), st.sampled_from(["degraded", "rejected", "errored"]), st.just("why")
)


@given(st.lists(FINDINGS), FINDINGS)
def test_a_further_fault_never_improves_a_verdict(found: list[Finding], more: Finding) -> None:
    assert VERDICTS.index(weigh([*found, more])) >= VERDICTS.index(weigh(found))
    assert (weigh(found) == "accepted") == (not found)


@given(st.lists(st.sampled_from(VERDICTS)))
def test_counts_add_up(verdicts: list[str]) -> None:
    judged = [Judgement(str(at), own) for at, own in enumerate(verdicts)]  # type: ignore[arg-type]
    assert sum(counts(judged).values()) == len(judged)
