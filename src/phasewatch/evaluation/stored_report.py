"""Reads report.json of earlier versions: renamed fields get the names of this version."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
Names = Mapping[str, str]

REPORT: Names = {"untested_cells": "untested_pairs", "never": "never_recorded"}
ROW: Names = {
    "across": "across_hosts",
    "again": "by_seed",
    "without": "ablations",
    "course": "timeline",
    "decoded": "smoothed",
    "decoded_course": "smoothed_timeline",
    "budgeted": "alarm_budget",
    "confidence": "calibration",
    "abstaining": "abstention",
}
COMPARISON: Names = {
    "ours": "first",
    "other": "second",
    "gap": "difference",
    "verdict": "outcome",
    "across": "across_hosts",
}
TIMELINE: Names = {"lateness": "delays", "alarms": "false_alarms"}
FALSE_ALARMS: Names = {"across": "across_hosts"}
SEGMENTS: Names = {"edit": "edit_score", "calls": "predicted", "truths": "true"}
ALARM_BUDGET: Names = {"budget": "target_rate", "chosen": "validation", "raised": "detected"}
CALIBRATION: Names = {"risk": "error_rate"}
ABSTENTION: Names = {"risk": "target_error_rate", "achieved": "error_rate"}


def upgraded(report: Json) -> Json:
    """Return a report, as JSON, with the field names of this version.

    A report of this version is returned as it is. In earlier ones no window was ambiguous, no
    recordings taught levels, no episode was simulated, and rows without incidents have None for
    them. Other fields that are missing stay missing: whoever reads one refuses it by name.
    """
    report = {"ambiguous": [], "levels": None, "simulated": False, **_renamed(report, REPORT)}
    for name in ("rows", "baselines"):
        if name in report:
            report[name] = [_row(row) for row in report[name]]
    for row in report.get("rows", ()):
        row.setdefault("incidents", None)
    if "comparisons" in report:
        report["comparisons"] = [_renamed(one, COMPARISON) for one in report["comparisons"]]
    return report


def _row(row: Json) -> Json:
    row = _renamed(row, ROW)
    for name in ("timeline", "smoothed_timeline"):
        if name in row:
            timeline = _renamed(row[name], TIMELINE)
            _inner(timeline, "false_alarms", FALSE_ALARMS)
            _inner(timeline, "segments", SEGMENTS)
            row[name] = timeline
    _inner(row, "alarm_budget", ALARM_BUDGET)
    for name in ("validation", "achieved"):
        _inner(row.get("alarm_budget", {}), name, FALSE_ALARMS)
    _inner(row, "calibration", CALIBRATION)
    # An old abstention has no field of the new names, so its two fields can change places.
    if "achieved" in row.get("abstention", {}):
        _inner(row, "abstention", ABSTENTION)
    return row


def _inner(value: Json, name: str, names: Names) -> None:
    """Rename the fields of `value[name]`, where it is an object."""
    if isinstance(value.get(name), dict):
        value[name] = _renamed(value[name], names)


def _renamed(value: Json, names: Names) -> Json:
    return {names.get(name, name): field for name, field in value.items()}
