"""Digest of the page's source: the built page carries it, so that a stale one is noticed."""

import hashlib
import sys
from pathlib import Path

HERE = Path(__file__).parent
BUILT = HERE.parent / "src" / "phasewatch" / "serve" / "page" / "source.sha256"
FILES = ("package.json", "package-lock.json", "vite.config.ts", "tsconfig.json", "index.html")


def digest() -> str:
    """sha256 over the path and content of every file that the page is built from."""
    whole = hashlib.sha256()
    folders = [*(HERE / "src").rglob("*"), *(HERE / "public").rglob("*")]
    for path in sorted([HERE / name for name in FILES] + [p for p in folders if p.is_file()]):
        whole.update(path.relative_to(HERE).as_posix().encode() + b"\0")
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


if __name__ == "__main__":
    BUILT.write_text(digest() + "\n", encoding="utf-8")
    sys.stdout.write(f"built from {digest()}\n")
