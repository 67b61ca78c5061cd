"""The episode store: what recorders publish and every later stage reads.

One folder an episode, published whole by one rename and never changed: `manifest.json` (who,
when, labels, digests) and `samples.parquet` (one row a source). `docs/store-format.md` is the
contract for recorders written by strangers; `docs/decisions/0001-one-file-of-samples.md` has the
measurements.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phasewatch import schema
from phasewatch.episode import ID, Episode, Label, Samples
from phasewatch.errors import Refused, differences
from phasewatch.io import atomic, parquet_headers
from phasewatch.schema import NS, Schema

FORMAT: Literal[1] = 1
SAMPLES = "samples.parquet"
MANIFEST = "manifest.json"
HEADER = "store.json"

MANIFEST_MOST, SAMPLES_MOST = 16 << 20, 1 << 30
"""Bytes that a manifest and any other file may hold: what is larger is not read."""

SETTLED_NS = NS // 20
"""A file that changed this recently may change again within one tick of its clock: no stamp."""

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


ENCODINGS = {
    "t_wall_ns.list.element": "DELTA_BINARY_PACKED",
    "t_mono_ns.list.element": "DELTA_BINARY_PACKED",
    "values.list.element.list.element": "BYTE_STREAM_SPLIT",
}
"""What the columns of numbers are written as: they shrink to a fourth."""


class File(BaseModel):
    """Digest and size of one file of an episode."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Manifest(BaseModel):
    """`manifest.json`: all of an episode but its samples; `digest` covers the other fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    format: Literal[1]
    id: str
    host: str = Field(min_length=1)
    sample: str = Field(min_length=1)
    profile: str = Field(min_length=1)
    campaign: str = Field(min_length=1)
    start_ns: Ns
    end_ns: Ns
    labels: list[tuple[Ns, str]]
    rows: dict[str, int]
    files: dict[str, File]
    notes: dict[str, Any]
    digest: str

    def computed(self) -> str:
        """The digest this manifest should carry."""
        files = {name: vars(file) for name, file in self.files.items()}
        rest = {**vars(self), "files": files}
        del rest["digest"]
        return hashlib.sha256(atomic.canonical(rest)).hexdigest()

    def sealed(self) -> bytes:
        """The file's bytes, with the digest it should carry."""
        whole = self.model_copy(update={"digest": self.computed()})
        return (json.dumps(whole.model_dump(), indent=1) + "\n").encode()


