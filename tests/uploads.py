"""Uploads as a sender makes them, and who may make them."""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message

from tests import toy

from phasewatch.store.format import MANIFEST, SAMPLES, Manifest, encode_episode
from phasewatch.store.local import Store
from phasewatch.store.receiver import EPISODES_PATH, MANIFEST_BYTES_HEADER, Limits, Receiver
from phasewatch.store.server import Server

TOKENS = {host: host * 10 for host in toy.HOSTS}
HOSTS = {hashlib.sha256(token.encode()).hexdigest(): host for host, token in TOKENS.items()}
LIMITS = Limits(reserve=0, rate=100_000)
FILES = encode_episode(toy.episode("alpha"))
ID = toy.episode("alpha").id
BODY = len(FILES[MANIFEST]) + len(FILES[SAMPLES])
"""An episode of host `alpha` as files, its id, and the bytes of its upload."""


def upload(files: Mapping[str, bytes], **other: str) -> tuple[str, Message, bytes]:
    """Return path, headers and body of a PUT; `other` are headers with `_` for `-`."""
    manifest = Manifest.model_validate_json(files[MANIFEST])
    body = files[MANIFEST] + files[SAMPLES]
    headers = {
        "Authorization": f"Bearer {TOKENS[manifest.host]}",
        "Content-Length": str(len(body)),
        "Content-Digest": digest(body),
        MANIFEST_BYTES_HEADER: str(len(files[MANIFEST])),
    }
    head = Message()
    headers |= {name.replace("_", "-"): value for name, value in other.items()}
    for name, value in headers.items():
        head[name] = value
    return EPISODES_PATH + manifest.id, head, body


def digest(body: bytes) -> str:
    """Return the Content-Digest of a body."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def renamed(files: Mapping[str, bytes], id: str) -> dict[str, bytes]:
    """Return the same episode under another id."""
    manifest = Manifest.model_validate_json(files[MANIFEST])
    return {**files, MANIFEST: manifest.model_copy(update={"id": id}).sealed()}


def drafts(store: Store) -> list[str]:
    """Return the names of unfinished uploads in a store."""
    return [path.name for path in (store.root / "incoming").iterdir() if path.name != "lock"]


@contextmanager
def receiving(receiver: Receiver, log: Callable[[str], None]) -> Iterator[Server]:
    """Serve a receiver over HTTP on this machine."""
    with Server(("127.0.0.1", 0), receiver, log) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
