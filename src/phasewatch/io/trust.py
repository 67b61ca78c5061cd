"""Checks of untrusted files: plain files only, strict JSON, and signatures where required.

Nothing is opened through a link, opening never blocks, and a parser gets only input that it cannot
misinterpret.
"""

import errno
import json
import os
import re
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasewatch.errors import Refused
from phasewatch.io.plain_file import OpenFile, open_plain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_JSON_BYTES, MAX_JSON_DEPTH = 64 << 20, 16
"""The most bytes of a JSON file, and the greatest depth of nesting."""


@dataclass(frozen=True)
class Trust:
    """The requirements on a file beyond its digests.

    `key` is the path of an ed25519 public key in PEM whose owner must have signed; `strict`
    refuses files that others may write or replace; `serial` is the lowest accepted serial number.
    """

    key: Path | None = None
    strict: bool = False
    serial: int = 0

    @classmethod
    def of_options(cls, key: Path | None, strict: bool, serial: int = 0) -> "Trust":
        """Return the requirements of a command's options. Raises Refused for an unusable key."""
        if key is not None:
            _public(key)
        return cls(key, strict, serial)


ANY = Trust()
"""No requirement beyond the digests."""


def read_plain_file(path: Path, most: int, what: str, trust: Trust = ANY) -> bytes:
    """Return the bytes of a plain file of at most `most` bytes. Raises Refused for any other.

    Refused without being read are links, devices, folders and files in a linked folder, and a file
    with two names, which could be changed through the other one.
    """
    folder = _folder(path, what)
    try:
        if trust.strict:
            _refuse_shared(path.parent, os.fstat(folder).st_mode)
        with open_plain(path, folder) as file:
            _refuse_unfit(path, file, most, what, trust)
            return file.read()
    except OSError as error:
        raise _unopened(path, error, what) from error
    finally:
        os.close(folder)


def _refuse_unfit(path: Path, file: OpenFile, most: int, what: str, trust: Trust) -> None:
    """Raise Refused unless the open file is a plain one with one name, and not too large."""
    if not file.plain:
        raise refusal(path, "is no plain file", what, "path_not_regular")
    if (names := file.status.st_nlink) > 1:
        raise refusal(path, f"has {names} names (hard links)", what, "path_hardlink")
    if trust.strict:
        _refuse_shared(path, file.status.st_mode)
    if (size := file.status.st_size) > most:
        raise refusal(path, f"holds {size:,} bytes", f"at most {most:,}", "too_large")


def _refuse_shared(path: Path, mode: int) -> None:
    """Raise Refused where others may write; in a sticky folder they cannot replace a file."""
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        problem = "may be written by others than its owner"
        raise refusal(path, problem, "that only its owner writes it (`chmod go-w`)", "perms")


def _folder(path: Path, what: str) -> int:
    """Open the folder of a file, and return its descriptor. Raises Refused where it is a link."""
    try:
        return os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if path.parent.is_symlink():
            problem = "its folder is a link"
            raise refusal(path, problem, "the real path of the folder", "path_escape") from error
        raise _unopened(path, error, what) from error


def _unopened(path: Path, error: OSError, what: str) -> Refused:
    """Return the refusal of a file that cannot be opened or read; `what` is expected there."""
    codes = {
        errno.ENOENT: "missing",
        errno.ENOTDIR: "missing",
        errno.ELOOP: "path_symlink",
        errno.ENXIO: "path_not_regular",
    }
    problem = "is a link" if error.errno == errno.ELOOP else error.strerror or str(error)
    return refusal(path, problem, what, codes.get(error.errno or 0, "io_error"))


def refusal(path: object, problem: str, expected: str, code: str) -> Refused:
    """Return the refusal of a file that is not as it was written."""
    return Refused(path, problem, expected, "Restore the file, or make it again.", code=code)


