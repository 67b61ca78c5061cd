"""What the report of a run says for use at work: temperatures and operating thresholds, by model.

A key is `model.mode`, such as `gbt.realistic`. Values are those of the report's first fold, whose
checkpoints lie beside it where it is the only one.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from phasewatch.errors import Refused

REPORT = "report.json"

_REMEDY = "Make it again with `phasewatch run`."

Value = TypeVar("Value")


def parse_report(data: bytes, path: Path) -> dict[str, Any]:
    """Return the report of a run from its bytes; `path` is named in the refusal. Raises Refused."""
    try:
        value = json.loads(data)
        if isinstance(value, dict):
            return value
    except ValueError:
        pass
    raise Refused(path, "is no report", "report.json of a run", _REMEDY, code="report_json")


def lacks(path: Path, error: Exception) -> Refused:
    """Return the refusal of a report in which a field is absent, or of another type."""
    return Refused(path, f"lacks {error}", "report.json of a run", _REMEDY)


def temperatures(run: Path) -> dict[str, float]:
    """Return what each model's logits are divided by before softmax; empty without a report.

    Raises Refused when the report cannot be read or lacks one.
    """
    return _by_model(run, lambda row: float(row["temperatures"][0]))


def thresholds(run: Path) -> dict[str, float | None]:
    """Return the probability of any hostile phase at which each model raises an incident.

    None where no threshold met the alarm budget on validation hosts; empty without a report. Raises
    Refused when the report cannot be read or lacks one.
    """
    return _by_model(run, lambda row: row["budgeted"]["thresholds"][0])


def _by_model(run: Path, value: Callable[[Mapping[str, Any]], Value]) -> dict[str, Value]:
    path = run / REPORT
    if not path.exists():
        return {}
    report = parse_report(path.read_bytes(), path)
    try:
        return {f"{row['model']}.{row['mode']}": value(row) for row in report["rows"]}
    except (KeyError, TypeError) as error:
        raise lacks(path, error) from error
