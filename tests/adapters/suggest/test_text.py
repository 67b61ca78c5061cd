"""Texts as TOML, read back."""

import tomllib

import pytest

from phasewatch.adapters.suggest import text


@pytest.mark.parametrize(
    "name", ["x", 'a "b"', r"\\WEB1\%", "a\nb", "ü", r"it's \d", "\x7f", "\u202f"]
)
def test_quoted_texts_are_read_back(name: str) -> None:
    assert tomllib.loads(f"x = {text.quoted(name)}") == {"x": name}


def test_one_text_is_no_list() -> None:
    assert text.listed(["a"]) == '"a"'
    assert text.listed(["a", "b"]) == '["a", "b"]'
    assert text.column("a") == '{ column = "a" }'


def test_blanks_of_other_widths_can_be_seen() -> None:
    assert text.quoted("\u202f") == '"\\u202f"'
