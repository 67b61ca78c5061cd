"""The one file from which every number of a report comes."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from phasewatch.errors import Refused
from phasewatch.evaluation import predictions
from phasewatch.evaluation.evaluate import evaluate
from phasewatch.experiment.pipeline import RunResult
from phasewatch.windowing import Windows


def test_the_report_comes_from_the_file_alone(toy_run: RunResult, toy_out: Path) -> None:
    report = evaluate(predictions.load(toy_out / "posteriors.parquet"))
    on_file = json.loads((toy_out / "report.json").read_text())
    assert json.loads(json.dumps(asdict(report))) == on_file


def test_what_was_said_is_what_the_checkpoints_say(toy_run: RunResult) -> None:
    (fold,) = toy_run.trained.folds
    for loaded in fold.checkpoints:
        windows = fold.windows[loaded.mode]["unseen"]
        (said,) = (
            one
            for one in toy_run.predictions.predictions
            if (one.model, one.mode, one.subset) == (loaded.model_name, loaded.mode, "unseen")
        )
        np.testing.assert_array_equal(
            said.logits, loaded.logits(windows.x, windows.opening, windows.past)
        )
        for field in fields(Windows):
            if field.name not in predictions.MODEL_INPUTS:
                mine, theirs = getattr(windows, field.name), getattr(said.windows, field.name)
                np.testing.assert_array_equal(mine, theirs)


def test_saving_again_gives_the_same_bytes(
    toy_run: RunResult, toy_out: Path, tmp_path: Path
) -> None:
    path = toy_out / "posteriors.parquet"
    predictions.save(predictions.load(path), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_stranger_can_read_it(toy_run: RunResult, toy_out: Path) -> None:
    table = pq.read_table(toy_out / "posteriors.parquet")
    assert {"fold", "model", "mode", "part", "episode", "t_ns", "y", "logit.benign"} <= set(
        table.column_names
    )
    assert len(table) == sum(len(one.windows) for one in toy_run.predictions.predictions)


@pytest.mark.parametrize(
    ("damage", "told"),
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
def test_another_file_is_one_line(
    damage: str, told: str, toy_run: RunResult, toy_out: Path, tmp_path: Path
) -> None:
    path = tmp_path / "posteriors.parquet"
    whole = (toy_out / "posteriors.parquet").read_bytes()
    table = pq.read_table(toy_out / "posteriors.parquet")
    bytes_of = {
        "empty": b"",
        "footer": whole[:-40] + b"?" + whole[-39:],
        "flipped": whole[:4000] + bytes([whole[4000] ^ 8]) + whole[4001:],
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
    assert str(refused.value).startswith(f"{path}{told}")
    assert "\n" not in str(refused.value)
