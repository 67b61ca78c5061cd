"""The one file from which every number of a report comes."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from phasewatch.errors import Refused
from phasewatch.evaluation import predictions
from phasewatch.evaluation.evaluate import evaluate
from phasewatch.experiment.pipeline import RunResult
from phasewatch.io import parquet
from phasewatch.windowing import Windows


def test_the_report_is_computed_from_the_predictions_file_alone(
    toy_run: RunResult, toy_out: Path
) -> None:
    report = evaluate(predictions.load(toy_out / "posteriors.parquet"))
    on_file = json.loads((toy_out / "report.json").read_text())
    assert json.loads(json.dumps(asdict(report))) == on_file


def test_stored_predictions_are_those_of_the_checkpoints(toy_run: RunResult) -> None:
    (fold,) = toy_run.trained.folds
    for loaded in fold.checkpoints:
        windows = fold.windows[loaded.mode]["unseen"].read()
        (stored,) = (
            one
            for one in toy_run.predictions.predictions
            if (one.model, one.mode, one.subset) == (loaded.model_name, loaded.mode, "unseen")
        )
        logits = loaded.logits(windows.x, windows.opening, windows.past)
        np.testing.assert_array_equal(stored.logits, logits)
        for field in fields(Windows):
            if field.name not in predictions.MODEL_INPUTS:
                expected, found = getattr(windows, field.name), getattr(stored.windows, field.name)
                np.testing.assert_array_equal(expected, found)


def test_saving_again_gives_the_same_bytes(
    toy_run: RunResult, toy_out: Path, tmp_path: Path
) -> None:
    path = toy_out / "posteriors.parquet"
    predictions.save(predictions.load(path), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_ambiguous_windows_are_marked_in_a_column_that_other_files_lack(
    toy_run: RunResult, toy_out: Path, tmp_path: Path
) -> None:
    assert "ambiguous" not in pq.read_table(toy_out / "posteriors.parquet").column_names
    first, *rest = toy_run.predictions.predictions
    mask = np.arange(len(first.windows)) % 3 == 0
    changed = replace(first, windows=replace(first.windows, ambiguous=mask))
    marked = replace(toy_run.predictions, predictions=(changed, *rest))
    path = tmp_path / "posteriors.parquet"
    predictions.save(marked, path)
    loaded = predictions.load(path).predictions
    np.testing.assert_array_equal(loaded[0].windows.ambiguous, mask)
    assert not any(one.windows.ambiguous.any() for one in loaded[1:])
    table = pq.read_table(path)
    column = table.column_names.index("ambiguous")
    numbers = table.set_column(column, "ambiguous", table["ambiguous"].cast("int8"))
    path.write_bytes(parquet.encode(numbers))
    with pytest.raises(Refused, match="column ambiguous is not of true and false"):
        predictions.load(path)


def test_pyarrow_alone_reads_the_predictions_file(toy_run: RunResult, toy_out: Path) -> None:
    table = pq.read_table(toy_out / "posteriors.parquet")
    assert {"fold", "model", "mode", "part", "episode", "t_ns", "y", "logit.benign"} <= set(
        table.column_names
    )
    assert len(table) == sum(len(one.windows) for one in toy_run.predictions.predictions)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("empty", ": is damaged, or no Parquet file;"),
        ("footer", ": is damaged, or no Parquet file;"),
        ("flipped", ": is damaged, or no Parquet file;"),
        ("text", ": is damaged, or no Parquet file;"),
        ("foreign", ": metadata phasewatch: is missing;"),
        ("column", ": column logit.impact: is missing;"),
        ("fact", ": metadata phasewatch.usable: is missing;"),
        ("rows", ": does not fit together: rows are missing: delta gbt realistic seen"),
        ("absent", ": No such file or directory;"),
        ("folder", ": Is a directory;"),
    ],
)
def test_another_file_is_refused_in_one_line(
    damage: str, problem: str, toy_run: RunResult, toy_out: Path, tmp_path: Path
) -> None:
    path = tmp_path / "posteriors.parquet"
    intact = (toy_out / "posteriors.parquet").read_bytes()
    table = pq.read_table(toy_out / "posteriors.parquet")
    bytes_of = {
        "empty": b"",
        "footer": intact[:-40] + b"?" + intact[-39:],
        "flipped": intact[:4000] + bytes([intact[4000] ^ 8]) + intact[4001:],
        "text": b"model,mode,part\n",
        "foreign": (toy_out / "validation_v1.parquet").read_bytes(),
    }
    tables = {
        "column": table.drop_columns(["logit.impact"]),
        "fact": table.replace_schema_metadata({"phasewatch": '{"format": 2, "folds": 0}'}),
        "rows": table.filter(np.not_equal(table["part"].to_pylist(), "seen")),
    }
    if damage in bytes_of:
        path.write_bytes(bytes_of[damage])
    elif damage in tables:
        pq.write_table(tables[damage], path)
    elif damage == "folder":
        path.mkdir()
    with pytest.raises(Refused) as refused:
        predictions.load(path)
    assert str(refused.value).startswith(f"{path}{problem}")
    assert "\n" not in str(refused.value)
