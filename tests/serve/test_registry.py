"""The folder of producers is the registry; files with an underscore are shared parts."""

from pathlib import Path

import pytest

from phasewatch.serve import producers, registry


def test_producers_and_their_kinds_are_found_by_folder() -> None:
    """Others may stand beside these; a new file is found because it is there."""
    assert set(registry.find()) >= {"metrics", "perf", "profiles", "replay"}
    kinds = {"episode", "window", "scoreboard", "comparison", "perf", "profile"}
    assert set(registry.kinds()) >= kinds


def test_every_kind_names_its_producer_as_its_source() -> None:
    for name, producer in registry.find().items():
        assert {kind.source for kind in producer.kinds} == {name}


def test_a_file_with_an_underscore_is_no_producer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_shared.py").write_text("raise AssertionError('was imported')\n")
    monkeypatch.setattr(producers, "__path__", [*producers.__path__, str(tmp_path)])
    assert "_shared" not in registry.find()
