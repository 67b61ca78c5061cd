"""Uploads without HTTP: complete and durable, or refused without a trace."""

import io
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import toy, uploads
from tests.paths import ROOT
from tests.uploads import BODY, FILES, HOSTS, ID, TOKENS, drafts, renamed, upload

from phasewatch.errors import Refused
from phasewatch.io import atomic
from phasewatch.store import receiver as receiving
from phasewatch.store.format import MANIFEST, SAMPLES, encode_episode
from phasewatch.store.local import Store
from phasewatch.store.receiver import (
    EPISODES_PATH,
    Declined,
    Limits,
    Receiver,
    read_tokens,
    refuse_other_files,
)


def put(receiver: Receiver, path: str, head: object, body: bytes) -> int:
    """The status that an upload is answered with."""
    try:
        return receiver.put(path, head, io.BytesIO(body)).status  # type: ignore[arg-type]
    except Declined as declined:
        return declined.status


def test_repeated_uploads_are_acknowledged_and_other_bytes_are_refused(
    receiver: Receiver, store: Store
) -> None:
    assert put(receiver, *upload(FILES)) == HTTPStatus.CREATED
    assert store.read(ID).id == ID
    assert put(receiver, *upload(FILES)) == HTTPStatus.OK
    other = renamed(encode_episode(toy.episode("alpha", "leak")), ID)
    assert put(receiver, *upload(other)) == HTTPStatus.CONFLICT
    for name, data in FILES.items():
        assert (store.folder(ID) / name).read_bytes() == data
    assert drafts(store) == []


WRONG = {
    "no token": (HTTPStatus.UNAUTHORIZED, {"Authorization": ""}),
    "no scheme": (HTTPStatus.UNAUTHORIZED, {"Authorization": TOKENS["alpha"]}),
    "an unknown token": (HTTPStatus.UNAUTHORIZED, {"Authorization": "Bearer " + "x" * 50}),
    "another host's token": (
        HTTPStatus.FORBIDDEN,
        {"Authorization": f"Bearer {TOKENS['beta']}"},
    ),
    "no length": (HTTPStatus.LENGTH_REQUIRED, {"Content_Length": ""}),
    "a negative length": (HTTPStatus.LENGTH_REQUIRED, {"Content_Length": "-1"}),
    "an endless length": (HTTPStatus.LENGTH_REQUIRED, {"Content_Length": "9" * 5000}),
    "chunks": (HTTPStatus.LENGTH_REQUIRED, {"Transfer_Encoding": "chunked"}),
    "a longer body": (HTTPStatus.REQUEST_TIMEOUT, {"Content_Length": str(BODY + 1)}),
    "a shorter body": (HTTPStatus.BAD_REQUEST, {"Content_Length": str(BODY - 1)}),
    "too much": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"Content_Length": str(1 << 40)}),
    "no digest": (HTTPStatus.BAD_REQUEST, {"Content_Digest": ""}),
    "a digest that is none": (HTTPStatus.BAD_REQUEST, {"Content_Digest": "sha-256=:AAAA:"}),
    "another digest": (HTTPStatus.BAD_REQUEST, {"Content_Digest": f"sha-256=:{'A' * 43}=:"}),
    "no split": (HTTPStatus.LENGTH_REQUIRED, {"Phasewatch_Manifest_Bytes": ""}),
    "another split": (HTTPStatus.UNPROCESSABLE_ENTITY, {"Phasewatch_Manifest_Bytes": "7"}),
    "a split beyond": (HTTPStatus.BAD_REQUEST, {"Phasewatch_Manifest_Bytes": str(BODY + 1)}),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_request_with_wrong_headers_leaves_nothing(
    receiver: Receiver, store: Store, case: str
) -> None:
    status, other = WRONG[case]
    assert put(receiver, *upload(FILES, **other)) == status
    assert store.ids() == [] and drafts(store) == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v2/x",
        "http://h/v1/episodes/a",
        *(
            EPISODES_PATH + id
            for id in ("", "..", "../x", "a/b", "%2e%2e", ".tmp-x", "a\0", "a\n", "a?x")
        ),
        EPISODES_PATH + "a" * 129,
    ],
)
def test_a_request_with_an_invalid_id_leaves_nothing(
    receiver: Receiver, store: Store, path: str
) -> None:
    before = sorted(store.root.parent.rglob("*"))
    _, head, body = upload(FILES)
    assert put(receiver, path, head, body) == HTTPStatus.NOT_FOUND
    assert sorted(store.root.parent.rglob("*")) == before


@pytest.mark.parametrize("case", ["manifest", "samples", "id", "seal"])
def test_an_episode_that_the_store_cannot_read_is_refused(
    receiver: Receiver, store: Store, case: str
) -> None:
    changed = {
        "manifest": {**FILES, MANIFEST: FILES[MANIFEST].replace(b'"start_ns"', b'"started"')},
        "samples": {**FILES, SAMPLES: FILES[SAMPLES][:-9]},
        "seal": {**FILES, MANIFEST: FILES[MANIFEST].replace(b'"dig-1"', b'"dig-2"')},
        "id": renamed(FILES, "another"),
    }
    path, _, _ = upload(FILES)
    body = changed[case][MANIFEST] + changed[case][SAMPLES]
    _, head, _ = upload(FILES, Content_Length=str(len(body)))
    head.replace_header("Content-Digest", uploads.digest(body))
    head.replace_header(receiving.MANIFEST_BYTES_HEADER, str(len(changed[case][MANIFEST])))
    assert put(receiver, path, head, body) == HTTPStatus.UNPROCESSABLE_ENTITY
    assert store.ids() == [] and drafts(store) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, BODY - 1), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_body_is_never_published(
    receiver: Receiver, store: Store, at: int, bit: int, cut: bool
) -> None:
    path, head, body = upload(FILES)
    damaged = bytearray(body)
    damaged[at] ^= 1 << bit
    status = put(receiver, path, head, body[:at] if cut else bytes(damaged))
    assert status == (HTTPStatus.REQUEST_TIMEOUT if cut else HTTPStatus.BAD_REQUEST)
    assert store.ids() == [] and drafts(store) == []


