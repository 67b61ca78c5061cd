"""docs/reference/corruptions.md is true, and the corruptions that no other test covers."""

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
def store(tmp_path: Path) -> Store:
    opened = Store.create(tmp_path / "store", schema.vm46())
    opened.publish(toy.episode())
    return opened


def verdict_and_codes(found: ValidationResult) -> tuple[str, set[str]]:
    return found.verdict, set(found.codes)


# ---------------------------------------------------------------- the page


def test_every_corruption_is_on_the_page_once() -> None:
    numbers = [
        number
        for row in ROWS
        for first, _, last in [row.split("|")[1].strip().partition("-")]
        for number in range(int(first), int(last or first) + 1)
    ]
    assert numbers == list(range(1, 71))


def test_codes_on_the_page_are_those_of_the_rules() -> None:
    on_page = {code for row in ROWS for code in re.findall(r"`([a-z_]+)`", row.split("|")[4])}
    assert on_page <= sentences().keys()
    assert sentences().keys() - on_page <= {"clock_fit", "contention", "label_onset", "stray_file"}


def test_every_test_on_the_page_exists() -> None:
    options = {test for row in ROWS for test in re.findall(r"((?:[a-z]+/)*test_\w+)\.(\w+)", row)}
    assert len(options) > 30
    for file, test in options:
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
def test_a_manifest_with_wrong_fields_is_rejected(store: Store, change: OnManifest) -> None:
    (id,) = store.ids()
    path = store.folder(id) / MANIFEST
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))
    assert verdict_and_codes(validate_episode(store, id)) == ("rejected", {"manifest_schema"})


@pytest.mark.parametrize("change", TEXTS.values(), ids=TEXTS)
def test_a_manifest_that_is_no_valid_json_is_rejected(
    store: Store, change: Callable[[bytes], bytes]
) -> None:
    (id,) = store.ids()
    path = store.folder(id) / MANIFEST
    data = path.read_bytes()
    assert change(data) != data
    path.write_bytes(change(data))
    assert verdict_and_codes(validate_episode(store, id)) == ("rejected", {"manifest_schema"})


def test_the_last_of_a_duplicate_key_is_used_and_covered_by_the_digest(store: Store) -> None:
    (id,) = store.ids()
    path = store.folder(id) / MANIFEST
    data = path.read_bytes()
    path.write_bytes(data.replace(b'{\n "format"', b'{\n "host": "eve",\n "format"'))
    assert (validate_episode(store, id).verdict, validate_episode(store, id).host) == (
        "accepted",
        "alpha",
    )
    path.write_bytes(data.replace(b"\n}", b',\n "host": "eve"\n}'))
    assert verdict_and_codes(validate_episode(store, id)) == ("rejected", {"manifest_digest"})


@pytest.mark.parametrize("name", ["~/x", "C:\\x", "a\\b", "..", "/etc/passwd", "a/../b", ""])
def test_a_listed_name_outside_the_folder_is_rejected(store: Store, name: str) -> None:
    (id,) = store.ids()
    manifest = store.manifest(id)
    files = {**manifest.files, name: file_entry(b"")}
    changed = manifest.model_copy(update={"files": files}).sealed()
    (store.folder(id) / MANIFEST).write_bytes(changed)
    assert verdict_and_codes(validate_episode(store, id)) == ("rejected", {"unsafe_path"})


def resealed(store: Store, data: bytes) -> str:
    """The one episode with other samples, listed as they are: a recorder's mistake."""
    (id,) = store.ids()
    manifest = store.manifest(id).model_copy(update={"files": {SAMPLES: file_entry(data)}})
    (store.folder(id) / SAMPLES).write_bytes(data)
    (store.folder(id) / MANIFEST).write_bytes(manifest.sealed())
    return id


def written(table: pa.Table, folder: Path) -> bytes:
    pq.write_table(table, folder / "other.parquet", compression="zstd")
    return (folder / "other.parquet").read_bytes()


def test_a_wrong_digest_of_intact_bytes_is_rejected(store: Store) -> None:
    (id,) = store.ids()
    manifest = store.manifest(id).model_copy(update={"files": {SAMPLES: file_entry(b"other")}})
    (store.folder(id) / MANIFEST).write_bytes(manifest.sealed())
    assert verdict_and_codes(validate_episode(store, id)) == ("rejected", {"sha_mismatch"})


