"""Texts as TOML writes them."""

import json
import re
from collections.abc import Sequence


def quoted(text: str) -> str:
    """Return a text as a string of TOML, on one line."""
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    written = json.dumps(text, ensure_ascii=False)
    return re.sub("[\x7f\u00a0\u202f]", lambda found: f"\\u{ord(found[0]):04x}", written)


def listed(texts: Sequence[str]) -> str:
    """Return texts as a list of TOML, one text as itself."""
    found = ", ".join(map(quoted, texts))
    return found if len(texts) == 1 else f"[{found}]"


def column(name: str) -> str:
    """Return the source of a text in a column, as TOML."""
    return f"{{ column = {quoted(name)} }}"
