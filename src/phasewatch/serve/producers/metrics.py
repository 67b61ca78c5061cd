"""How good is every model, and how sure is that? Scores and comparisons from a run's report."""

from collections.abc import Mapping
from pathlib import Path
from threading import Event as Signal
from typing import Any, ClassVar, Literal

from phasewatch.artifacts import checkpoint
from phasewatch.errors import Refused
from phasewatch.evaluation.incidents import DEPLOYED_RATE
from phasewatch.experiment.run import REMEDY, Run, misfit, parse_report
from phasewatch.schema import Mode
from phasewatch.serve import events
from phasewatch.serve.evaluated import Evaluated
from phasewatch.serve.events import Event, Record

LOOK_S = 5.0
"""How often the report is checked for a change."""

FLOOR = "chance"
"""The baseline that any model must beat."""

PARTS = {"train": None, "validation": "validation", "seen": "seen", "test": "unseen"}
"""Sides of a split, and what the report calls their windows."""


class Estimate(Record):
    """A score and its 95 % interval over episodes; null where too few episodes give none."""

    value: float
    lo: float | None
    hi: float | None
    episodes: int
    windows: int


class ClassScore(Record):
    """F1 of one phase, and how many windows were truly in it; null where none was."""

    label: str
    f1: Estimate | None
    support: int


class PartScore(Record):
    """Macro F1 on one profile or host. Never averaged when it is untested.

    `right_ratio` is the share of its windows that were predicted rightly, which is what a part with
    few phases can be judged by; null where the run has no file of predictions.
    """

    name: str
    macro_f1: Estimate | None
    right_ratio: float | None
    status: Literal["tested", "untested", "too_few"]


class Confusion(Record):
    """Counts of windows, a row a truth, a column a call."""

    labels: list[str]
    counts: list[list[int]]


class Sureness(Record):
    """Held-out windows of similar probability, and the share of them that was predicted rightly."""

    p: float
    right_ratio: float
    windows: int


class IncidentFigures(Record):
    """Incidents on held-out episodes, under the rule chosen on validation for a target rate.

    `noticed_ratio` is of `noticed_of` hostile phases; it and the median delay are null where there
    was none to notice.
    """

    target_per_hour: float
    false_per_hour: float
    false_hi_per_hour: float
    calm_hours: float
    noticed_ratio: float | None
    noticed_of: int
    delay_s: float | None


class TrackRecord(Record):
    """How late a model was on held-out episodes, how often it never noticed, and how sure it was.

    `delay_s` is the lowest and the highest median delay of a hostile phase; null where none has
    one. `missed_ratio` is of `onsets` of hostile phases that were not detected while they lasted.
    """

    false_alarms_lo_per_hour: float
    false_alarms_hi_per_hour: float
    onsets: int
    missed_ratio: float | None
    delay_s: tuple[float, float] | None
    incidents: IncidentFigures | None
    sureness: list[Sureness]


class Row(Record):
    """One model in one mode, judged on episodes it had nothing of.

    `chosen` is the best of its mode on validation, whose predictions are headlined. A baseline
    needs no detector: `ece`, `false_alarms_per_hour` and `track_record` are null, and it has no
    file.
    """

    model: str
    mode: Mode
    chosen: bool
    validation_macro_f1: float
    right_ratio: float
    macro_f1: Estimate
    seen_macro_f1: Estimate
    per_class: list[ClassScore]
    per_profile: list[PartScore]
    per_host: list[PartScore]
    confusion: Confusion
    ece: float | None
    false_alarms_per_hour: float | None
    track_record: TrackRecord | None
    baseline: bool
    size_bytes: int | None


class Counted(Record):
    """Episodes and windows of one part of the split."""

    part: str
    episodes: int
    windows: int | None


class Scoreboard(Event):
    """How good every model of a run is on what was held out, and how sure that is."""

    kind = "scoreboard"
    source = "metrics"
    run_id: str
    recipe: str
    held_out: str
    unit: Literal["episode"] = "episode"
    ci_level: float = 0.95
    counts: list[Counted]
    labels: list[str]
    rows: list[Row]
    chance_macro_f1: float | None
    untested_profiles: list[str]
    untested_phases: list[str]
    never_recorded: list[str]


