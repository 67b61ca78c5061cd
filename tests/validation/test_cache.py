"""The verdicts of earlier sweeps: kept as they were, and never believed where they may not be."""

from dataclasses import replace
from pathlib import Path

import pytest

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.validation import cache
from phasewatch.validation.cache import VerdictCache
from phasewatch.validation.verdict import Finding, ValidationResult

VM46 = schema.vm46()
ACCEPTED = ValidationResult(
    "a", "h", "s", "p", "c", "accepted", start_ns=7, phases=("benign",), rows=(("proc", 3),)
)
DEGRADED = ValidationResult.unreadable("b", Finding("rows_low", "degraded", "has 80%"))
ERRORED = ValidationResult.unreadable("c", Finding("io", "errored", "no"))


def test_what_is_added_is_read_back(tmp_path: Path) -> None:
    kept = VerdictCache(tmp_path / "cache", VM46)
    assert kept.read() == {}
    kept.add([("v1", ACCEPTED)])
    kept.add([("v2", DEGRADED)])
    assert VerdictCache(tmp_path / "cache", VM46).read() == {
        "a": ("v1", ACCEPTED),
        "b": ("v2", DEGRADED),
    }


def test_what_could_not_be_decided_or_may_still_change_is_not_kept(tmp_path: Path) -> None:
    kept = VerdictCache(tmp_path / "cache", VM46)
    assert kept.add([("v1", ERRORED), ("", ACCEPTED)]) is None
    assert kept.read() == {} and not (tmp_path / "cache").exists()


def test_a_replaced_cache_holds_nothing_else(tmp_path: Path) -> None:
    kept = VerdictCache(tmp_path / "cache", VM46)
    kept.add([("v1", ACCEPTED)])
    kept.add([("v2", DEGRADED)])
    (tmp_path / "cache" / "notes.txt").write_text("mine")
    kept.replace([("v3", DEGRADED)])
    assert kept.read() == {"b": ("v3", DEGRADED)}
    assert len(list((tmp_path / "cache").glob("*.parquet"))) == 1
    assert (tmp_path / "cache" / "notes.txt").exists()
    # The same again is the same part, which must not be taken away.
    kept.replace([("v3", DEGRADED)])
    assert kept.read() == {"b": ("v3", DEGRADED)}


def test_another_schema_release_or_rule_makes_it_void(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    VerdictCache(tmp_path / "cache", VM46).add([("v1", ACCEPTED)])
    other = replace(VM46, classes=VM46.classes[::-1])
    assert VerdictCache(tmp_path / "cache", other).read() == {}
    with monkeypatch.context() as patch:
        patch.setattr(cache, "__version__", "9.9.9")
        assert VerdictCache(tmp_path / "cache", VM46).read() == {}
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_code", lambda: ["changed"])
        assert VerdictCache(tmp_path / "cache", VM46).read() == {}
    assert set(VerdictCache(tmp_path / "cache", VM46).read()) == {"a"}


def test_a_damaged_part_is_passed_over_and_the_others_stand(tmp_path: Path) -> None:
    kept = VerdictCache(tmp_path / "cache", VM46)
    damaged = kept.add([("v1", ACCEPTED)])
    kept.add([("v2", DEGRADED)])
    assert damaged
    for data in (damaged.read_bytes()[:-9], b"", b"PAR1" + bytes(40) + b"PAR1"):
        damaged.write_bytes(data)
        assert set(kept.read()) == {"b"}


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(Refused, match="is a file; expected the folder of an earlier"):
        VerdictCache(tmp_path / "cache", VM46)
