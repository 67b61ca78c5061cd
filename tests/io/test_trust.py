"""Files that an attacker may have written are refused, each with its own code."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.model_files import ModelFiles
from tests.trained import saved

from phasewatch.artifacts import bundle
from phasewatch.artifacts.export import export
from phasewatch.errors import Refused
from phasewatch.io.trust import Trust, sign
from phasewatch.store.local import Store


def _linked(place: Path) -> None:
    place.rename(place.with_suffix(".real"))
    place.symlink_to(place.with_suffix(".real"))


def _dangling(place: Path) -> None:
    place.unlink()
    place.symlink_to("/nowhere")


def _loop(place: Path) -> None:
    place.unlink()
    place.symlink_to(place)


def _twice(place: Path) -> None:
    os.link(place, place.with_suffix(".twin"))


def _pipe(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


def _socket(place: Path) -> None:
    place.unlink()
    with socket.socket(socket.AF_UNIX) as one:
        descriptor = os.open(place.parent, os.O_RDONLY)
        one.bind(f"/proc/self/fd/{descriptor}/{place.name}")
        os.close(descriptor)


def _folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


def _sparse(place: Path) -> None:
    os.truncate(place, 1 << 40)


PATHS: list[tuple[Callable[[Path], None], str]] = [
    (_linked, "path_symlink"),
    (_dangling, "path_symlink"),
    (_loop, "path_symlink"),
    (_twice, "path_hardlink"),
    (_pipe, "path_not_regular"),
    (_socket, "path_not_regular"),
    (_folder, "path_not_regular"),
    (_sparse, "too_large"),
    (Path.unlink, "missing"),
]


@pytest.mark.parametrize("part", ["head", "body"])
@pytest.mark.parametrize(("attack", "code"), PATHS, ids=[a.__name__ for a, _ in PATHS])
def test_only_plain_files_are_read(
    model_files: ModelFiles, part: str, attack: Callable[[Path], None], code: str
) -> None:
    model_files.load()
    attack(getattr(model_files, part))
    assert model_files.code() == code


def test_a_linked_folder_is_not_followed(model_files: ModelFiles) -> None:
    real = model_files.folder.with_name("elsewhere")
    model_files.folder.rename(real)
    model_files.folder.symlink_to(real)
    assert model_files.code() == "path_escape"


@pytest.mark.parametrize("mode", [0o666, 0o664])
@pytest.mark.parametrize("part", ["head", "body"])
def test_a_file_writable_by_others_is_refused_with_strict_permissions(
    model_files: ModelFiles, part: str, mode: int
) -> None:
    model_files.load(Trust(strict=True))
    getattr(model_files, part).chmod(mode)
    model_files.load()
    assert model_files.code(Trust(strict=True)) == "perms"


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_writable_by_others_is_refused_with_strict_permissions(
    model_files: ModelFiles, mode: int
) -> None:
    model_files.folder.chmod(mode)
    model_files.load()
    assert model_files.code(Trust(strict=True)) == "perms"
    model_files.folder.chmod(0o1777)
    model_files.load(Trust(strict=True))


def _with(field: str, text: str) -> Callable[[bytes], bytes]:
    """The header with another text for a field's value."""

    def change(data: bytes) -> bytes:
        value = json.loads(data)
        value[field] = "@@@"
        return json.dumps(value).replace('"@@@"', text).encode()

    return change


def _more(key: str, value: Any) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps({**json.loads(data), key: value}).encode()


def _back(data: bytes) -> bytes:
    value = json.loads(data)
    value["probe"]["sources"]["proc"]["t_wall_ns"].reverse()
    return json.dumps(value).encode()


LOST = {"other_labels": 0, "largest": 1e9, "macro_f1": 1.0, "float32_bytes": 1}


