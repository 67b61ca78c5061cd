"""Text of any encoding comes in blocks of whole lines, which only a line feed ends."""

from pathlib import Path

import pytest

from phasewatch.adapters.reading import text
from phasewatch.adapters.reading.source import Input
from phasewatch.errors import Refused

LINES = "zeit,größe\n" + "".join(f"{n},é{n}\n" for n in range(50))


def blocks(path: Path, encoding: str = "") -> tuple[str, list[int], text.Text]:
    content = text.Text(Input(path, path.name), encoding or text.encoding_of(path.read_bytes()))
    found = list(content.blocks())
    return b"".join(data for _, data in found).decode(), [line for line, _ in found], content


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be",
                                      "utf-32", "cp1252"])  # fmt: skip
@pytest.mark.parametrize("size", [7, 1 << 20])
def test_every_encoding_gives_the_same_text(
    encoding: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK", size)
    path = tmp_path / "a.csv"
    path.write_bytes(LINES.encode(encoding))
    found, starts, _ = blocks(path)
    assert found == LINES
    assert starts == sorted(set(starts)) and starts[0] == 1
    assert len(starts) == 1 if size > 1000 else len(starts) > 20


def test_a_late_byte_of_another_encoding_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK", 64)
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" * 60 + b"Web Attack \x96 XSS,1\n")
    found, _, content = blocks(path, "utf-8")
    assert found.endswith("Web Attack – XSS,1\n")
    assert content.notes == ["bytes are no UTF-8: read as cp1252"]
    path.write_bytes("é,b\n".encode() * 60 + b"\x96,1\n")
    with pytest.raises(Refused, match="Name its encoding under"):
        blocks(path, "utf-8")


def test_other_separators_of_lines_end_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "x\u2028y\x85\x0b"}\n{"a": 2}\n', encoding="utf-8")
    found, _, _ = blocks(path)
    assert found.split("\n")[0] == '{"a": "x\u2028y\x85\x0b"}'


def test_old_line_ends_are_line_feeds(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\r1,2\r3,4\r")
    assert blocks(path)[0] == "a,b\n1,2\n3,4\n"


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_LINE", 100)
    monkeypatch.setattr(text, "BLOCK", 64)
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\n" + b"x" * 500)
    with pytest.raises(Refused, match="line 2: is longer than"):
        blocks(path)


def test_bytes_are_no_text() -> None:
    assert text.encoding_of(bytes(range(256)) * 10) == ""
