"""Incidents stay, and so does what people did about them; bad files and texts are refused."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.live.incidents import Incident
from phasewatch.serve.fleet.ledger import MOST_NOTES, MOST_TEXT, Finding, Ledger, beside

START = 1_790_000_000_000_000_000
INCIDENT = Incident("01-pc", "pc", "gbt.realistic", START, None, 0.91, 2, ("execution",))
FINDING = Finding(INCIDENT, "pc.dig.s1", 25.0, START + 5, ("proc.threads", "qmp.blk_wr_ops"))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    found = Ledger(tmp_path / "store.incidents.sqlite")
    found.record(FINDING)
    return found


def test_an_incident_that_grows_stays_one_row_with_its_history(ledger: Ledger) -> None:
    ledger.note(INCIDENT.id, "looked at it", START + 1)
    grown = replace(INCIDENT, closed_ns=START + 9, peak=0.99, phases=("execution", "impact"))
    ledger.record(replace(FINDING, incident=grown, last_ns=START + 9, channels=("other",)))
    (row,) = Ledger(ledger.path).rows()
    assert (row["peak"], row["phases"]) == (0.99, ["execution", "impact"])
    assert (row["opened_ns"], row["closed_ns"]) == (str(START), str(START + 9))
    assert row["channels"] == ["proc.threads", "qmp.blk_wr_ops"], "those of the opening window"
    assert row["notes"] == [{"at_ns": str(START + 1), "text": "looked at it"}]
    assert ledger.incidents() == [grown] and ledger.incidents(grown.id) == [grown]


def test_acknowledging_and_muting_are_kept_and_can_be_taken_back(ledger: Ledger) -> None:
    ledger.acknowledge(INCIDENT.id, START + 2)
    ledger.mute(INCIDENT.id, "maintenance", START + 60)
    (row,) = Ledger(ledger.path).rows(INCIDENT.id)
    assert row["acknowledged_ns"] == str(START + 2)
    assert (row["muted_until_ns"], row["mute_reason"]) == (str(START + 60), "maintenance")
    ledger.acknowledge(INCIDENT.id, None)
    ledger.unmute(INCIDENT.id)
    (row,) = ledger.rows()
    assert row["acknowledged_ns"] is row["muted_until_ns"] is row["mute_reason"] is None


def test_the_newest_incident_comes_first(ledger: Ledger) -> None:
    later = replace(INCIDENT, opened_ns=START + 100)
    ledger.record(replace(FINDING, incident=later))
    assert [row["opened_ns"] for row in ledger.rows()] == [str(START + 100), str(START)]


def test_what_an_earlier_server_left_open_is_closed(ledger: Ledger) -> None:
    Ledger(ledger.path).close_abandoned()
    assert ledger.rows()[0]["closed_ns"] == str(START + 5)


def test_unknown_incidents_and_bad_texts_are_refused(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="is not known"):
        ledger.acknowledge("nobody", 1)
    with pytest.raises(Refused, match="is not known"):
        ledger.incidents("nobody")
    for text in ("", "  ", "x" * (MOST_TEXT + 1)):
        with pytest.raises(Refused, match="1 to 2000 characters"):
            ledger.note(INCIDENT.id, text, 1)
        with pytest.raises(Refused, match="1 to 2000 characters"):
            ledger.mute(INCIDENT.id, text, 1)
    for number in range(MOST_NOTES):
        ledger.note(INCIDENT.id, "again", number)
    with pytest.raises(Refused, match="one too many"):
        ledger.note(INCIDENT.id, "again", 1)


def test_nothing_is_written_before_the_first_incident(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "none.sqlite")
    ledger.close_abandoned()
    assert ledger.rows() == [] and ledger.incidents() == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_ledger_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "odd.sqlite").write_bytes(b"no database at all, whatever its name says" * 20)
    with pytest.raises(Refused, match="is no ledger that can be used"):
        Ledger(tmp_path / "odd.sqlite").rows()
    other = sqlite3.connect(tmp_path / "later.sqlite")
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(Refused, match="format 99, not 1"):
        Ledger(tmp_path / "later.sqlite").rows()
    with pytest.raises(Refused, match="unable to open"):
        Ledger(tmp_path / "absent" / "x.sqlite").record(FINDING)


def test_a_ledger_lies_beside_its_store(tmp_path: Path) -> None:
    assert beside(tmp_path / "corpus") == tmp_path / "corpus.incidents.sqlite"