HEADERS: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("deep", lambda data: b"[" * 100_000, "header_depth"),
    ("deep field", _with("scores", "[" * 50 + "]" * 50), "header_depth"),
    (
        "twice",
        lambda data: data.replace(b'"mode"', b'"mode": "oracle", "mode"', 1),
        "header_dup_key",
    ),
    ("nan", _with("threads", "NaN"), "header_number"),
    ("infinite", _with("threads", "Infinity"), "header_number"),
    ("too large", _with("opening_s", "1e999"), "header_number"),
    ("5,000 digits", _with("threads", "9" * 5000), "header_number"),
    ("64 bits", _with("threads", str(1 << 63)), "header_number"),
    ("UTF-16", lambda data: data.decode().encode("utf-16"), "header_encoding"),
    ("mark", lambda data: b"\xef\xbb\xbf" + data, "header_encoding"),
    ("surrogate", _with("name", '"\\ud800"'), "header_encoding"),
    ("bidi", _with("model", '"gbt\\u202e"'), "header_encoding"),
    ("zero width", _with("model", '"g\\u200bbt"'), "header_encoding"),
    ("no JSON", lambda data: b"\x80\x04K\x01.", "header_encoding"),
    ("pickle as text", lambda data: b"cos\nsystem\n", "header_json"),
    ("list", lambda data: b"[]", "header_schema"),
    ("unknown", _more("sidecar", "../../etc/passwd"), "header_schema"),
    ("trust level", _more("signed", False), "header_schema"),
    ("endless loss", _more("int8", LOST), "header_schema"),
    ("text for number", _more("threads", "4"), "header_schema"),
    ("true for number", _more("threads", True), "header_schema"),
    ("true for format", _more("format", True), "header_schema"),
    ("name", _more("name", "../x"), "header_schema"),
    ("newline", _more("name", "x\n"), "header_schema"),
    ("zero", _more("name", "x\x00"), "header_schema"),
    ("time that runs back", _back, "header_schema"),
    ("old", _more("format", 0), "version_old"),
    ("new", _more("format", 99), "version_new"),
    ("changed", _more("threads", 77), "header_digest"),
]


@pytest.mark.parametrize(
    ("attack", "code"), [row[1:] for row in HEADERS], ids=[r[0] for r in HEADERS]
)
def test_a_header_that_misleads_a_parser_is_refused(
    model_files: ModelFiles, attack: Callable[[bytes], bytes], code: str
) -> None:
    model_files.head.write_bytes(attack(model_files.head.read_bytes()))
    assert model_files.code() == code


def test_a_missing_field_is_named(model_files: ModelFiles) -> None:
    value = json.loads(model_files.head.read_bytes())
    for field in value:
        model_files.head.write_text(json.dumps({k: v for k, v in value.items() if k != field}))
        with pytest.raises(Refused, match=rf": {field}: Field required"):
            model_files.load()


def test_a_header_cut_anywhere_is_refused(model_files: ModelFiles) -> None:
    intact = model_files.head.read_bytes()
    for length in np.random.default_rng(0).integers(0, len(intact) - 2, 60):
        model_files.head.write_bytes(intact[:length])
        assert model_files.code() == "header_json"


def test_every_mutated_header_is_refused(model_files: ModelFiles) -> None:
    """Bytes changed, dropped, doubled, swapped: a refusal with a code, every time."""
    intact, generator = model_files.head.read_bytes(), np.random.default_rng(1)
    for _ in range(150):
        data = bytearray(intact)
        for at in generator.integers(0, len(data), generator.integers(1, 4)):
            data[at : at + 1] = bytes(generator.integers(0, 256, generator.integers(0, 3)).tolist())
        if json_equal(bytes(data), intact):
            continue
        model_files.head.write_bytes(data)
        assert model_files.code().startswith(("header_", "version_", "missing"))


def json_equal(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def test_a_required_signature_is_checked(model_files: ModelFiles, keys: Path) -> None:
    required = Trust(keys / "own.pub")
    place = model_files.head.with_name(f"{model_files.head.name}.sig")
    assert model_files.code(required) == "signature"
    place.write_bytes(sign(model_files.head.read_bytes(), keys / "other.pem"))
    assert model_files.code(required) == "signature"
    place.write_bytes(sign(model_files.body.read_bytes(), keys / "own.pem"))
    assert model_files.code(required) == "signature"
    place.write_bytes(b"short")
    assert model_files.code(required) == "signature"
    place.write_bytes(sign(model_files.head.read_bytes(), keys / "own.pem"))
    model_files.load(required)
    model_files.load()


def test_a_bundle_is_signed_when_a_key_is_given(
    toy_store: Store, keys: Path, tmp_path: Path
) -> None:
    exported = export(saved(toy_store, tmp_path), toy_store, tmp_path, keys / "own.pem")
    bundle.load(exported, Trust(keys / "own.pub"))
    with pytest.raises(Refused, match=r"does not sign|signed it with"):
        bundle.load(exported, Trust(keys / "other.pub"))


@pytest.mark.parametrize("name", ["absent.pem", "own.pub"])
def test_an_invalid_key_file_is_named(keys: Path, name: str) -> None:
    with pytest.raises(Refused, match=name) as refused:
        sign(b"", keys / name)
    assert refused.value.code == "key"