class Store:
    """A folder of episodes of one Schema, all recorded or all simulated.

    `simulated` tells from which seed and fit; None where the episodes were recorded.
    """

    def __init__(
        self, root: Path, schema: Schema, simulated: Mapping[str, Any] | None = None
    ) -> None:
        self.root = root
        self.schema = schema
        self.simulated = simulated
        self._episodes = root / "episodes"

    @classmethod
    def open(cls, root: Path) -> "Store":
        """The store at `root`; raises Refused when there is none or it is of another format."""
        path = root / HEADER
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise _unsafe(path)
            data = path.read_bytes()
        except OSError as error:
            raise Refused(
                path,
                error.strerror or str(error),
                "an episode store",
                "Give the folder that holds store.json.",
                code="store_missing",
            ) from error
        return cls(root, *parse_header(data, path))

    @classmethod
    def create(
        cls, root: Path, schema: Schema, simulated: Mapping[str, Any] | None = None
    ) -> "Store":
        """A store at `root`, new or existing; an existing one must be of the same kind."""
        atomic.refuse_url(root)
        if (root / HEADER).exists():
            store = cls.open(root)
            if store.schema.fingerprint != schema.fingerprint:
                raise Refused(
                    root / HEADER,
                    "; ".join(schema.gaps(store.schema)) or "its channels are others",
                    f"the schema {schema.name}",
                    "Record into another folder.",
                    code="store_schema",
                )
            store._refuse_kind(simulated)
            return store
        header = {"format": FORMAT, "schema": schema.dump()} | (
            {"simulated": simulated} if simulated else {}
        )
        atomic.write(root / HEADER, (json.dumps(header, indent=1) + "\n").encode())
        return cls(root, schema, simulated)

    def _refuse_kind(self, simulated: Mapping[str, Any] | None) -> None:
        """Raise Refused unless its episodes were made as `simulated` says."""
        if self.simulated == simulated:
            return
        if self.simulated and simulated:
            problem = f"simulated otherwise: {differences(self.simulated, simulated)}"
        else:
            problem = f"holds {'simulated' if self.simulated else 'recorded'} episodes"
        raise Refused(
            self.root / HEADER,
            problem,
            "a store of the same simulation" if simulated else "a store of recorded episodes",
            "Write into another folder.",
            code="store_kind",
        )

    def refuse_simulated(self, what: str) -> None:
        """Raise Refused when the episodes are simulated: scores on them mean nothing."""
        if self.simulated:
            raise Refused(
                self.root / HEADER,
                f"holds simulated episodes, and {what} gives scores",
                "a store of recorded episodes",
                "Record some, or use the corpus; simulated stores are for scale and tests.",
                code="store_kind",
            )

    def ids(self) -> list[str]:
        """Ids of all published episodes, sorted."""
        folder = self._episodes
        if not folder.is_dir():
            return []
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))

    def stamp(self, id: str) -> str:
        """What changes when an episode's files do, "" while they may still. Raises OSError."""
        folder = self._episodes / id
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        found = [entry.stat(follow_symlinks=False) for entry in entries]
        own = os.lstat(folder)
        latest = max(one.st_ctime_ns for one in (own, *found))
        if time.time_ns() - latest < SETTLED_NS:
            return ""
        told = [
            (entry.name, one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino)
            for entry, one in zip(entries, found, strict=True)
        ]
        return hashlib.sha256(repr((own.st_dev, own.st_ino, told)).encode()).hexdigest()[:32]

    def place(self, id: str) -> str:
        """Where an episode lies, for a person."""
        return str(self.folder(id))

    @contextlib.contextmanager
    def near(self, id: str) -> Iterator["Store"]:
        """A store on this machine with that episode in it: this one."""
        yield self

    def folder(self, id: str) -> Path:
        """Where an episode lies; raises Refused for an id that could leave the store."""
        if not ID.fullmatch(id):
            raise Refused(
                f"{self.root}: episode id",
                f"{id!r} is not usable",
                "letters, digits, '.', '_' and '-', at most 128, the first a letter or digit",
                "Rename the episode.",
                code="id_invalid",
            )
        return self._episodes / id

    def publish(self, episode: Episode) -> Path:
        """Write an episode; it appears whole or not at all. Raises Refused when the id is taken."""
        return self.put(episode.id, pack(episode))

    def put(self, id: str, files: Mapping[str, bytes]) -> Path:
        """Write an episode's files as they are. Raises Refused when the id is taken."""
        target = self.folder(id)
        try:
            with atomic.folder(target) as folder:
                for name, data in files.items():
                    (folder / name).write_bytes(data)
        except FileExistsError as error:
            raise Refused(
                target,
                "is already published",
                "a new id",
                "Episodes are never replaced: delete it, or record under another seed.",
                code="id_taken",
            ) from error
        return target

    def manifest(self, id: str) -> Manifest:
        """An episode's manifest, its own digest checked. Raises Refused, or OSError."""
        path = self.folder(id) / MANIFEST
        return parse(content(path, MANIFEST_MOST), id, path)

    def read(self, id: str) -> Episode:
        """An episode, every byte checked against its digest. Raises Refused, or OSError."""
        return self.load(self.manifest(id))

    def load(self, manifest: Manifest) -> Episode:
        """The episode a manifest describes. Raises Refused, or OSError."""
        return unpack(manifest, self.files(manifest), self.place(manifest.id))

    def files(self, manifest: Manifest) -> dict[str, bytes]:
        """The bytes of all files that a manifest lists, unchecked. Raises Refused, or OSError."""
        folder = self.folder(manifest.id)
        return {name: _listed(folder, name) for name in manifest.files}

    def remove(self, id: str) -> None:
        """Take an episode out of the store: it is there whole, or gone."""
        doomed = self._episodes / f"{atomic.PENDING}{id}"
        shutil.rmtree(doomed, ignore_errors=True)
        self.folder(id).rename(doomed)
        shutil.rmtree(doomed)
        atomic.sync(doomed.parent)


def parse_header(data: bytes, where: object) -> tuple[Schema, Mapping[str, Any] | None]:
    """The schema of a store, and how it was simulated, from `store.json`. Raises Refused."""
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
    return schema.parse(value.get("schema"), where), value.get("simulated")


def refuse_empty(ids: Sequence[str], place: object) -> None:
    """Raise Refused where the store at `place` holds no episode: nothing could go wrong there."""
    if not ids:
        raise Refused(
            f"{place}/episodes",
            "holds no episode",
            "at least one",
            "Record some, or give another folder.",
            code="store_empty",
        )


