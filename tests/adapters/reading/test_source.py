"""Files that may be tables are found, and the members of archives with them."""

import zipfile
from pathlib import Path

from phasewatch.adapters.reading.source import Input, find


def test_hidden_files_and_texts_for_people_are_no_tables(tmp_path: Path) -> None:
    for name in ("b.csv", "A.CSV", "noending", "x.log", "README.md", ".hidden", "__MACOSX/a.csv",
                 "deep/er/a.json", "schema.toml", "README.txt", "LICENSE"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("t,x\n1,2\n")
    names = [one.name for one in find(tmp_path)]
    assert names == ["A.CSV", "b.csv", "deep/er/a.json", "noending", "x.log"]
    assert [one.name for one in find(tmp_path, "*.log")] == ["x.log"]
    assert [one.name for one in find(tmp_path / "README.md")] == ["README.md"]


def test_members_of_an_archive_are_inputs_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("b.csv", "in/a.csv.gz", "__MACOSX/b.csv", "notes.md"):
            archive.writestr(name, "x")
    found = find(tmp_path)
    assert found == [
        Input(path, "all.zip/b.csv", "b.csv"),
        Input(path, "all.zip/in/a.csv.gz", "in/a.csv.gz"),
    ]
    assert found[1].plain_name == "a.csv"
    assert str(found[0]) == f"{path}/b.csv"
