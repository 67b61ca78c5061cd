"""The store's format, version 1: header, manifest and samples of an episode, as bytes and back."""

import contextlib
import errno
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phasewatch import schema
from phasewatch.episode import ID, Episode, Label, Provenance, Samples
from phasewatch.errors import Refused
from phasewatch.io import atomic, parquet_headers
from phasewatch.io.plain_file import open_plain
from phasewatch.schema import Schema

FORMAT: Literal[1] = 1
SAMPLES = "samples.parquet"
MANIFEST = "manifest.json"
HEADER = "store.json"
HEADER_FIELDS = frozenset({"format", "schema", "simulated"})

MAX_MANIFEST_BYTES, MAX_FILE_BYTES = 16 << 20, 1 << 30
"""The most bytes of a manifest and of any other file: larger ones are not read."""

_TABLE = pa.schema(
    [
        ("source", pa.string()),
        ("rate_hz", pa.float64()),
        ("channels", pa.list_(pa.string())),
        ("t_wall_ns", pa.list_(pa.int64())),
        ("t_mono_ns", pa.list_(pa.int64())),
        ("values", pa.list_(pa.list_(pa.float64()))),
    ]
)

Ns = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A time in nanoseconds, which 64 bits hold."""

ENCODINGS = {
    "t_wall_ns.list.element": "DELTA_BINARY_PACKED",
    "t_mono_ns.list.element": "DELTA_BINARY_PACKED",
    "values.list.element.list.element": "BYTE_STREAM_SPLIT",
}
"""Encodings of the columns of numbers, which reduce them to a fourth of their size."""


class File(BaseModel):
    """Digest and size of one file of an episode."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


@dataclass(frozen=True)
class _Format:
    format: Literal[1]


# The fields of the last base come first in the file, and are validated first.
class Manifest(BaseModel, Provenance, _Format, extra="forbid", frozen=True, strict=True):
    """`manifest.json`: all of an episode but its samples; `digest` covers the other fields."""

    start_ns: Ns
    end_ns: Ns
    labels: list[tuple[Ns, str]]
    rows: dict[str, int]
    files: dict[str, File]
    notes: dict[str, Any]
    digest: str

    def computed(self) -> str:
        """Return the digest that this manifest should have."""
        files = {name: vars(file) for name, file in self.files.items()}
        rest = {**vars(self), "files": files}
        del rest["digest"]
        return atomic.digest(rest)

    def sealed(self) -> bytes:
        """Return the bytes of the file, with its digest set."""
        manifest = self.model_copy(update={"digest": self.computed()})
        return (json.dumps(manifest.model_dump(), indent=1) + "\n").encode()


def parse_header(data: bytes, where: object) -> tuple[Schema, Mapping[str, Any] | None]:
    """Return the schema of a store, and how its episodes were simulated; None where recorded.

    Raises Refused naming `where`.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused(
            where, f"not JSON ({error})", "a store header", "Restore it.", code="store_json"
        ) from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        found = value.get("format") if isinstance(value, dict) else value
        raise Refused(
            f"{where}: format",
            f"is {found!r}",
            f"{FORMAT}",
            "Use the release of phasewatch that wrote it.",
            code="store_format",
        )
    # A key that is misspelt would make simulated episodes look recorded.
    for name in value.keys() - HEADER_FIELDS:
        expected = f"only {', '.join(sorted(HEADER_FIELDS))}"
        raise Refused(f"{where}: {name}", "is unknown", expected, "Restore it.", code="store_json")
    simulated = value.get("simulated")
    if simulated is not None and not isinstance(simulated, dict):
        raise Refused(
            f"{where}: simulated",
            f"is {simulated!r}",
            "a table with seed, faults and fit, or nothing where episodes were recorded",
            "Restore it.",
            code="store_json",
        )
    return schema.parse(value.get("schema"), where), simulated


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a plain file, at most `most` of them. Raises Refused, or OSError.

    Links, devices and folders are never read, and opening never blocks.
    """
    try:
        with open_plain(path) as file:
            if not file.plain:
                raise unsafe_path(path)
            if file.status.st_size > most:
                raise Refused(
                    path,
                    f"holds {file.status.st_size:,} bytes",
                    f"at most {most:,}",
                    "Record shorter episodes.",
                    code="over_limit",
                )
            return file.read()
    except FileNotFoundError as error:
        raise missing_file(path) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise unsafe_path(path) from error
        raise


def read_listed_file(folder: Path, name: str) -> bytes:
    """Return the bytes of a file that a manifest lists. Raises Refused, or OSError."""
    if not ID.fullmatch(name):
        raise Refused(
            f"{folder / MANIFEST}: files",
            f"lists {name!r}",
            "plain names of files beside it",
            "Publish the episode again.",
            code="unsafe_path",
        )
    return read_file(folder / name, MAX_FILE_BYTES)