def verify_signature(data: bytes, path: Path, trust: Trust) -> None:
    """Raise Refused unless `path`.sig signs `data` with the trusted key, if there is one."""
    if trust.key is None:
        return
    from cryptography.exceptions import InvalidSignature

    expected = f"the 64 bytes that the owner of {trust.key} signed it with"
    place = path.with_name(f"{path.name}.sig")
    remedy = "Take the file from its owner again, or have it signed: `phasewatch sign`."
    public = _public(trust.key)
    try:
        public.verify(read_plain_file(place, 64, expected, trust), data)
    except InvalidSignature as error:
        problem = "does not sign this file"
        raise Refused(place, problem, expected, remedy, code="signature") from error
    except Refused as refused:
        where, problem = refused.where, refused.problem
        raise Refused(where, problem, expected, remedy, code="signature") from refused


def sign(data: bytes, key: Path) -> bytes:
    """Return the signature of `data`, 64 bytes, by a private ed25519 key in PEM. Raises Refused."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    found = _key(key, lambda text: load_pem_private_key(text, None))
    if not isinstance(found, Ed25519PrivateKey):
        raise _wrong_key(key, "private")
    return found.sign(data)


def _public(path: Path) -> "Ed25519PublicKey":
    """Return the public key in a file. Raises Refused for any other key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    found = _key(path, load_pem_public_key)
    if not isinstance(found, Ed25519PublicKey):
        raise _wrong_key(path, "public")
    return found


def _key(path: Path, read: Callable[[bytes], object]) -> object:
    """Return what `read` makes of a file; None where it holds no key. Raises Refused."""
    try:
        return read(path.read_bytes())
    except OSError as error:
        problem = error.strerror or str(error)
        raise Refused(path, problem, "a key in PEM", "Check the path.", code="key") from error
    except (ValueError, TypeError):
        return None


def _wrong_key(path: Path, half: str) -> Refused:
    """Return the refusal of a file that is not the `half`, public or private, of a key."""
    remedy = "`openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` make the two halves."
    return Refused(path, "is no such key", f"a {half} ed25519 key in PEM", remedy, code="key")


def parse_strict_json(data: bytes, path: Path) -> object:
    """Return the value of JSON.

    Raises Refused also for input that parsers accept but should not: deep nesting, NaN, numbers
    over 64 bits, repeated fields, and invisible characters.
    """
    if _depth(data) > MAX_JSON_DEPTH:
        raise refusal(path, "nests too deep", f"at most {MAX_JSON_DEPTH} levels", "header_depth")

    def number(text: str) -> float:
        value = float(text)
        if not np.isfinite(value):
            raise refusal(path, f"holds the number {text[:20]}", "finite numbers", "header_number")
        return value

    def integer(text: str) -> int:
        value = int(text[:40])
        if abs(value) >= 1 << 63:
            raise refusal(path, f"holds the number {text[:40]}", "64 bits", "header_number")
        return value

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(items)
        if len(table) < len(items):
            raise refusal(path, "names a field twice", "every field once", "header_dup_key")
        return table

    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=pairs,
            parse_float=number,
            parse_int=integer,
            parse_constant=number,
        )
        shown = json.dumps(value, ensure_ascii=False)
        shown.encode()
    except UnicodeError as error:
        raise refusal(path, f"is no UTF-8 ({error})", "text in UTF-8", "header_encoding") from error
    except ValueError as error:
        code = "header_encoding" if data.startswith(b"\xef\xbb\xbf") else "header_json"
        raise refusal(path, f"is no JSON ({error})", "the file as it was written", code) from error
    _refuse_invisible(shown, path)
    return value


def _depth(data: bytes) -> int:
    """Return how deep brackets nest, outside of texts."""
    bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", data)
    marks = np.frombuffer(bare, dtype=np.uint8)
    steps = np.isin(marks, [ord("{"), ord("[")]).astype(int) - np.isin(marks, [ord("}"), ord("]")])
    return int(steps.cumsum().max(initial=0))


def _refuse_invisible(shown: str, path: Path) -> None:
    """Raise Refused for invisible characters, which make one name look like another."""
    if shown.isascii():
        return
    unseen = next((mark for mark in shown if unicodedata.category(mark) in ("Cf", "Cs")), "")
    if unseen:
        problem = f"holds the invisible character U+{ord(unseen):04X}"
        raise refusal(path, problem, "text that can be seen", "header_encoding")
