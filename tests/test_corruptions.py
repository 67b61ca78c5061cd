"""docs/reference/corruptions.md, row by row: what no other test shows, and that it is true."""

import itertools
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import toy
from tests.validation.test_rules import EPISODE, PER_SOURCE, VM46, with_source

from phasewatch import schema
from phasewatch.episode import Episode
from phasewatch.schema import NS
from phasewatch.store import format, local
from phasewatch.store.format import MANIFEST, SAMPLES, Manifest, file_entry
from phasewatch.store.local import Store
from phasewatch.validation import index, rules, sweep
from phasewatch.validation.cache import VerdictCache
from phasewatch.validation.rules import Facts, Rule, examine, sentences
from phasewatch.validation.sweep import validate_episode
from phasewatch.validation.verdict import VERDICTS, ValidationResult

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "reference" / "corruptions.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| \d", line)]
RANK: dict[str, int] = {verdict: place for place, verdict in enumerate(VERDICTS)}


@pytest.fixture
def own(tmp_path: Path) -> Store:
    made = Store.create(tmp_path / "store", schema.vm46())
    made.publish(toy.episode())
    return made


def said(found: ValidationResult) -> tuple[str, set[str]]:
    return found.verdict, set(found.codes)


# ---------------------------------------------------------------- the page


def test_every_row_of_the_table_is_there_once() -> None:
    numbers = [
        number
        for row in ROWS
        for first, _, last in [row.split("|")[1].strip().partition("-")]
        for number in range(int(first), int(last or first) + 1)
    ]
    assert numbers == list(range(1, 71))


def test_codes_on_the_page_are_those_there_are() -> None:
    told = {code for row in ROWS for code in re.findall(r"`([a-z_]+)`", row.split("|")[4])}
    assert told <= sentences().keys()
    assert sentences().keys() - told <= {"clock_fit", "contention", "label_onset", "stray_file"}


def test_every_test_on_the_page_exists() -> None:
    named = {test for row in ROWS for test in re.findall(r"((?:[a-z]+/)*test_\w+)\.(\w+)", row)}
    assert len(named) > 30
    for file, test in named:
        text = (TESTS / f"{file}.py").read_text(encoding="utf-8")
        assert re.search(rf"^def test_{test}\(", text, re.MULTILINE), f"{file}.{test}"


# ---------------------------------------------------------------- bytes

OnManifest = Callable[[dict[str, object]], object]


def listing(**changes: object) -> OnManifest:
    """A manifest whose entry of the samples says something else; its digest is left alone."""
    return lambda value: value["files"][SAMPLES].update(changes)  # type: ignore[index]


FIELDS: dict[str, OnManifest] = {
    "sha in capitals": lambda value: value.update(
        files={SAMPLES: {"sha256": "A" * 64, "bytes": 1}}
    ),
    "sha too short": listing(sha256="ab"),
    "another algorithm": listing(md5="ab" * 16),
    "no sha": lambda value: value["files"][SAMPLES].pop("sha256"),  # type: ignore[index]
    "an older format": lambda value: value.update(format=0),
    "a label's time is text": lambda value: value.update(labels=[["now", "benign"]]),
    "a label's time is no whole number": lambda value: value.update(labels=[[1.5, "benign"]]),
    "a label's time is not of 64 bits": lambda value: value.update(labels=[[10**30, "benign"]]),
    "a start beyond 64 bits": lambda value: value.update(start_ns=2**63),
}
TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "no JSON": lambda data: b"start: now\n",
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "a lone surrogate": lambda data: data.replace(b'"alpha"', b'"\\ud800"'),
    "not UTF-8": lambda data: data.replace(b'"alpha"', b'"\xff"'),
    "a zero byte": lambda data: data.replace(b'"alpha"', b'"al\x00pha"'),
    "as deep as 100,000": lambda data: b'{"notes":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "NaN for a time": lambda data: re.sub(rb'"end_ns": \d+', b'"end_ns": NaN', data),
    "a number of 5,000 digits": lambda data: re.sub(
        rb'"end_ns": \d+', b'"end_ns": ' + b"9" * 5000, data
    ),
    "text behind its end": lambda data: data + b"{}",
}