def _invalid_manifest(path: object, error: ValidationError) -> Refused:
    """Return the refusal of an invalid manifest; a newer format has a code of its own."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"])) or "file"
    problem, remedy, code = first["msg"], "Publish the episode again.", "manifest_schema"
    if first["loc"] == ("format",) and type(first["input"]) is int and first["input"] > FORMAT:
        problem, code = f"is {first['input']}", "format_newer"
        remedy = "Use a newer release of phasewatch."
    return Refused(
        f"{path}: {field}",
        problem,
        "a manifest as in docs/reference/store-format.md",
        remedy,
        code=code,
    )


def encode_episode(episode: Episode) -> dict[str, bytes]:
    """Return an episode's files by name: the samples, and the manifest with their digest."""
    data = encode_samples(episode.sources)
    draft = Manifest(
        format=FORMAT,
        **episode.provenance,
        start_ns=episode.start_ns,
        end_ns=episode.end_ns,
        labels=[(label.t_wall_ns, label.phase) for label in episode.labels],
        rows={source: len(samples) for source, samples in episode.sources.items()},
        files={SAMPLES: file_entry(data)},
        notes=dict(episode.notes),
        digest="",
    )
    return {SAMPLES: data, MANIFEST: draft.sealed()}


def parse_manifest(data: bytes, id: str, where: object) -> Manifest:
    """Return the manifest of episode `id` from a file's bytes. Raises Refused naming `where`."""
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise _invalid_manifest(where, error) from error
    try:
        computed = manifest.computed()
    except ValueError as error:
        raise Refused(
            f"{where}: notes",
            f"holds what JSON has no word for ({error})",
            "numbers other than NaN and infinity, and text",
            "Publish the episode again.",
            code="manifest_schema",
        ) from error
    if manifest.digest != computed:
        raise Refused(
            f"{where}: digest",
            "the manifest was changed after it was written",
            f"digest {computed[:12]}…",
            "Restore the file or publish the episode again.",
            code="manifest_digest",
        )
    if manifest.id != id:
        raise Refused(
            f"{where}: id",
            f"is {manifest.id!r}",
            f"the folder's name {id!r}",
            "Rename the folder back.",
            code="id_invalid",
        )
    return manifest


def decode_episode(manifest: Manifest, files: Mapping[str, bytes], place: str) -> Episode:
    """Return an episode from its manifest and the bytes of all listed files.

    Raises Refused naming files in `place`.
    """
    where = f"{place}/{SAMPLES}"
    return assemble_episode(
        manifest,
        read_table(open_samples(verify_files(manifest, files, place), where), where),
        where,
    )


def verify_files(manifest: Manifest, files: Mapping[str, bytes], place: str) -> bytes:
    """Return the bytes of the samples, after every file has been compared with its digest.

    Raises Refused naming files in `place`.
    """
    for name in sorted({SAMPLES, *manifest.files}):
        if name not in manifest.files:
            raise Refused(
                f"{place}/{MANIFEST}: files",
                f"does not list {name}",
                "every file of the episode with its digest",
                "Publish the episode again.",
                code="manifest_schema",
            )
        if name not in files:
            raise missing_file(f"{place}/{name}")
        _verify(manifest.files[name], files[name], f"{place}/{name}")
    return files[SAMPLES]


def assemble_episode(manifest: Manifest, table: pa.Table, where: object) -> Episode:
    """Return an episode from its manifest and table of samples. Raises Refused naming `where`."""
    return Episode(
        **manifest.provenance,
        start_ns=manifest.start_ns,
        end_ns=manifest.end_ns,
        labels=tuple(Label(*row) for row in manifest.labels),
        sources=samples_of_table(table, where),
        notes=manifest.notes,
    )


def _verify(listed: File, data: bytes, where: object) -> None:
    """Raise Refused unless `data` has the listed size and digest."""
    sha256 = hashlib.sha256(data).hexdigest()
    if (sha256, len(data)) != (listed.sha256, listed.bytes):
        raise Refused(
            where,
            f"holds {len(data)} bytes with sha256 {sha256[:12]}…",
            f"{listed.bytes} bytes with {listed.sha256[:12]}…",
            "The file was damaged after it was published: restore it or record again.",
            code="sha_mismatch",
        )


def file_entry(data: bytes) -> File:
    """Return the digest and size of a file's content."""
    return File(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def encode_samples(sources: Mapping[str, Samples]) -> bytes:
    """Return all samples of an episode as one Parquet file with one row per source."""
    rows = [
        {
            "source": source,
            "rate_hz": samples.rate_hz,
            "channels": list(samples.names),
            "t_wall_ns": samples.t_wall_ns,
            "t_mono_ns": samples.t_mono_ns,
            "values": list(np.ascontiguousarray(samples.values.T)),
        }
        for source, samples in sources.items()
    ]
    table = pa.Table.from_pylist(rows, schema=_TABLE)
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        # Unpacks in half the time of zstd and adds a tenth to the size: decision 22.
        compression="lz4",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
        store_schema=False,
        column_encoding=ENCODINGS,
    )
    return buffer.getvalue()