class Pair(Record):
    """Macro F1 of `a` minus `b` on the same episodes; p adjusted after Holm."""

    a: str
    b: str
    mode: Mode
    delta: Estimate
    p_adjusted: float
    verdict: Literal["a", "b", "undecided"]
    reason: str


class Comparison(Event):
    """Whether one model is really better than another, with "undecided" as a verdict."""

    kind = "comparison"
    source = "metrics"
    run_id: str
    recipe: str
    held_out: str
    metric: Literal["macro_f1"] = "macro_f1"
    method: Literal["paired cluster bootstrap, Holm"] = "paired cluster bootstrap, Holm"
    pairs: list[Pair]


class Producer(events.Producer):
    """Publishes both events, and publishes them again whenever the run's report changes."""

    kinds: ClassVar[tuple[type[Event], ...]] = (Scoreboard, Comparison)
    fill = "phasewatch run --store STORE --recipe all --out RUN"

    def work(self, stop: Signal) -> None:
        """Check the report until `stop`. Raises Refused for one that cannot be read."""
        published = b""
        while not stop.is_set():
            data = self._read()
            if data != published and data:
                report = parse_report(data, self.path)
                self.publish(scoreboard(report, self.path))
                self.publish(comparison(report, self.path))
                published = data
            stop.wait(LOOK_S)

    @property
    def path(self) -> Path:
        """Where the report is."""
        return (self.context.run or Run(Path())).report_path

    def _read(self) -> bytes:
        return self.path.read_bytes() if self.context.run and self.path.exists() else b""


def scoreboard(report: Mapping[str, Any], path: Path) -> Event:
    """Return the event of the report at `path`; raises Refused naming a field that is absent."""
    try:
        value = _scoreboard(report, Run(path.parent))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise Refused(path, misfit(error), "report.json of a run", REMEDY) from error
    return events.parse(Scoreboard, value, path)


def _scoreboard(report: Mapping[str, Any], run: Run) -> dict[str, Any]:
    labels = list(report["classes"])
    floor = [row for row in report["baselines"] if row["model"] == FLOOR]
    return {
        "run_id": run.name,
        "recipe": report["recipe"],
        "held_out": _held_out(report),
        "counts": [
            {
                "part": part,
                "episodes": sum(fold[part] for fold in report["folds"]),
                "windows": report["windows"].get(name) if name else None,
            }
            for part, name in PARTS.items()
        ],
        "labels": labels,
        "rows": _rows(report, run),
        "chance_macro_f1": floor[0]["unseen"]["value"] if floor else None,
        "untested_profiles": report["untested_profiles"],
        "untested_phases": report["untested_phases"],
        "never_recorded": list(report.get("never_recorded", ())),
    }


def _rows(report: Mapping[str, Any], run: Run) -> list[dict[str, Any]]:
    chosen, evaluated = set(run.chosen.values()), Evaluated(run)
    rows = [*report["rows"], *report["baselines"]]
    return [_row(row, report, run, chosen, evaluated) for row in rows]


def _held_out(report: Mapping[str, Any]) -> str:
    """Return what was held out, in words, which say where it is simulated."""
    folds = report["folds"]
    held = str(folds[0]["held_out"]) if len(folds) == 1 else f"{len(folds)} folds in turn"
    return f"simulated {held}" if report.get("simulated") else held


def _row(
    row: Mapping[str, Any],
    report: Mapping[str, Any],
    run: Run,
    chosen: set[str],
    evaluated: Evaluated,
) -> dict[str, Any]:
    labels, key = list(report["classes"]), f"{row['model']}.{row['mode']}"
    return {
        "model": row["model"],
        "mode": row["mode"],
        "chosen": key in chosen and "calibration" in row,
        "validation_macro_f1": row["validation"]["value"],
        "right_ratio": _right_ratio(row["confusion"]),
        "macro_f1": _estimate(row["unseen"]),
        "seen_macro_f1": _estimate(row["seen"]),
        "per_class": [
            {
                "label": label,
                "f1": _estimate(row["by_class"][label]),
                "support": sum(row["confusion"][place]),
            }
            for place, label in enumerate(labels)
        ],
        "per_profile": _parts(
            row["by_profile"], report["profiles"], evaluated.right_by(key, "profile")
        ),
        "per_host": _parts(row["by_host"], list(row["by_host"]), evaluated.right_by(key, "host")),
        "confusion": {"labels": labels, "counts": row["confusion"]},
        "ece": row["calibration"]["ece"] if "calibration" in row else None,
        "false_alarms_per_hour": _false_alarm_rate(row),
        "track_record": _track_record(row) if "timeline" in row else None,
        "baseline": "calibration" not in row,
        "size_bytes": _size(run, row["model"], row["mode"]),
    }


