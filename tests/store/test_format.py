"""The format of an episode: manifests and samples that are refused."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import toy

from phasewatch.errors import Refused
from phasewatch.store.format import (
    HEADER,
    MANIFEST,
    SAMPLES,
    decode_samples,
    encode_episode,
    parse_manifest,
)
from phasewatch.store.local import Store


@pytest.mark.parametrize("column", range(6))
def test_a_row_that_lacks_a_value_is_refused(store: Store, tmp_path: Path, column: int) -> None:
    path = store.publish(toy.episode()) / SAMPLES
    table = pq.read_table(path)
    lacking = pa.array([None, *table.column(column).to_pylist()[1:]], table.schema.types[column])
    table = table.set_column(column, table.schema.field(column), lacking)
    pq.write_table(table, tmp_path / "lacking")
    with pytest.raises(Refused, match="a row lacks a value"):
        decode_samples((tmp_path / "lacking").read_bytes(), "here")


@pytest.mark.parametrize("note", ["NaN", "-Infinity", "1e400"])
def test_an_invalid_note_is_refused_as_a_manifest_error(tmp_path: Path, note: str) -> None:
    store = toy.store(tmp_path / "s", seeds=1)
    path = store.folder(store.ids()[0]) / MANIFEST
    value = json.loads(path.read_text())
    value["notes"] = {"made": "X"}
    path.write_text(json.dumps(value).replace('"X"', note))
    with pytest.raises(Refused, match="notes: holds what JSON has no word for") as refused:
        store.manifest(store.ids()[0])
    assert refused.value.code == "manifest_schema"


def test_a_manifest_begins_with_its_format_and_the_names_of_the_episode() -> None:
    data = encode_episode(toy.episode())[MANIFEST]
    first = ["format", "id", "host", "sample", "profile", "campaign", "start_ns", "end_ns"]
    assert list(json.loads(data))[: len(first)] == first


def test_another_format_is_named_whatever_else_is_wrong() -> None:
    with pytest.raises(Refused) as caught:
        parse_manifest(b'{"format": 2}', "a", "manifest.json")
    assert caught.value.code == "format_newer"


@pytest.mark.parametrize("name", ["host", "sample", "profile", "campaign"])
def test_an_empty_name_is_refused(name: str) -> None:
    value = json.loads(encode_episode(toy.episode())[MANIFEST])
    with pytest.raises(Refused, match=rf"manifest.json: {name}"):
        parse_manifest(json.dumps({**value, name: ""}).encode(), value["id"], "manifest.json")


def test_a_misspelt_key_of_the_header_is_refused(tmp_path: Path) -> None:
    store = toy.store(tmp_path / "s", seeds=1)
    path = store.root / HEADER
    path.write_text(json.dumps({**json.loads(path.read_text()), "simulatd": {"seed": 1}}))
    with pytest.raises(Refused, match=r"store.json: simulatd: is unknown; expected only format"):
        Store.open(store.root)
