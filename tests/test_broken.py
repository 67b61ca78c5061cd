"""The fixtures of broken episodes get what they are named after, and none is missing."""

import pytest
from tests.broken import ELSEWHERE, FIXTURES

from phasewatch.store.local import Store
from phasewatch.validation.rules import sentences
from phasewatch.validation.sweep import validate_store
from phasewatch.validation.verdict import ValidationResult

FOUND = {result.id: result for result in validate_store(Store.open(FIXTURES))}


@pytest.mark.parametrize("result", FOUND.values(), ids=FOUND)
def test_an_episode_gets_the_verdict_it_is_named_after(result: ValidationResult) -> None:
    verdict, _, code = result.id.partition("-")
    assert result.verdict == verdict
    assert code in {finding.code for finding in result.findings} or (
        verdict == "accepted" and not code
    )


def test_every_code_has_a_fixture_or_a_reason_why_not() -> None:
    assert {id.partition("-")[2] for id in FOUND} - {""} == sentences().keys() - ELSEWHERE.keys()
    assert "accepted" in FOUND
