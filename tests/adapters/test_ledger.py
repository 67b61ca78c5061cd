"""Reasons are counted, with three examples each."""

from phasewatch.adapters.ledger import Ledger
from phasewatch.adapters.reading.table import Dropped


def test_one_reason_is_one_omission_whatever_the_number_of_rows() -> None:
    ledger = Ledger()
    for start in (2, 302):
        ledger.add("cpu is no number", list(range(start, start + 300)), ["x"] * 300)
    ledger.add_dropped([Dropped(7, "2 fields where the header has 3")])
    ledger.add("never", [])
    found = ledger.omissions()
    assert [(one.count, len(one.examples)) for one in found] == [(600, 3), (1, 1)]
    assert str(found[0]) == "cpu is no number (line 2: 'x', line 3: 'x', line 4: 'x', …)"
    assert ledger.total == 601