@pytest.mark.parametrize("change", FIELDS.values(), ids=FIELDS)
def test_a_manifest_of_another_shape(own: Store, change: OnManifest) -> None:
    (id,) = own.ids()
    path = own.folder(id) / MANIFEST
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))
    assert said(validate_episode(own, id)) == ("rejected", {"manifest_schema"})


@pytest.mark.parametrize("change", TEXTS.values(), ids=TEXTS)
def test_a_manifest_that_is_no_json_of_ours(own: Store, change: Callable[[bytes], bytes]) -> None:
    (id,) = own.ids()
    path = own.folder(id) / MANIFEST
    data = path.read_bytes()
    assert change(data) != data
    path.write_bytes(change(data))
    assert said(validate_episode(own, id)) == ("rejected", {"manifest_schema"})


def test_of_a_key_given_twice_the_last_stands_and_is_what_the_digest_covers(own: Store) -> None:
    (id,) = own.ids()
    path = own.folder(id) / MANIFEST
    data = path.read_bytes()
    path.write_bytes(data.replace(b'{\n "format"', b'{\n "host": "eve",\n "format"'))
    assert (validate_episode(own, id).verdict, validate_episode(own, id).host) == (
        "accepted",
        "alpha",
    )
    path.write_bytes(data.replace(b"\n}", b',\n "host": "eve"\n}'))
    assert said(validate_episode(own, id)) == ("rejected", {"manifest_digest"})


@pytest.mark.parametrize("name", ["~/x", "C:\\x", "a\\b", "..", "/etc/passwd", "a/../b", ""])
def test_a_listed_name_stays_in_the_folder(own: Store, name: str) -> None:
    (id,) = own.ids()
    manifest = own.manifest(id)
    files = {**manifest.files, name: file_entry(b"")}
    changed = manifest.model_copy(update={"files": files}).sealed()
    (own.folder(id) / MANIFEST).write_bytes(changed)
    assert said(validate_episode(own, id)) == ("rejected", {"unsafe_path"})


def resealed(own: Store, data: bytes) -> str:
    """The one episode with other samples, listed as they are: a recorder's mistake."""
    (id,) = own.ids()
    manifest = own.manifest(id).model_copy(update={"files": {SAMPLES: file_entry(data)}})
    (own.folder(id) / SAMPLES).write_bytes(data)
    (own.folder(id) / MANIFEST).write_bytes(manifest.sealed())
    return id


def written(table: pa.Table, folder: Path) -> bytes:
    pq.write_table(table, folder / "other.parquet", compression="zstd")
    return (folder / "other.parquet").read_bytes()


def test_a_wrong_digest_of_right_bytes_is_a_mismatch(own: Store) -> None:
    (id,) = own.ids()
    manifest = own.manifest(id).model_copy(update={"files": {SAMPLES: file_entry(b"other")}})
    (own.folder(id) / MANIFEST).write_bytes(manifest.sealed())
    assert said(validate_episode(own, id)) == ("rejected", {"sha_mismatch"})


@pytest.mark.parametrize("kept", [0, 4, 0.5, -8, -1])
def test_samples_cut_short_and_listed_so(own: Store, kept: float) -> None:
    data = (own.folder(own.ids()[0]) / SAMPLES).read_bytes()
    id = resealed(own, data[: int(kept * len(data)) if kept == 0.5 else int(kept)])
    assert said(validate_episode(own, id)) == ("rejected", {"samples_format"})


def test_columns_of_another_type_or_none(own: Store, tmp_path: Path) -> None:
    table = pq.read_table(own.folder(own.ids()[0]) / SAMPLES)
    for at, name in enumerate(table.column_names):
        text = pa.array([str(value).encode() for value in table[name].to_pylist()])
        for other in (table.set_column(at, name, text), table.remove_column(at)):
            id = resealed(own, written(other, tmp_path))
            assert said(validate_episode(own, id)) == ("rejected", {"samples_format"})


def test_a_ragged_row(own: Store, tmp_path: Path) -> None:
    rows = pq.read_table(own.folder(own.ids()[0]) / SAMPLES).to_pylist()
    rows[1]["values"][3].pop()
    id = resealed(own, written(pa.Table.from_pylist(rows, format._TABLE), tmp_path))
    assert said(validate_episode(own, id)) == ("rejected", {"samples_format"})


