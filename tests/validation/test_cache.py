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


def test_added_verdicts_are_read_back(tmp_path: Path) -> None:
    opened = VerdictCache(tmp_path / "cache", VM46)
    assert opened.read() == {}
    opened.add([("v1", ACCEPTED)])
    opened.add([("v2", DEGRADED)])
    assert VerdictCache(tmp_path / "cache", VM46).read() == {
        "a": ("v1", ACCEPTED),
        "b": ("v2", DEGRADED),
    }


def test_errored_results_and_recent_files_are_not_cached(tmp_path: Path) -> None:
    opened = VerdictCache(tmp_path / "cache", VM46)
    assert opened.add([("v1", ERRORED), ("", ACCEPTED)]) is None
    assert opened.read() == {} and not (tmp_path / "cache").exists()


def test_a_replaced_cache_holds_nothing_else(tmp_path: Path) -> None:
    opened = VerdictCache(tmp_path / "cache", VM46)
    opened.add([("v1", ACCEPTED)])
    opened.add([("v2", DEGRADED)])
    (tmp_path / "cache" / "notes.txt").write_text("mine")
    opened.replace([("v3", DEGRADED)])
    assert opened.read() == {"b": ("v3", DEGRADED)}
    assert len(list((tmp_path / "cache").glob("*.parquet"))) == 1
    assert (tmp_path / "cache" / "notes.txt").exists()
    # The same again is the same part, which must not be taken away.
    opened.replace([("v3", DEGRADED)])
    assert opened.read() == {"b": ("v3", DEGRADED)}


def test_another_schema_release_or_rule_invalidates_the_cache(
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


@pytest.mark.parametrize(
    "file", ["store/format.py", "store/local.py", "validation/sweep.py", "validation/rules.py"]
)
def test_a_changed_source_file_makes_it_void(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    VerdictCache(tmp_path / "cache", VM46).add([("v1", ACCEPTED)])
    read = Path.read_bytes
    changed = Path(cache.__file__).parents[1] / file
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: read(path) + (b"#" if path == changed else b"")
    )
    assert VerdictCache(tmp_path / "cache", VM46).read() == {}


def test_a_damaged_part_is_skipped_and_the_others_are_used(tmp_path: Path) -> None:
    opened = VerdictCache(tmp_path / "cache", VM46)
    damaged = opened.add([("v1", ACCEPTED)])
    opened.add([("v2", DEGRADED)])
    assert damaged
    for data in (damaged.read_bytes()[:-9], b"", b"PAR1" + bytes(40) + b"PAR1"):
        damaged.write_bytes(data)
        assert set(opened.read()) == {"b"}


def test_a_file_at_the_path_of_the_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(Refused, match="is a file; expected the folder of an earlier"):
        VerdictCache(tmp_path / "cache", VM46)
