"""Model files changed at random never end the process, nor answer otherwise than they did.

120 of each format, two ways; `bench/mutations.py` does 10,000.
"""

from collections.abc import Iterator

import pytest
from tests import mutated
from tests.mutated import FORMATS, WAYS, Child

FINE = "refused", "equal", "elsewhere"


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    started = Child(mutated.newest())
    yield started
    started.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FORMATS)
def test_no_mutated_model_file_crashes_or_changes_a_prediction(
    child: Child, kind: str, way: str
) -> None:
    """`elsewhere`, on windows that are not golden, only where all digests were made to fit."""
    found = mutated.count(child, kind, way, 120)
    allowed = FINE if way == "sealed" else FINE[:2]
    assert not [fate for fate in found if not fate.startswith(allowed)]
    assert sum(many for fate, many in found.items() if fate.startswith("refused")) > 60


def test_a_child_that_died_or_hangs_is_reported_and_replaced(child: Child) -> None:
    """What the test above would see of a crash, and of a hang."""
    assert child.ask("crash", "bytes", 0) == "crash"
    child.limit_s, limit_s = 0.2, child.limit_s
    assert child.ask("hang", "bytes", 0) == "hang"
    child.limit_s = limit_s
    assert child.ask("checkpoint", "bytes", 0).startswith("refused")