def refuse_unknown(id: str, ids: Sequence[str], option: str) -> None:
    """Raise Refused when the `id` that was given as an option is none of the store's."""
    if id not in ids:
        raise Refused(
            f"{option} {id}",
            "is not in the store",
            f"an id such as {next(iter(ids), 'those under episodes/')}",
            "`phasewatch validate STORE --json` lists them.",
            code="episode_unknown",
        )


def refuse_inside(out: Path) -> None:
    """Raise Refused when `out` is an episode store or lies in one: only episodes go there."""
    atomic.refuse_url(out)
    for place in (out.absolute(), *out.absolute().parents):
        if (place / HEADER).exists():
            raise Refused(
                out,
                f"lies in the episode store {place}" if place != out.absolute() else "is a store",
                "a folder outside of every episode store",
                "Choose another folder.",
                code="in_store",
            )


def content(path: Path, most: int) -> bytes:
    """A plain file's bytes, at most `most` of them. Raises Refused, or OSError.

    A link, a device or a folder is never opened, nor waited for.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _unsafe(path) from error
        raise
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise _unsafe(path)
        if found.st_size > most:
            raise Refused(
                path,
                f"holds {found.st_size:,} bytes",
                f"at most {most:,}",
                "Record shorter episodes.",
                code="over_limit",
            )
        with open(handle, "rb", buffering=0, closefd=False) as file:
            return file.readall() or b""
    finally:
        os.close(handle)


def _listed(folder: Path, name: str) -> bytes:
    """The bytes of a file that a manifest lists. Raises Refused, or OSError."""
    if not ID.fullmatch(name):
        raise Refused(
            f"{folder / MANIFEST}: files",
            f"lists {name!r}",
            "plain names of files beside it",
            "Publish the episode again.",
            code="unsafe_path",
        )
    return content(folder / name, SAMPLES_MOST)


def _misshapen(path: object, error: ValidationError) -> Refused:
    """Why a manifest's bytes are none; a newer format is not the episode's fault."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"])) or "file"
    said, remedy, code = first["msg"], "Publish the episode again.", "manifest_schema"
    if first["loc"] == ("format",) and type(first["input"]) is int and first["input"] > FORMAT:
        said, code = f"is {first['input']}", "format_newer"
        remedy = "Use a newer release of phasewatch."
    return Refused(
        f"{path}: {field}", said, "a manifest as in docs/store-format.md", remedy, code=code
    )


def _missing(path: Path | str) -> Refused:
    usual = {MANIFEST: "a manifest", SAMPLES: "the samples"}
    what = usual.get(Path(path).name, "a file that the manifest lists")
    return Refused(path, "is missing", what, "Record it again.", code="file_missing")


def _unsafe(path: Path) -> Refused:
    return Refused(
        path,
        "is a link, a folder or a device, and was not opened",
        "a plain file",
        "Copy the episode with its files, not with links.",
        code="unsafe_file",
    )


def pack(episode: Episode) -> dict[str, bytes]:
    """An episode's files, by name: the manifest, and the samples that its digests cover."""
    data = encode(episode.sources)
    draft = Manifest(
        format=FORMAT,
        id=episode.id,
        host=episode.host,
        sample=episode.sample,
        profile=episode.profile,
        campaign=episode.campaign,
        start_ns=episode.start_ns,
        end_ns=episode.end_ns,
        labels=[(label.t_wall_ns, label.phase) for label in episode.labels],
        rows={source: len(samples) for source, samples in episode.sources.items()},
        files={SAMPLES: entry(data)},
        notes=dict(episode.notes),
        digest="",
    )
    return {SAMPLES: data, MANIFEST: draft.sealed()}


def parse(data: bytes, id: str, where: object) -> Manifest:
    """The manifest of episode `id` from its file's bytes. Raises Refused naming `where`."""
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise _misshapen(where, error) from error
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


def unpack(manifest: Manifest, files: Mapping[str, bytes], place: str) -> Episode:
    """An episode from its manifest and the bytes of all files listed there.

    Raises Refused naming files in `place`.
    """
    where = f"{place}/{SAMPLES}"
    return assemble(manifest, table(opened(checked(manifest, files, place), where), where), where)