def _false_alarm_rate(row: Mapping[str, Any]) -> float | None:
    """Return false alarms per benign host-hour; None for a baseline, which has no timeline."""
    return float(row["timeline"]["false_alarms"]["rate"]) if "timeline" in row else None


def _right_ratio(confusion: list[list[int]]) -> float:
    """Return the share of windows on the diagonal."""
    right = sum(row[place] for place, row in enumerate(confusion))
    return right / max(sum(map(sum, confusion)), 1)


def _track_record(row: Mapping[str, Any]) -> dict[str, Any]:
    alarms = row["timeline"]["false_alarms"]
    low, high = alarms.get("across_hosts") or (alarms["low"], alarms["high"])
    hostile = [one for one in list(row["timeline"]["delays"].values())[1:] if one is not None]
    onsets = sum(one["onsets"] for one in hostile)
    medians = [one["median_s"] for one in hostile if one["median_s"] is not None]
    missed = sum(one["missed"] * one["onsets"] for one in hostile)
    return {
        "false_alarms_lo_per_hour": low,
        "false_alarms_hi_per_hour": high,
        "onsets": onsets,
        "missed_ratio": missed / onsets if onsets else None,
        "delay_s": (min(medians), max(medians)) if medians else None,
        "incidents": _incident_figures(row),
        "sureness": [
            {"p": one["confidence"], "right_ratio": one["accuracy"], "windows": one["windows"]}
            for one in row["calibration"]["bins"]
        ],
    }


def _incident_figures(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the deployed rule does on held-out episodes; None for an older report."""
    points = (row.get("incidents") or {}).get("points", ())
    point = next((one for one in points if one["target_rate"] == DEPLOYED_RATE), None)
    if point is None:
        return None
    false, phases = point["false_incidents"], point["phases"]
    return {
        "target_per_hour": point["target_rate"],
        "false_per_hour": false["rate"],
        "false_hi_per_hour": false["high"],
        "calm_hours": false["hours"],
        "noticed_ratio": phases["value"] if phases else None,
        "noticed_of": phases["of"] if phases else 0,
        "delay_s": point["median_delay_s"],
    }


def _parts(
    scores: Mapping[str, Any], names: list[str], right: Mapping[str, float]
) -> list[dict[str, Any]]:
    found = []
    for name in names:
        estimate = _estimate(scores.get(name))
        sure = estimate is not None and estimate["lo"] is not None
        status = "untested" if estimate is None else "tested" if sure else "too_few"
        part = {"name": name, "macro_f1": estimate, "right_ratio": right.get(name)}
        found.append({**part, "status": status})
    return found


def _estimate(score: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if score is None:
        return None
    return {
        "value": score["value"],
        "lo": score["low"],
        "hi": score["high"],
        "episodes": score["episodes"],
        "windows": score["windows"],
    }


def _size(run: Run, model: str, mode: Mode) -> int | None:
    """Return the size of a checkpoint's weights in bytes; None where it cannot be read."""
    try:
        header = checkpoint.load_header(run.checkpoint_path(model, mode))
    except Refused:
        return None
    return header.weights_bytes


def comparison(report: Mapping[str, Any], path: Path) -> Event:
    """Return the event of the report at `path`; raises Refused naming a field that is absent."""
    winners = {"better": "a", "worse": "b"}
    try:
        value = {
            "run_id": Run(path.parent).name,
            "recipe": report["recipe"],
            "held_out": _held_out(report),
            "pairs": [
                {
                    "a": pair["first"],
                    "b": pair["second"],
                    "mode": pair["mode"],
                    "delta": _estimate(pair["difference"]),
                    "p_adjusted": pair["p"],
                    "verdict": winners.get(pair["outcome"], "undecided"),
                    "reason": pair["outcome"],
                }
                for pair in report["comparisons"]
            ],
        }
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise Refused(path, misfit(error), "report.json of a run", REMEDY) from error
    return events.parse(Comparison, value, path)