def test_a_host_is_limited_to_its_rate(store: Store) -> None:
    now = [0.0]
    with Receiver(store, HOSTS, Limits(reserve=0, rate=6), lambda: now[0]) as receiver:
        statuses = [put(receiver, *upload(FILES)) for _ in range(7)]
        assert statuses == [201, 200, 200, 200, 200, 200, 429]
        assert put(receiver, *upload(encode_episode(toy.episode("beta")))) == HTTPStatus.CREATED
        now[0] = 10.0
        assert [put(receiver, *upload(FILES)) for _ in range(2)] == [200, 429]


def test_a_full_disk_refuses_uploads_and_recovers(
    receiver: Receiver, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=BODY - 1))
        assert put(receiver, *upload(FILES)) == HTTPStatus.INSUFFICIENT_STORAGE

    def full(body: object, draft: Path, announced: object) -> None:
        (draft / MANIFEST).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(receiving, "_stream", full)
        assert put(receiver, *upload(FILES)) == HTTPStatus.INSUFFICIENT_STORAGE
    assert store.ids() == [] and drafts(store) == []
    assert put(receiver, *upload(FILES)) == HTTPStatus.CREATED


def test_an_existing_episode_is_flushed_before_it_is_acknowledged(
    receiver: Receiver, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its publisher may have been killed between the rename and the flush."""
    put(receiver, *upload(FILES))
    flushed: list[Path] = []
    monkeypatch.setattr(atomic, "sync", flushed.append)
    assert put(receiver, *upload(FILES)) == HTTPStatus.OK
    assert store.root / "episodes" in flushed


def test_concurrent_uploads_of_one_episode_create_it_once(receiver: Receiver, store: Store) -> None:
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: put(receiver, *upload(FILES)), range(64)))
    assert sorted(statuses) == [200] * 63 + [201]
    assert store.read(ID).id == ID and drafts(store) == []


def test_a_store_has_one_receiver_and_none_without_tokens(receiver: Receiver, store: Store) -> None:
    with pytest.raises(Refused, match="another receiver"):
        Receiver(store, HOSTS)
    with pytest.raises(Refused, match="has no tokens"):
        Receiver(store, {})


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        (f'a = "{"x" * 32}"', 0o644, "can be read by others"),
        ("", 0o600, "holds no token"),
        ('a = "short"', 0o600, "is weak"),
        ("a = 5", 0o600, "a: is no string"),
        ("[x]", 0o600, "x: is no string"),
        (f'"" = "{"x" * 32}"', 0o600, "to a host without a name"),
        (f'a = "{"é" * 32}"', 0o600, "which cannot be sent"),
        (f'a = "{"x " * 32}"', 0o600, "which cannot be sent"),
        ("nonsense", 0o600, "lines of host"),
        (f'a = "{"x" * 32}"\nb = "{"x" * 32}"', 0o600, "one token to two hosts"),
    ],
)
def test_a_token_file_that_is_not_safe_is_refused(
    tmp_path: Path, text: str, mode: int, problem: str
) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(Refused, match=problem):
        read_tokens(path)


def test_a_folder_is_no_token_file(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is a folder; expected a token file"):
        read_tokens(tmp_path)


def test_a_store_is_created_only_in_an_empty_place(tmp_path: Path, store: Store) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / f"{atomic.DRAFT_PREFIX}x").touch()
    for root in (store.root, tmp_path / "absent", tmp_path / "empty", tmp_path / "killed"):
        refuse_other_files(root)
    (tmp_path / "empty" / "thesis.tex").touch()
    with pytest.raises(Refused, match="holds files and is no episode store"):
        refuse_other_files(tmp_path / "empty")
    for url in ("file:///x", "s3://b/x"):
        with pytest.raises(Refused, match="is a URL"):
            refuse_other_files(Path(url))


def test_an_upload_killed_at_any_step_is_complete_or_absent() -> None:
    """An acknowledged episode is there; the same upload goes through afterwards, and is one."""
    words = [sys.executable, "-m", "tests.killed"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True, text=True)
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = {step["at"].partition(" ")[2] for step in steps}
    assert {"open", "write", "fsync", "rename", "close"} <= kinds
    assert len(steps) > 40
    assert steps[-1]["acknowledged"] and not any(step["acknowledged"] for step in steps[:-1])
    for step in steps:
        assert step["then"] in ([], [ID])
        assert step["again"] == (HTTPStatus.OK if step["then"] else HTTPStatus.CREATED)
        assert step["now"] == [ID] and step["left"] == ["lock"]
    # Both files and their folder are flushed before the one rename, the rename before the end.
    calls = [step["at"] for step in steps]
    rename = calls.index("c_call rename")
    written = max(place for place in range(rename) if calls[place].endswith("__exit__"))
    assert calls[written:rename].count("c_return fsync") == 3
    assert "c_return fsync" in calls[rename:]