def checked(manifest: Manifest, files: Mapping[str, bytes], place: str) -> bytes:
    """The bytes of the samples, when every file is the one that is listed.

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
            raise _missing(f"{place}/{name}")
        _verify(manifest.files[name], files[name], f"{place}/{name}")
    return files[SAMPLES]


def assemble(manifest: Manifest, table: pa.Table, where: object) -> Episode:
    """An episode from its manifest and what `table` gave. Raises Refused naming `where`."""
    return Episode(
        id=manifest.id,
        host=manifest.host,
        sample=manifest.sample,
        profile=manifest.profile,
        campaign=manifest.campaign,
        start_ns=manifest.start_ns,
        end_ns=manifest.end_ns,
        labels=tuple(Label(*row) for row in manifest.labels),
        sources=samples(table, where),
        notes=manifest.notes,
    )


def _verify(listed: File, data: bytes, where: object) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    if (sha256, len(data)) != (listed.sha256, listed.bytes):
        raise Refused(
            where,
            f"holds {len(data)} bytes with sha256 {sha256[:12]}…",
            f"{listed.bytes} bytes with {listed.sha256[:12]}…",
            "The file was damaged after it was published: restore it or record again.",
            code="sha_mismatch",
        )


def entry(data: bytes) -> File:
    """Digest and size of a file's content."""
    return File(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def encode(sources: Mapping[str, Samples]) -> bytes:
    """All samples of an episode as one Parquet file: a row a source, page checksums on."""
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


def decode(data: bytes, where: object) -> dict[str, Samples]:
    """Samples per source from `encode`'s bytes. Raises Refused naming `where`, or MemoryError."""
    return samples(table(opened(data, where), where), where)


def opened(data: bytes, where: object) -> pq.ParquetFile:
    """`encode`'s bytes, to be unpacked. Raises Refused naming `where`, or MemoryError."""
    with _decoding(where):
        _refuse_bomb(parquet_headers.unpacked(data), where)
        return pq.ParquetFile(
            pa.BufferReader(data), page_checksum_verification=True, pre_buffer=False
        )


def _refuse_bomb(size: int, where: object) -> None:
    """Raise Refused where few bytes would become many: a run of equal values costs hardly any."""
    if size > SAMPLES_MOST:
        raise Refused(
            where,
            f"unpacks to up to {size:,} bytes",
            f"at most {SAMPLES_MOST:,}",
            "Record shorter episodes.",
            code="over_limit",
        )


def table(file: pq.ParquetFile, where: object) -> pa.Table:
    """What `opened` gave, unpacked. Raises Refused naming `where`, or MemoryError."""
    with _decoding(where):
        # An episode is small: threads cost more than they bring.
        return file.read(use_threads=False)


def samples(table: pa.Table, where: object) -> dict[str, Samples]:
    """Each row's samples by its source. Raises Refused naming `where`."""
    with _decoding(where):
        return _samples(table)


@contextlib.contextmanager
def _decoding(where: object) -> Iterator[None]:
    """What the block cannot read is Refused naming `where`; a lack of memory is not."""
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refused(
            where,
            f"cannot be read ({str(error).splitlines()[0]})",
            "samples as in docs/store-format.md",
            "Publish the episode again.",
            code="samples_format",
        ) from error


def _samples(table: Any) -> dict[str, Samples]:
    """As `samples`, out of the flat arrays behind the list columns.

    Raises ValueError for a table of another form.
    """
    if not table.schema.equals(_TABLE):
        columns = (f"{field.name} {field.type}" for field in table.schema)
        raise ValueError("columns " + ", ".join(columns))
    if not table.num_rows:
        return {}
    source, rate_hz, channels, wall, mono, values = map(_whole, table.columns)
    # A null among the values is one that was not measured, as NaN is.
    held = (channels.values, wall.values, mono.values, values.values)
    if any(own.null_count for own in (source, rate_hz, channels, wall, mono, values, *held)):
        raise ValueError("a row lacks a value")
    sources = source.to_pylist()
    if len(set(sources)) < len(sources):
        raise ValueError(f"a source has two rows: {', '.join(sources)}")
    t_wall_ns, t_mono_ns = wall.values.to_numpy(), mono.values.to_numpy()
    flat = values.values.values.to_numpy(zero_copy_only=False)
    starts = values.values.offsets.to_numpy()
    lengths, starts = np.diff(starts).tolist(), starts.tolist()
    rates = rate_hz.to_pylist()
    rows, clocks, spans = (own.offsets.to_pylist() for own in (wall, mono, values))
    found = {}
    for row, names in enumerate(channels.to_pylist()):
        count, own = rows[row + 1] - rows[row], slice(spans[row], spans[row + 1])
        if lengths[own] != [count] * len(names):
            raise ValueError(f"{len(names)} channels of {count} rows hold {lengths[own]} values")
        square = flat[starts[own.start] : starts[own.stop]].reshape(len(names), count)
        found[sources[row]] = Samples(
            tuple(names),
            t_wall_ns[rows[row] : rows[row + 1]],
            t_mono_ns[clocks[row] : clocks[row + 1]],
            square.T,
            rates[row],
        )
    return found


def _whole(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
