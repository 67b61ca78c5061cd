"""Texts as TOML writes them."""

import json
from collections.abc import Sequence


def quoted(text: str) -> str:
    """Return a text as a string of TOML, on one line."""
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def listed(texts: Sequence[str]) -> str:
    """Return texts as a list of TOML, one text as itself."""
    found = ", ".join(map(quoted, texts))
    return found if len(texts) == 1 else f"[{found}]"


def column(name: str) -> str:
    """Return the source of a text in a column, as TOML."""
    return f"{{ column = {quoted(name)} }}"