@pytest.mark.parametrize("length", [0, 4, 0.5, -8, -1])
def test_truncated_samples_with_matching_digests_are_rejected(store: Store, length: float) -> None:
    data = (store.folder(store.ids()[0]) / SAMPLES).read_bytes()
    id = resealed(store, data[: int(length * len(data)) if length == 0.5 else int(length)])
    assert verdict_and_codes(validate_episode(store, id)) == ("rejected", {"samples_format"})


def test_columns_of_another_type_or_absent_are_rejected(store: Store, tmp_path: Path) -> None:
    table = pq.read_table(store.folder(store.ids()[0]) / SAMPLES)
    for at, name in enumerate(table.column_names):
        text = pa.array([str(value).encode() for value in table[name].to_pylist()])
        for other in (table.set_column(at, name, text), table.remove_column(at)):
            id = resealed(store, written(other, tmp_path))
            assert verdict_and_codes(validate_episode(store, id)) == (
                "rejected",
                {"samples_format"},
            )


def test_a_row_with_lists_of_different_lengths_is_rejected(store: Store, tmp_path: Path) -> None:
    rows = pq.read_table(store.folder(store.ids()[0]) / SAMPLES).to_pylist()
    rows[1]["values"][3].pop()
    id = resealed(store, written(pa.Table.from_pylist(rows, format._TABLE), tmp_path))
    assert verdict_and_codes(validate_episode(store, id)) == ("rejected", {"samples_format"})