def test_a_few_kilobytes_that_unpack_to_gigabytes(
    own: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of one repeated value takes some bytes; here the limit is a megabyte."""
    monkeypatch.setattr(format, "MAX_FILE_BYTES", 1 << 20)
    many = 1 << 18
    times = pa.array([np.zeros(many, np.int64)])
    values = pa.array([[np.zeros(many)]], pa.list_(pa.list_(pa.float64())))
    columns = [pa.array(["proc"]), pa.array([2.0]), pa.array([["proc.c"]]), times, times, values]
    data = written(pa.Table.from_arrays(columns, schema=format._TABLE), tmp_path)
    assert len(data) < 1 << 12
    assert said(validate_episode(own, resealed(own, data))) == ("rejected", {"over_limit"})


def test_a_footer_that_contradicts_itself_under_a_digest_that_fits(own: Store) -> None:
    """Names of channels that cannot be absent, beside a count of how deep their absence goes.

    Arrow's reader ends the process when it is asked about such a column.
    """
    data = (own.folder(own.ids()[0]) / SAMPLES).read_bytes()
    assert data.count(b"\x35\x02\x18\x08channels") == 1
    other = data.replace(b"\x35\x02\x18\x08channels", b"\x35\x00\x18\x08channels")
    assert said(validate_episode(own, resealed(own, other))) == ("rejected", {"samples_format"})


def test_a_manifest_over_its_limit_and_a_socket_are_not_read(tmp_path: Path) -> None:
    own = toy.store(tmp_path / "s", seeds=1)
    large, talking, *_ = own.ids()
    os.truncate(own.folder(large) / MANIFEST, (16 << 20) + 1)
    assert said(validate_episode(own, large)) == ("rejected", {"over_limit"})
    (own.folder(talking) / SAMPLES).unlink()
    here = os.open(own.folder(talking), os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(f"/proc/self/fd/{here}/{SAMPLES}")
        assert said(validate_episode(own, talking)) == ("rejected", {"unsafe_file"})
    os.close(here)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name", [b"a b", b"x" * 129, b"a\nb", "a\u202eb".encode(), "é".encode(), b"a\xff", b"~a"]
)
def test_a_folder_whose_name_is_no_id(own: Store, tmp_path: Path, name: bytes) -> None:
    os.mkdir(os.fsencode(own.root / "episodes") + b"/" + name)
    found = {own.verdict: own for own in sweep.validate_store(own)}
    assert said(found["rejected"]) == ("rejected", {"id_invalid"})
    index.write(list(found.values()), tmp_path / "index.parquet")
    assert len(index.read(tmp_path / "index.parquet")) == 2
    json.dumps(found["rejected"].id).encode("ascii")


def test_a_listed_folder_has_files_of_any_name(own: Store, tmp_path: Path) -> None:
    (id,) = own.ids()
    (Path(os.fsdecode(os.fsencode(own.folder(id)) + b"/\xff\n"))).touch()
    found = validate_episode(own, id)
    assert said(found) == ("degraded", {"file_unlisted"})
    index.write([found], tmp_path / "index.parquet")


def test_what_is_being_written_is_not_judged(own: Store) -> None:
    (own.root / "episodes" / ".tmp-later").mkdir()
    assert [own.id for own in sweep.validate_store(own)] == own.ids()


# ---------------------------------------------------------------- telemetry


@pytest.mark.parametrize("source", VM46.sources)
@pytest.mark.parametrize("scale", [1, 10**3, 10**6])
def test_a_clock_in_seconds_or_milli_or_microseconds(source: str, scale: int) -> None:
    episode = toy.episode()
    t = episode.sources[source].t_wall_ns // (NS // scale)
    verdict, findings = examine(with_source(episode, source, t_wall_ns=t), VM46)
    assert verdict == "rejected"
    assert any(own.code == "clock_base" and source in own.reason for own in findings)


@pytest.mark.parametrize("source", VM46.sources)
def test_channels_in_another_order_or_more_of_them_are_as_good(source: str) -> None:
    episode = toy.episode()
    samples = episode.sources[source]
    turned = with_source(
        episode, source, names=samples.names[::-1], values=samples.values[:, ::-1].copy()
    )
    more = np.column_stack((samples.values, np.ones(len(samples))))
    wider = with_source(episode, source, names=(*samples.names, f"{source}.new"), values=more)
    assert examine(turned, VM46)[0] == examine(wider, VM46)[0] == "accepted"


@pytest.mark.parametrize("source", VM46.sources)
def test_a_renamed_channel_is_a_missing_one(source: str) -> None:
    samples = toy.episode().sources[source]
    names = (f"{source}.other", *samples.names[1:])
    verdict, findings = examine(with_source(toy.episode(), source, names=names), VM46)
    assert (verdict, {own.code for own in findings}) == ("rejected", {"columns"})


@pytest.mark.parametrize("source", VM46.sources)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_told_with_its_share(source: str, value: float) -> None:
    values = toy.episode().sources[source].values.copy()
    values[5:25, -1] = value
    verdict, findings = examine(with_source(toy.episode(), source, values=values), VM46)
    assert verdict == "degraded"
    told = [own.reason for own in findings if own.code == "value_nonfinite"]
    assert told and f"20 of {len(values)}" in told[0]


def test_resets_are_counted() -> None:
    values = toy.episode().sources["proc"].values.copy()
    for row in (20, 40, 60):
        values[row:, 0] -= values[row, 0]
    reasons = [
        own.reason
        for own in examine(with_source(toy.episode(), "proc", values=values), VM46)[1]
        if own.code == "counter_reset"
    ]
    assert reasons == ["counter proc.vcpu_run runs back 3 times"]


# ---------------------------------------------------------------- errored


def test_what_must_not_be_read_is_errored() -> None:
    """As nobody, of a file and of a folder that root alone may read."""
    if os.geteuid():
        pytest.skip("needs root, to become nobody")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        own = toy.store(Path(folder, "s"), seeds=1)
        closed, hidden, *_ = own.ids()
        (own.folder(closed) / SAMPLES).chmod(0)
        own.folder(hidden).chmod(0)
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            os.setgid(65534)
            os.setuid(65534)
            found = [[own.verdict, *own.codes] for own in sweep.validate_store(own)]
            os.write(theirs, json.dumps(found[:3]).encode())
            os._exit(0)
        os.close(theirs)
        os.waitpid(child, 0)
        with os.fdopen(ours) as told:
            assert json.load(told) == [["errored", "io"], ["errored", "io"], ["accepted"]]


def short(*given: object) -> Iterator[str]:
    raise MemoryError


@pytest.mark.parametrize(
    "place", ["verify_files", "open_samples", "read_table", "assemble_episode", "rule", "arrow"]
)
def test_no_memory_is_no_fault_of_the_bytes(
    own: Store, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == "rule":
        monkeypatch.setattr(rules, "RULES", [Rule("short", "rejected", short)])
    elif place != "arrow":
        monkeypatch.setattr(sweep, place, short)
    else:

        def file(*given: object, **named: object) -> None:
            raise pa.ArrowMemoryError("malloc of size 1 failed")

        monkeypatch.setattr(pq, "ParquetFile", file)
    assert said(validate_episode(own, own.ids()[0])) == ("errored", {"io"})


def test_a_rule_that_fails_ends_no_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = toy.store(tmp_path / "s", seeds=1)

    def broken(facts: Facts) -> Iterator[str]:
        if facts.episode.id == own.ids()[0]:
            raise ZeroDivisionError
        yield from ()

    monkeypatch.setattr(rules, "RULES", [*rules.RULES, Rule("broken", "rejected", broken)])
    found = sweep.validate_store(own)
    assert said(found[0]) == ("errored", {"check_bug"})
    assert {own.verdict for own in found[1:]} == {"accepted"}


def test_an_episode_that_vanished_is_errored_and_then_gone(
    own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = own.ids()
    own.remove(ids[0])
    with monkeypatch.context() as late:
        late.setattr(own, "ids", lambda: ids)
        assert [said(one) for one in sweep.validate_store(own)] == [("errored", {"io"})]
    assert sweep.validate_store(own) == []


def test_a_file_that_changes_while_it_is_read_is_errored(
    own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,), read = own.ids(), format.read_file

    def growing(path: Path, most: int) -> bytes:
        data = read(path, most)
        if path.name == SAMPLES:
            with path.open("ab") as file:
                file.write(b"x")
        return data[:-1] if path.name == SAMPLES else data

    monkeypatch.setattr(format, "read_file", growing)
    assert said(validate_episode(own, id)) == ("errored", {"unstable_read"})


def test_what_appears_during_a_sweep_waits_for_the_next(own: Store) -> None:
    later = toy.episode(seed=2)

    def tick(count: int) -> None:
        if later.id not in own.ids():
            own.publish(later)

    assert [one.id for one in sweep.validate_store(own, tick)] != own.ids()
    assert [one.id for one in sweep.validate_store(own)] == own.ids()


def test_a_full_disk_leaves_the_old_index(
    own: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index.parquet"
    index.write(sweep.validate_store(own), path)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*index\.parquet"):
        index.write([], path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["index.parquet"]


TWO = """
import sys
from pathlib import Path
from phasewatch.store import local
from phasewatch.validation import index, sweep
from phasewatch.validation.cache import VerdictCache
local.SETTLED_NS, sweep.BLOCK = 0, 2
store, out = local.Store.open(Path(sys.argv[1])), Path(sys.argv[2])
for round in range(8):
    kept = VerdictCache(out / "cache", store.schema)
    index.write(sweep.validate_store(store, cache=kept), out / "index")
"""


def test_two_sweeps_at_once_end_with_the_same_bytes(tmp_path: Path) -> None:
    own, out = toy.store(tmp_path / "s", seeds=1), tmp_path / "out"
    words = [sys.executable, "-c", TWO, str(own.root), str(out)]
    both = [subprocess.Popen(words) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    index.write(sweep.validate_store(own), tmp_path / "alone")
    assert (out / "index").read_bytes() == (tmp_path / "alone").read_bytes()
    assert len(VerdictCache(out / "cache", own.schema).read()) in (0, 12)


def test_an_interrupted_sweep_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt comes as the second block ends; the first is not judged again."""
    own = toy.store(tmp_path / "s", seeds=1)
    monkeypatch.setattr(local, "SETTLED_NS", 0)
    monkeypatch.setattr(sweep, "BLOCK", 5)
    kept = VerdictCache(tmp_path / "cache", own.schema)
    asked: list[str] = []

    def interrupted(work: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        yield work(blocks[0])
        raise KeyboardInterrupt

    def noted(work: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        asked.extend(id for block in blocks for id in block)
        return map(work, blocks)

    with pytest.raises(KeyboardInterrupt):
        sweep.validate_store(own, executor=interrupted, cache=kept)
    assert len(sweep.validate_store(own, executor=noted, cache=kept)) == 12
    assert asked == own.ids()[5:]


# ---------------------------------------------------------------- two at once

LABELS = [case for case in EPISODE if case[1].startswith("labels")]


def test_two_faults_at_once_get_the_worse_verdict_and_both_reasons() -> None:
    """Each fault of one source beside each of another, and beside each of the labels."""
    spoilt: list[tuple[str, str, Episode]] = [
        (verdict, code, spoil(toy.episode(), "guest")) for verdict, code, spoil in PER_SOURCE
    ]
    spoilt += [(verdict, code, spoil(toy.episode())) for verdict, code, spoil in LABELS]
    for first, (verdict, code, spoil) in itertools.product(spoilt, PER_SOURCE):
        found, findings = examine(spoil(first[2], "netflow"), VM46)
        assert found == max(first[0], verdict, key=RANK.__getitem__), (first[1], code)
        assert {first[1], code} <= {own.code for own in findings}


def test_what_stops_the_reading_is_told_alone_and_the_worse_stands(own: Store) -> None:
    """Damaged and unlisted: the damage. Newer and damaged: that we cannot judge it."""
    (id,) = own.ids()
    path = own.folder(id) / SAMPLES
    path.write_bytes(path.read_bytes()[:-1])
    (path.parent / "core").touch()
    assert said(validate_episode(own, id)) == ("rejected", {"sha_mismatch"})
    manifest = Manifest.model_validate_json((path.parent / MANIFEST).read_bytes())
    value = {**manifest.model_dump(), "format": 2}
    (path.parent / MANIFEST).write_text(json.dumps(value))
    assert said(validate_episode(own, id)) == ("errored", {"format_newer"})
