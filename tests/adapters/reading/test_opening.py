"""Every format gives the same rows, compressed or not; a broken row is reported by its line."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from phasewatch.adapters.reading import opening
from phasewatch.adapters.reading.source import find
from phasewatch.adapters.reading.table import Table
from phasewatch.errors import Refused

COLUMNS = {"ts": ["1", "2"], "cpu": ["0.5", ""]}

ZEEK = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
    "#fields\tts\tcpu\n#types\ttime\tdouble\n1\t0.5\n2\t-\n#close\t2026\n"
)
WRITTEN: dict[str, Callable[[Path], object]] = {
    ".csv": lambda path: path.write_text('ts,cpu\n1,0.5\n"2",\n'),
    ".tsv": lambda path: path.write_text("ts\tcpu\n1\t0.5\n2\t\n"),
    ".log": lambda path: path.write_text(ZEEK),
    ".jsonl": lambda path: path.write_text('{"ts": 1, "cpu": 0.5}\n\n{"ts": 2, "cpu": null}\n'),
    ".ndjson": lambda path: path.write_text('{"ts": "1", "cpu": 0.5}\n{"ts": "2"}'),
    ".parquet": lambda path: pq.write_table(pa.table({"ts": [1, 2], "cpu": [0.5, None]}), path),
    ".ts": lambda path: path.write_text(
        "@problemName x\n@classLabel true a b\n@data\n1,2:?,4:a\n5,6:7,8:b\n"
    ),
}


def read(path: Path) -> Table:
    (given,) = find(path)
    return opening.sample(given)


def _zipped(data: bytes, name: str = "inner") -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return found.getvalue()


def _tarred() -> bytes:
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    return found.getvalue()


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: bytes(pa.Codec("zstd").compress(data)),
    ".zip": _zipped,
}


@pytest.mark.parametrize("ending", sorted(set(WRITTEN) - {".ts"}))
@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("named", [True, False])
def test_every_format_yields_the_same_rows(
    ending: str, compression: str, named: bool, tmp_path: Path
) -> None:
    """Compression is told by the content: a name without endings makes no difference."""
    plain = tmp_path / f"a{ending}"
    WRITTEN[ending](plain)
    path = tmp_path / "packed" / (f"a{ending}{compression}" if named else "a")
    path.parent.mkdir()
    path.write_bytes(COMPRESSED[compression](plain.read_bytes()))
    if not named and ending == ".tsv":
        path.write_bytes(COMPRESSED[compression](b"ts\tcpu\n1\t0.5\n2\t\n3\t1\n"))
        return
    found = read(path)
    assert found.columns == COLUMNS
    assert len(found) == 2
    assert found.dropped == []


def test_cases_of_an_archive_are_separate_and_labelled(tmp_path: Path) -> None:
    path = tmp_path / "x_TRAIN.ts"
    WRITTEN[".ts"](path)
    found = read(path)
    assert found.columns["case"] == ["x_TRAIN-1"] * 2 + ["x_TRAIN-2"] * 2
    assert found.columns["label"] == ["a", "a", "b", "b"]
    assert found.columns["dim_0"] == ["1", "2", "5", "6"]
    assert found.columns["dim_1"] == ["", "4", "7", "8"]
    moments = [int(cell) for cell in found.columns["time"]]
    assert moments[1] - moments[0] == 1
    assert moments[2] - moments[1] > 1000


@pytest.mark.parametrize(
    ("name", "text", "line", "why"),
    [
        ("a.csv", "ts,cpu\n1,2\n3\n", 3, "1 fields where the header has 2"),
        ("a.jsonl", '{"ts": 1}\n{"ts"\n', 2, "Expecting"),
        ("a.jsonl", '{"ts": 1}\n[]\n', 2, "no JSON object"),
        ("a.ts", "@data\n1,2:3\n1,2:3,4\n", 2, "not 2 of one length"),
    ],
)
def test_a_broken_row_is_dropped_and_reported(
    name: str, text: str, line: int, why: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    (dropped,) = read(path).dropped
    assert dropped.line == line
    assert why in dropped.reason


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"  \n", "empty"),
        ("a.csv", bytes(range(256)) * 9, "binary"),
        ("a.csv", b"ts,cpu\n1,\x81\n", "cp1252"),
        ("a.xlsx", _zipped(b"x", "[Content_Types].xml"), "spreadsheet"),
        ("a.tar.gz", _tarred(), "tar archive"),
        ("a.csv.bz2", bz2.compress(b"ts,cpu\n1,2\n")[:-9], "end"),
        ("a.csv.xz", lzma.compress(b"ts,cpu\n1,2\n")[:-9], "end"),
        ("a.csv.zst", bytes(pa.Codec("zstd").compress(b"ts,cpu\n1,2\n" * 99))[:-9], "complete"),
        ("a.h5", b"\x89HDF\r\n", "HDF5"),
        ("a.json", b'{"a": [1,\n', "JSON"),
        ("a.txt", b"procs -----------memory---------- ---swap--\\n r  b   swpd\n", "jc"),
        ("a.txt", b"Linux 5.10.0-8-amd64 (web1) \t07/05/23 \t_x86_64_\t(2 CPU)\n\n", "sadf -d"),
        ("a.txt", b"cpu,host=web1 user=1.5,idle=2i 1688551200000000000\n", "line protocol"),
        ("a.csv.gz", gzip.compress(b"ts,cpu\n1,2\n", mtime=0)[:-9], "end"),
        ("a.parquet", b"PAR1", "Parquet"),
        ("a.ts", b"1,2,3\n", "no line @data"),
    ],
    ids=lambda one: one if isinstance(one, str) else "bytes",  # archives hold the time of making
)
def test_a_file_that_cannot_be_read_is_refused(
    name: str, data: bytes, why: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(Refused, match=why) as refused:
        read(path)
    assert str(path) in str(refused.value)


def test_nested_objects_are_columns_with_dots(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"host": {"cpu": {"user": 3}}, "up": true}\n')
    found: Table = read(path)
    assert found.columns == {"host.cpu.user": ["3"], "up": ["True"]}


def _two_of_one_name(path: Path) -> None:
    columns = [pa.array([1]), pa.array([2])]
    pq.write_table(pa.Table.from_arrays(columns, names=["ts", "ts"]), path)


def _beyond_nanoseconds(path: Path) -> None:
    pq.write_table(pa.table({"ts": pa.array([253_402_300_799], pa.timestamp("s"))}), path)


HOSTILE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a separator that is none": (".log", lambda path: path.write_text(ZEEK.replace("x09", "x"))),
    "no separator": (".log", lambda path: path.write_text("#separator\n#fields\tts\n1\n")),
    "two columns of one name": (".parquet", _two_of_one_name),
    "a time that nanoseconds cannot hold": (".parquet", _beyond_nanoseconds),
    "no Parquet": (".parquet", lambda path: path.write_bytes(b"PAR1" + bytes(99) + b"PAR1")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_read_is_refused_by_its_file(name: str, tmp_path: Path) -> None:
    ending, write = HOSTILE[name]
    write(tmp_path / f"x{ending}")
    with pytest.raises(Refused, match="x"):
        read(tmp_path / f"x{ending}")


@pytest.mark.parametrize("inner", ["[" * 100_000, '{"a":' * 100_000])
def test_an_object_that_nests_too_deep_is_dropped(inner: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"ts": 1}\n{"ts": ' + inner + "\n")
    found = read(tmp_path / "x.jsonl")
    assert found.lines == [1] and [one.line for one in found.dropped] == [2]


def test_a_case_without_a_label_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "x.ts").write_text("@classLabel true a b\n@data\n1,2\n1,2:a\n")
    found = read(tmp_path / "x.ts")
    assert [one.line for one in found.dropped] == [3] and found.lines == [4, 4]