def test_a_decompression_bomb_is_rejected_unread(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of one repeated value takes some bytes; here the limit is a megabyte."""
    monkeypatch.setattr(format, "MAX_FILE_BYTES", 1 << 20)
    many = 1 << 18
    times = pa.array([np.zeros(many, np.int64)])
    values = pa.array([[np.zeros(many)]], pa.list_(pa.list_(pa.float64())))
    columns = [pa.array(["proc"]), pa.array([2.0]), pa.array([["proc.c"]]), times, times, values]
    data = written(pa.Table.from_arrays(columns, schema=format._TABLE), tmp_path)
    assert len(data) < 1 << 12
    assert verdict_and_codes(validate_episode(store, resealed(store, data))) == (
        "rejected",
        {"over_limit"},
    )


def test_an_inconsistent_footer_with_a_matching_digest_is_rejected(store: Store) -> None:
    """Names of channels that cannot be absent, beside a count of how deep their absence goes.

    Arrow's reader ends the process when it is asked about such a column.
    """
    data = (store.folder(store.ids()[0]) / SAMPLES).read_bytes()
    assert data.count(b"\x35\x02\x18\x08channels") == 1
    other = data.replace(b"\x35\x02\x18\x08channels", b"\x35\x00\x18\x08channels")
    assert verdict_and_codes(validate_episode(store, resealed(store, other))) == (
        "rejected",
        {"samples_format"},
    )


def test_a_manifest_over_its_limit_and_a_socket_are_not_read(tmp_path: Path) -> None:
    store = toy.store(tmp_path / "s", seeds=1)
    large, talking, *_ = store.ids()
    os.truncate(store.folder(large) / MANIFEST, (16 << 20) + 1)
    assert verdict_and_codes(validate_episode(store, large)) == ("rejected", {"over_limit"})
    (store.folder(talking) / SAMPLES).unlink()
    descriptor = os.open(store.folder(talking), os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(f"/proc/self/fd/{descriptor}/{SAMPLES}")
        assert verdict_and_codes(validate_episode(store, talking)) == ("rejected", {"unsafe_file"})
    os.close(descriptor)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name", [b"a b", b"x" * 129, b"a\nb", "a\u202eb".encode(), "é".encode(), b"a\xff", b"~a"]
)
def test_a_folder_whose_name_is_no_id_is_rejected(
    store: Store, tmp_path: Path, name: bytes
) -> None:
    os.mkdir(os.fsencode(store.root / "episodes") + b"/" + name)
    found = {one.verdict: one for one in sweep.validate_store(store)}
    assert verdict_and_codes(found["rejected"]) == ("rejected", {"id_invalid"})
    index.write(list(found.values()), tmp_path / "index.parquet")
    assert len(index.read(tmp_path / "index.parquet")) == 2
    json.dumps(found["rejected"].id).encode("ascii")


def test_an_unlisted_file_of_any_name_degrades(store: Store, tmp_path: Path) -> None:
    (id,) = store.ids()
    (Path(os.fsdecode(os.fsencode(store.folder(id)) + b"/\xff\n"))).touch()
    found = validate_episode(store, id)
    assert verdict_and_codes(found) == ("degraded", {"file_unlisted"})
    index.write([found], tmp_path / "index.parquet")


def test_an_unfinished_episode_is_not_validated(store: Store) -> None:
    (store.root / "episodes" / ".tmp-later").mkdir()
    assert [one.id for one in sweep.validate_store(store)] == store.ids()


# ---------------------------------------------------------------- telemetry


@pytest.mark.parametrize("source", VM46.sources)
@pytest.mark.parametrize("scale", [1, 10**3, 10**6])
def test_a_clock_in_another_unit_is_rejected(source: str, scale: int) -> None:
    episode = toy.episode()
    t = episode.sources[source].t_wall_ns // (NS // scale)
    verdict, findings = examine(with_source(episode, source, t_wall_ns=t), VM46)
    assert verdict == "rejected"
    assert any(one.code == "clock_base" and source in one.reason for one in findings)


@pytest.mark.parametrize("source", VM46.sources)
def test_reordered_or_additional_channels_are_accepted(source: str) -> None:
    episode = toy.episode()
    samples = episode.sources[source]
    turned = with_source(
        episode, source, names=samples.names[::-1], values=samples.values[:, ::-1].copy()
    )
    more = np.column_stack((samples.values, np.ones(len(samples))))
    wider = with_source(episode, source, names=(*samples.names, f"{source}.new"), values=more)
    assert examine(turned, VM46)[0] == examine(wider, VM46)[0] == "accepted"


@pytest.mark.parametrize("source", VM46.sources)
def test_a_renamed_channel_is_reported_as_missing(source: str) -> None:
    samples = toy.episode().sources[source]
    names = (f"{source}.other", *samples.names[1:])
    verdict, findings = examine(with_source(toy.episode(), source, names=names), VM46)
    assert (verdict, {one.code for one in findings}) == ("rejected", {"columns"})


@pytest.mark.parametrize("source", VM46.sources)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_reported_with_their_share(
    source: str, value: float
) -> None:
    values = toy.episode().sources[source].values.copy()
    values[5:25, -1] = value
    verdict, findings = examine(with_source(toy.episode(), source, values=values), VM46)
    assert verdict == "degraded"
    reasons = [one.reason for one in findings if one.code == "value_nonfinite"]
    assert reasons and f"20 of {len(values)}" in reasons[0]


def test_resets_are_counted() -> None:
    values = toy.episode().sources["proc"].values.copy()
    for row in (20, 40, 60):
        values[row:, 0] -= values[row, 0]
    reasons = [
        one.reason
        for one in examine(with_source(toy.episode(), "proc", values=values), VM46)[1]
        if one.code == "counter_reset"
    ]
    assert reasons == ["counter proc.vcpu_run runs back 3 times"]


# ---------------------------------------------------------------- errored


def test_an_unreadable_file_is_errored() -> None:
    """As nobody, of a file and of a folder that root alone may read."""
    if os.geteuid():
        pytest.skip("needs root, to become nobody")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        store = toy.store(Path(folder, "s"), seeds=1)
        closed, hidden, *_ = store.ids()
        (store.folder(closed) / SAMPLES).chmod(0)
        store.folder(hidden).chmod(0)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.setgid(65534)
            os.setuid(65534)
            found = [[one.verdict, *one.codes] for one in sweep.validate_store(store)]
            os.write(writing, json.dumps(found[:3]).encode())
            os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
        with os.fdopen(reading) as sent:
            assert json.load(sent) == [["errored", "io"], ["errored", "io"], ["accepted"]]


def short(*values: object) -> Iterator[str]:
    raise MemoryError


@pytest.mark.parametrize(
    "place", ["verify_files", "open_samples", "read_table", "assemble_episode", "rule", "arrow"]
)
def test_a_lack_of_memory_is_errored(
    store: Store, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == "rule":
        monkeypatch.setattr(rules, "RULES", [Rule("short", "rejected", short)])
    elif place != "arrow":
        monkeypatch.setattr(sweep, place, short)
    else:

        def file(*values: object, **options: object) -> None:
            raise pa.ArrowMemoryError("malloc of size 1 failed")

        monkeypatch.setattr(pq, "ParquetFile", file)
    assert verdict_and_codes(validate_episode(store, store.ids()[0])) == ("errored", {"io"})


def test_a_rule_that_raises_does_not_end_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = toy.store(tmp_path / "s", seeds=1)

    def broken(facts: Facts) -> Iterator[str]:
        if facts.episode.id == store.ids()[0]:
            raise ZeroDivisionError
        yield from ()

    monkeypatch.setattr(rules, "RULES", [*rules.RULES, Rule("broken", "rejected", broken)])
    found = sweep.validate_store(store)
    assert verdict_and_codes(found[0]) == ("errored", {"check_bug"})
    assert {one.verdict for one in found[1:]} == {"accepted"}


def test_an_episode_removed_during_a_sweep_is_errored_and_then_absent(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = store.ids()
    store.remove(ids[0])
    with monkeypatch.context() as late:
        late.setattr(store, "ids", lambda: ids)
        assert [verdict_and_codes(one) for one in sweep.validate_store(store)] == [
            ("errored", {"io"})
        ]
    assert sweep.validate_store(store) == []


def test_a_file_that_changes_while_it_is_read_is_errored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,), read = store.ids(), format.read_file

    def growing(path: Path, most: int) -> bytes:
        data = read(path, most)
        if path.name == SAMPLES:
            with path.open("ab") as file:
                file.write(b"x")
        return data[:-1] if path.name == SAMPLES else data

    monkeypatch.setattr(format, "read_file", growing)
    assert verdict_and_codes(validate_episode(store, id)) == ("errored", {"unstable_read"})


def test_an_episode_added_during_a_sweep_is_validated_by_the_next(store: Store) -> None:
    later = toy.episode(seed=2)

    def tick(count: int) -> None:
        if later.id not in store.ids():
            store.publish(later)

    assert [one.id for one in sweep.validate_store(store, tick)] != store.ids()
    assert [one.id for one in sweep.validate_store(store)] == store.ids()


def test_a_full_disk_leaves_the_old_index(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index.parquet"
    index.write(sweep.validate_store(store), path)
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
    store, out = toy.store(tmp_path / "s", seeds=1), tmp_path / "out"
    words = [sys.executable, "-c", TWO, str(store.root), str(out)]
    both = [subprocess.Popen(words) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    index.write(sweep.validate_store(store), tmp_path / "alone")
    assert (out / "index").read_bytes() == (tmp_path / "alone").read_bytes()
    assert len(VerdictCache(out / "cache", store.schema).read()) in (0, 12)


def test_an_interrupted_sweep_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt comes as the second block ends; the first is not validated again."""
    store = toy.store(tmp_path / "s", seeds=1)
    monkeypatch.setattr(local, "SETTLED_NS", 0)
    monkeypatch.setattr(sweep, "BLOCK", 5)
    cache = VerdictCache(tmp_path / "cache", store.schema)
    validated: list[str] = []

    def interrupted(work: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        yield work(blocks[0])
        raise KeyboardInterrupt

    def noted(work: Callable[[Any], Any], blocks: Sequence[Any]) -> Iterator[Any]:
        validated.extend(id for block in blocks for id in block)
        return map(work, blocks)

    with pytest.raises(KeyboardInterrupt):
        sweep.validate_store(store, executor=interrupted, cache=cache)
    assert len(sweep.validate_store(store, executor=noted, cache=cache)) == 12
    assert validated == store.ids()[5:]


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
        assert {first[1], code} <= {one.code for one in findings}


def test_a_fault_that_prevents_reading_is_reported_alone_with_the_worse_verdict(
    store: Store,
) -> None:
    """Damaged and unlisted: the damage. Newer and damaged: the format that cannot be read."""
    (id,) = store.ids()
    path = store.folder(id) / SAMPLES
    path.write_bytes(path.read_bytes()[:-1])
    (path.parent / "core").touch()
    assert verdict_and_codes(validate_episode(store, id)) == ("rejected", {"sha_mismatch"})
    manifest = Manifest.model_validate_json((path.parent / MANIFEST).read_bytes())
    value = {**manifest.model_dump(), "format": 2}
    (path.parent / MANIFEST).write_text(json.dumps(value))
    assert verdict_and_codes(validate_episode(store, id)) == ("errored", {"format_newer"})
