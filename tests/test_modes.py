"""The modes of a schema are those that are declared, and no other word is one."""

import pytest

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.modes import MODES


def test_every_mode_has_a_schema_of_its_own_and_no_other_word_has() -> None:
    layout = schema.vm46()
    assert layout.modes == MODES == schema.MODES
    assert len({len(layout.for_mode(mode).channels) for mode in MODES}) == len(MODES)
    with pytest.raises(Refused, match="realistic or oracle"):
        layout.for_mode("any")  # type: ignore[arg-type]
