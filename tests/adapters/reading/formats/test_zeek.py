"""Every stretch of a Zeek log is read by the header above it."""

from pathlib import Path

from phasewatch.adapters.reading import opening
from phasewatch.adapters.reading.source import Input

HEAD = "#separator \\x09\n#set_separator\t,\n#unset_field\t{}\n#fields\tts\t{}\n"


def test_logs_that_were_appended_have_a_header_each(tmp_path: Path) -> None:
    path = tmp_path / "conn.log"
    first = HEAD.format("-", "orig\tresp") + "1\t150\t9000\n2\t-\t9001\n#close\tnow\n"
    second = HEAD.format("?", "resp\torig") + "3\t9002\t151\n4\t9003\n5\t?\t-\n"
    path.write_text(first + second)
    opened = opening.open_table(Input(path, path.name))
    found, dropped = [], []
    for batch in opened.batches(["ts", "orig"]):
        found += list(zip(batch.lines.tolist(), batch.columns["orig"].to_pylist(), strict=True))
        dropped += [(one.line, one.reason) for one in batch.dropped]
    assert found == [(5, "150"), (6, ""), (12, "151"), (14, "-")]
    assert dropped == [(13, "2 fields where the header has 3")]
    assert opened.layout.names == ("ts", "orig", "resp")


def test_quotes_have_no_meaning(tmp_path: Path) -> None:
    path = tmp_path / "http.log"
    path.write_text(HEAD.format("-", "agent") + '1\t"a\n2\tb"\n')
    (batch,) = opening.open_table(Input(path, path.name)).batches()
    assert batch.columns["agent"].to_pylist() == ['"a', 'b"']
