"""`validate`: exit codes, explanations, the index, and text that cannot control a terminal."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from tests import toy
from tests.cli.invoke import Run, refused

from phasewatch import schema
from phasewatch.cli import console
from phasewatch.store.format import MANIFEST, SAMPLES
from phasewatch.store.local import Store
from phasewatch.validation import sweep


def test_validate_reports_verdicts_by_exit_code(run: Run, tmp_path: Path) -> None:
    store = toy.store(tmp_path / "s", seeds=1)
    index = tmp_path / "index.parquet"
    code, out, _ = run("validate", store.root, "--index", index)
    assert code == 0 and index.exists()
    assert "12 accepted · 0 degraded · 0 rejected · 0 errored" in out
    path = store.folder(store.ids()[0]) / SAMPLES
    path.write_bytes(path.read_bytes() + b"x")
    code, out, _ = run("validate", store.root, "--index", index)
    assert code == console.SOME_REJECTED
    assert "[sha_mismatch]" in out
    code, out, _ = run("validate", store.root, "--index", index, "--json")
    assert json.loads(out)["counts"]["rejected"] == 1
    code, out, _ = run("validate", store.root, "--index", index, "--summary")
    assert "A file is not the one that its manifest lists" in out
    assert max(map(len, out.splitlines()[:-1])) <= 80
    manifest = path.with_name(MANIFEST)
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 2}))
    assert run("validate", store.root, "--index", index)[0] == console.SOME_ERRORED


def test_an_interrupt_has_its_own_exit_code(
    run: Run, toy_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "validate_store", interrupted)
    code, _, printed = run("validate", toy_store.root, "--index", tmp_path / "index.parquet")
    assert code == console.CANCELLED
    assert "cancelled" in printed


def test_validate_explains_one_episode(run: Run, toy_store: Store, tmp_path: Path) -> None:
    id = toy_store.ids()[0]
    words = ("validate", toy_store.root, "--explain", id, "--html", tmp_path / "explanation.html")
    code, out, _ = run(*words)
    assert code == 0 and out.startswith(f"{id}: accepted")
    assert "<svg" in (tmp_path / "explanation.html").read_text(encoding="utf-8")
    assert "not in the store" in refused(run("validate", toy_store.root, "--explain", "nobody"))


def test_an_empty_store_is_not_all_accepted(run: Run, tmp_path: Path) -> None:
    empty = Store.create(tmp_path, schema.vm46())
    assert "holds no episode" in refused(run("validate", empty.root))


@pytest.mark.parametrize("inside", ["store.json", "index", "a/b", "episodes/x.png"])
@pytest.mark.parametrize(
    "words", [("--index",), ("--explain", "ID", "--html"), ("compare", "--out")]
)
def test_no_generated_file_is_written_into_a_store(
    run: Run, toy_store: Store, words: tuple[str, ...], inside: str
) -> None:
    root, id = toy_store.root, toy_store.ids()[0]
    before = {path: path.is_file() and path.read_bytes() for path in root.rglob("*")}
    more = [id if word == "ID" else word for word in words if word != "compare"]
    stores = ("compare", root, root) if "compare" in words else ("validate", root)
    line = refused(run(*stores, *more, root / inside))
    assert "outside of every episode store" in line
    assert {path: path.is_file() and path.read_bytes() for path in root.rglob("*")} == before


def test_a_file_that_is_no_index_is_not_overwritten(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    target = tmp_path / "thesis.tex"
    target.write_text("years of work")
    for place in (target, tmp_path):
        assert "would be lost" in refused(run("validate", toy_store.root, "--index", place))
    assert target.read_text() == "years of work"
    target.write_bytes(b"")
    for _ in range(2):
        assert run("validate", toy_store.root, "--index", target)[0] == 0


def test_an_unwritable_path_is_refused_in_one_line(run: Run, toy_store: Store) -> None:
    result = run("validate", toy_store.root, "--index", "/proc/nowhere/index.parquet")
    assert refused(result).startswith("phasewatch: /proc/nowhere: ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--html", "page.html"), "--explain EPISODE beside it"),
        (("--explain", ""), "--explain : is not in the store"),
        (("--explain", "a\n\x1b[31m"), r"--explain a\\n\\x1b\[31m: is not in the store"),
        (("--index", "s3://lake/i.parquet"), "is a URL"),
        (("--explain", "e", "--html", "s3://lake/page.html"), "is a URL"),
        (("--explain", "e", "--html", "."), "is a folder"),
        (("--cluster", ""), "it is empty"),
    ],
)
def test_validate_refuses_invalid_option_values(
    run: Run,
    toy_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = refused(run("validate", toy_store.root, *words))
    assert re.search(expected, printed)
    assert not {path.name for path in tmp_path.iterdir()} - {"data"}


def test_names_from_files_are_neither_markup_nor_terminal_commands(
    run: Run, tmp_path: Path
) -> None:
    store = Store.create(tmp_path / "s", schema.vm46())
    names = {"a": ("[bold red]x[/]", "[/]"), "b": ("h" * 90, "\x1b[2J"), "c": ("one\ntwo", "p")}
    for id, (host, profile) in names.items():
        store.publish(replace(toy.episode(), id=id, host=host, profile=profile))
    index = tmp_path / "i.parquet"
    _, out, _ = run("validate", store.root, "--index", index, "--summary")
    assert "[bold red]x[/]" in out and r"one\ntwo" in out and r"\x1b[2J" in out
    assert "\x1b" not in out + run("validate", store.root, "--explain", "b")[1]
    (counts,) = [line for line in out.splitlines() if line.startswith("hh") and " " in line.strip()]
    assert sorted(counts.split()[1:]) == [".", ".", "0", "1r"]


def test_an_explanation_is_printed_as_json(run: Run, toy_store: Store) -> None:
    id = toy_store.ids()[0]
    _, out, _ = run("validate", toy_store.root, "--explain", id, "--json")
    assert (json.loads(out)["id"], json.loads(out)["verdict"]) == (id, "accepted")


def test_a_file_url_is_read_as_a_local_folder(run: Run, tmp_path: Path) -> None:
    store = toy.store(tmp_path / "s", seeds=1)
    path = store.folder(store.ids()[0]) / SAMPLES
    path.unlink()
    os.mkfifo(path)
    index = tmp_path / "i.parquet"
    _, out, _ = run("validate", f"file://{store.root}", "--index", index)
    assert "[unsafe_file]" in out


def test_an_explanation_of_a_remote_episode_says_what_it_omits(run: Run, toy_store: Store) -> None:
    files = fsspec.filesystem("memory")
    files.put(str(toy_store.root), "/bucket/store", recursive=True)
    _, out, _ = run("validate", "memory://bucket/store", "--explain", toy_store.ids()[0])
    files.rm("/bucket", recursive=True)
    assert "accepted" in out and "another episode of this store" in out