def decode_samples(data: bytes, where: object) -> dict[str, Samples]:
    """Return samples by source. Raises Refused naming `where`, or MemoryError."""
    return samples_of_table(read_table(open_samples(data, where), where), where)


def open_samples(data: bytes, where: object) -> pq.ParquetFile:
    """Open the bytes of samples. Raises Refused naming `where`, or MemoryError."""
    with _decoding(where):
        _refuse_bomb(parquet_headers.unpacked_size(data), where)
        return pq.ParquetFile(
            pa.BufferReader(data), page_checksum_verification=True, pre_buffer=False
        )


def _refuse_bomb(size: int, where: object) -> None:
    """Raise Refused where few bytes unpack to many, as a long run of equal values does."""
    if size > MAX_FILE_BYTES:
        raise Refused(
            where,
            f"unpacks to up to {size:,} bytes",
            f"at most {MAX_FILE_BYTES:,}",
            "Record shorter episodes.",
            code="over_limit",
        )


def read_table(file: pq.ParquetFile, where: object) -> pa.Table:
    """Return the table of an open file. Raises Refused naming `where`, or MemoryError."""
    with _decoding(where):
        # An episode is small: threads cost more than they gain.
        return file.read(use_threads=False)


def samples_of_table(table: pa.Table, where: object) -> dict[str, Samples]:
    """Return the samples of each row by its source. Raises Refused naming `where`."""
    with _decoding(where):
        return _samples(table)


@contextlib.contextmanager
def _decoding(where: object) -> Iterator[None]:
    """Turn decoding errors in the block into Refused naming `where`, but not MemoryError."""
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refused(
            where,
            f"cannot be read ({str(error).splitlines()[0]})",
            "samples as in docs/reference/store-format.md",
            "Publish the episode again.",
            code="samples_format",
        ) from error


def _samples(table: Any) -> dict[str, Samples]:
    """Return samples by source from the flat arrays behind the list columns.

    Raises ValueError for a table of another form.
    """
    if not table.schema.equals(_TABLE):
        columns = (f"{field.name} {field.type}" for field in table.schema)
        raise ValueError("columns " + ", ".join(columns))
    if not table.num_rows:
        return {}
    source, rate_hz, channels, wall, mono, values = map(_contiguous, table.columns)
    # A null among the values is not measured, as NaN is.
    held = (channels.values, wall.values, mono.values, values.values)
    if any(one.null_count for one in (source, rate_hz, channels, wall, mono, values, *held)):
        raise ValueError("a row lacks a value")
    sources = source.to_pylist()
    if len(set(sources)) < len(sources):
        raise ValueError(f"a source has two rows: {', '.join(sources)}")
    t_wall_ns, t_mono_ns = wall.values.to_numpy(), mono.values.to_numpy()
    flat = values.values.values.to_numpy(zero_copy_only=False)
    starts = values.values.offsets.to_numpy()
    lengths, starts = np.diff(starts).tolist(), starts.tolist()
    rates = rate_hz.to_pylist()
    rows, clocks, spans = (one.offsets.to_pylist() for one in (wall, mono, values))
    found = {}
    for row, names in enumerate(channels.to_pylist()):
        count, part = rows[row + 1] - rows[row], slice(spans[row], spans[row + 1])
        if lengths[part] != [count] * len(names):
            raise ValueError(f"{len(names)} channels of {count} rows hold {lengths[part]} values")
        square = flat[starts[part.start] : starts[part.stop]].reshape(len(names), count)
        found[sources[row]] = Samples(
            tuple(names),
            t_wall_ns[rows[row] : rows[row + 1]],
            t_mono_ns[clocks[row] : clocks[row + 1]],
            square.T,
            rates[row],
        )
    return found


def _contiguous(column: Any) -> Any:
    """Return a column of a table as one array."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def missing_file(path: Path | str) -> Refused:
    """Return the refusal of a missing file of the store."""
    usual = {MANIFEST: "a manifest", SAMPLES: "the samples"}
    what = usual.get(Path(path).name, "a file that the manifest lists")
    return Refused(path, "is missing", what, "Record it again.", code="file_missing")


def unsafe_path(path: Path) -> Refused:
    """Return the refusal of a path that is no plain file."""
    return Refused(
        path,
        "is a link, a folder or a device, and was not opened",
        "a plain file",
        "Copy the episode with its files, not with links.",
        code="unsafe_file",
    )
