"""Members of archives of series count their cases from the first line below @data."""

from pathlib import Path

from phasewatch.adapters.reading import opening
from phasewatch.adapters.reading.source import Input


def test_two_files_of_one_archive_have_other_times(tmp_path: Path) -> None:
    times = []
    for name in ("x_TRAIN.ts", "x_TEST.ts"):
        (tmp_path / name).write_text("@classLabel true a\n@data\n\n1,2:a\n3,4:a\n")
        table = opening.sample(Input(tmp_path / name, name))
        assert table.lines == [4, 4, 5, 5] and table.columns["dim_0"] == ["1", "2", "3", "4"]
        times.append(set(table.columns["time"]))
    assert not times[0] & times[1]
