"""What a refusal says."""

import json

from hypothesis import given
from hypothesis import strategies as st

from phasewatch.errors import differences

LEAVES = st.none() | st.integers() | st.text(max_size=4)
VALUES = st.dictionaries(
    st.text(min_size=1), LEAVES | st.dictionaries(st.text(min_size=1), LEAVES, max_size=3)
)


@given(VALUES)
def test_equal_schemas_have_no_difference(value: dict[str, object]) -> None:
    assert differences(value, json.loads(json.dumps(value))) == ""


def test_a_difference_is_named_with_both_values() -> None:
    stored = {"recipe": {"seed": 1, "test": "a", "name": "all"}, "digest": "0" * 64}
    requested = {"recipe": {"seed": 1, "test": "b", "name": "all"}, "digest": "0" * 64, "new": 2}
    expected = 'new is absent there and 2 here; recipe.test is "a" there and "b" here'
    assert differences(stored, requested) == expected
