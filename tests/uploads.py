"""Uploads as a sender makes them, and who may make them."""

import base64
import hashlib
from collections.abc import Mapping
from email.message import Message

from tests import toy

from phasewatch.store.format import MANIFEST, SAMPLES, Manifest
from phasewatch.store.receiver import EPISODES_PATH, MANIFEST_BYTES_HEADER, Limits

TOKENS = {host: host * 10 for host in toy.HOSTS}
HOSTS = {hashlib.sha256(token.encode()).hexdigest(): host for host, token in TOKENS.items()}
LIMITS = Limits(reserve=0, rate=100_000)


def upload(files: Mapping[str, bytes], **other: str) -> tuple[str, Message, bytes]:
    """Path, head and body of a PUT; `other` headers, by name with `_`, stand instead."""
    manifest = Manifest.model_validate_json(files[MANIFEST])
    body = files[MANIFEST] + files[SAMPLES]
    told = {
        "Authorization": f"Bearer {TOKENS[manifest.host]}",
        "Content-Length": str(len(body)),
        "Content-Digest": digest(body),
        MANIFEST_BYTES_HEADER: str(len(files[MANIFEST])),
    }
    head = Message()
    told |= {name.replace("_", "-"): value for name, value in other.items()}
    for name, value in told.items():
        head[name] = value
    return EPISODES_PATH + manifest.id, head, body


def digest(body: bytes) -> str:
    """Content-Digest of a body."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def renamed(files: Mapping[str, bytes], id: str) -> dict[str, bytes]:
    """The same episode under another id."""
    manifest = Manifest.model_validate_json(files[MANIFEST])
    return {**files, MANIFEST: manifest.model_copy(update={"id": id}).sealed()}
