"""A run's folder: its recipe, folds, checkpoints, predictions and report, under their names.

```
run.json               the recipe, and a digest of the store that it was trained on
validation_v1.parquet  the acceptance index of that store
checkpoints/           a header and its weights for every model, mode and seed
inner/                 checkpoints of inner folds, where the recipe has some
logs/, states/         every epoch; what an interrupted training goes on from
grids/                 the grids of the store's episodes, unless `--cache` names another folder
folds/NAME/            checkpoints, logs and states of one fold, where the split has several
posteriors.parquet     every prediction
report.json            every score; report.html and report.md show it to people
```
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from phasewatch.alarm import AlarmRule
from phasewatch.artifacts import checkpoint
from phasewatch.artifacts.checkpoint import ENDING, Checkpoint
from phasewatch.errors import Refused, differences
from phasewatch.evaluation import predictions, stored_report
from phasewatch.evaluation.evaluate import Report
from phasewatch.evaluation.incidents import DEPLOYED_RATE, TARGET_RATES
from phasewatch.evaluation.predictions import Predictions, PredictionSet
from phasewatch.io import atomic
from phasewatch.io.trust import ANY, Trust
from phasewatch.schema import MODES, Mode
from phasewatch.splits import Split
from phasewatch.training import jobs
from phasewatch.training.jobs import TrainingFolders
from phasewatch.training.recipes import Recipe
from phasewatch.validation import index
from phasewatch.validation.verdict import ValidationResult

RECORD, FOLDS, GRIDS = "run.json", "folds", "grids"
CHECKPOINTS, LOGS, STATES, INNER = "checkpoints", "logs", "states", "inner"
INDEX, PREDICTIONS = "validation_v1.parquet", "posteriors.parquet"
REPORT, PAGE, MARKDOWN = "report.json", "report.html", "report.md"
REMEDY = "Make it again with `phasewatch run`."


@dataclass(frozen=True)
class Run:
    """The folder of a run at `path`. Every property raises Refused where its file is missing.

    `predictions` and `report` are cached; a new `Run` reads them again.
    """

    path: Path

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """Return the run in a folder that is there. Raises Refused; see `check` for what is in it.

        A folder without any file of a run is refused. A fold's folder is opened like the folder of
        a run of one split.
        """
        folder = Path(path)
        if not folder.is_dir():
            remedy = "`phasewatch run` makes one."
            raise Refused(folder, "is no folder", "the folder of a run", remedy, code="missing")
        names = (RECORD, REPORT, INDEX, PREDICTIONS, CHECKPOINTS, FOLDS)
        if not any((folder / name).exists() for name in names):
            remedy = "Check the path; `phasewatch run` makes one."
            problem = "holds no file of a run"
            raise Refused(folder, problem, "the folder of a run", remedy, code="missing")
        return cls(folder)

    @classmethod
    def create(cls, path: Path, record: Mapping[str, Any]) -> "Run":
        """Return the run of this record at `path`, which is new or was interrupted before.

        Raises Refused when the folder is of another run.
        """
        run, wanted = cls(path), json.loads(json.dumps(record))
        if not run.record_path.exists():
            atomic.write(run.record_path, (json.dumps(wanted, indent=1) + "\n").encode())
            return run
        there = _json(run.record_path.read_bytes())
        if there != wanted:
            found = differences(there, wanted) if isinstance(there, dict) else "it cannot be read"
            raise Refused(
                run.record_path,
                f"is of another run: {found}",
                "the same recipe on the same store, to go on with",
                "Choose another folder, or delete this one.",
                code="run_other",
            )
        return run

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.resolve().name

    # ------------------------------------------------------------ files

    @property
    def record_path(self) -> Path:
        """The path of the record of the recipe and store, `run.json`."""
        return self.path / RECORD

    @property
    def index_path(self) -> Path:
        """The path of the acceptance index."""
        return self.path / INDEX

    @property
    def predictions_path(self) -> Path:
        """The path of the file of predictions."""
        return self.path / PREDICTIONS

    @property
    def report_path(self) -> Path:
        """The path of the report as JSON values, `report.json`."""
        return self.path / REPORT

    @property
    def page_path(self) -> Path:
        """The path of the report as a page."""
        return self.path / PAGE

    @property
    def markdown_path(self) -> Path:
        """The path of the report as Markdown."""
        return self.path / MARKDOWN

    @property
    def grids_path(self) -> Path:
        """The path of the cache of grids, where none is named."""
        return self.path / GRIDS

    @property
    def training_folders(self) -> TrainingFolders:
        """The folders that the trainings of this run or fold write to."""
        return TrainingFolders(*(self.path / name for name in (CHECKPOINTS, LOGS, STATES, INNER)))

    # ------------------------------------------------------------ what was trained

    @property
    def record(self) -> dict[str, Any]:
        """The content of `run.json`: release, recipe, number of episodes, digest of the store."""
        return _read_object(self.record_path, "run.json of a run")

    @property
    def recipe(self) -> Recipe:
        """The recipe that the run was trained by."""
        try:
            value = self.record["recipe"]
            return TypeAdapter(Recipe).validate_python(value)
        except (KeyError, ValidationError) as error:
            where = f"{self.record_path}: recipe"
            raise Refused(where, _first(error), "a recipe of this release", REMEDY) from error

    @property
    def folds(self) -> dict[str, "Run"]:
        """The folder of each fold, by what it holds out; empty where the split has one fold."""
        folders = sorted(one for one in (self.path / FOLDS).glob("*") if one.is_dir())
        return {one.name: Run(one) for one in folders}

    def fold(self, held_out: str) -> "Run":
        """Return the folder of a fold, which need not be there yet."""
        return Run(self.path / FOLDS / held_out)

    def checkpoint_paths(self) -> list[Path]:
        """Return the header of every checkpoint beside this run's report, by name."""
        return sorted((self.path / CHECKPOINTS).glob(f"*{ENDING}"))

    def models(self) -> dict[str, Path]:
        """Return each model's checkpoint header by `model.mode`, the first seed's alone."""
        found = {}
        for path in self.checkpoint_paths():
            key = ".".join(path.name.removesuffix(ENDING).rsplit("-", 1))
            if key.partition(".")[2] in MODES:
                found[key] = path
        return found

    def checkpoint_path(self, model: str, mode: Mode, repeat: int = 0) -> Path:
        """Return the path of the checkpoint of a model in a mode, from the `repeat`th training."""
        name = jobs.checkpoint_name(model, mode, repeat)
        return checkpoint.path_of(self.path / CHECKPOINTS, name)

    def checkpoint(self, model: str, mode: Mode, repeat: int = 0, trust: Trust = ANY) -> Checkpoint:
        """Load a checkpoint, checked to its last logit. Raises Refused, or Drift."""
        path = self.checkpoint_path(model, mode, repeat)
        if not path.exists():
            there = ", ".join(one.name.removesuffix(ENDING) for one in self.checkpoint_paths())
            remedy = "Choose one of those."
            if self.folds:
                remedy = f"Open a fold of it, such as {next(iter(self.folds.values())).path}."
            raise Refused(path, "is missing", f"one of {there or 'none'}", remedy, code="missing")
        return checkpoint.load(path, trust)

    @property
    def split(self) -> Split | None:
        """The split that the checkpoints were trained on; None without a readable one."""
        for path in self.checkpoint_paths():
            try:
                return TypeAdapter(Split).validate_python(checkpoint.load_header(path).split)
            except (Refused, ValidationError):
                continue
        return None

    def training_seconds(self, name: str) -> float:
        """Return how long the epochs of the training of that name took, inner folds included."""
        logs = [self.training_folders.log(name)]
        logs += self.training_folders.logs.glob(f"{jobs.inner_name(name, 0)[:-1]}*.jsonl")
        lines = [line for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
        return float(sum(json.loads(line)["seconds"] for line in lines))

    @property
    def validation(self) -> list[ValidationResult]:
        """The acceptance index: every episode of the store, with what was found wrong."""
        _refuse_absent(self.index_path, "a file of a run")
        return index.read(self.index_path)

    # ------------------------------------------------------------ what was found

    @cached_property
    def predictions(self) -> PredictionSet:
        """Every prediction of every model."""
        return predictions.load(self.predictions_path)

    def write_predictions(
        self, about: PredictionSet, found: Iterable[Predictions], ambiguous: bool
    ) -> None:
        """Write the file of predictions as they are made; `ambiguous` is whether any window is."""
        predictions.save_each(about, self.predictions_path, found, ambiguous)

    @cached_property
    def report(self) -> Report:
        """Every score of every model."""
        try:
            return TypeAdapter(Report).validate_python(self.read_report())
        except ValidationError as error:
            raise Refused(
                self.report_path, _first(error), "report.json of a run", REMEDY
            ) from error

    def read_report(self) -> dict[str, Any]:
        """Return `report.json` as JSON values, under the names of this release."""
        _refuse_absent(self.report_path, "report.json of a run")
        return parse_report(self.report_path.read_bytes(), self.report_path)

    def write_report(self, report: Report) -> None:
        """Write a report as `report.json`, in one step."""
        atomic.write(self.report_path, json.dumps(asdict(report), indent=1).encode())

    @property
    def temperatures(self) -> dict[str, float]:
        """The temperature that calibrates logits, by `model.mode`; empty without a report."""
        return self._by_model(lambda row, fold: float(row["temperatures"][fold]))

    @property
    def chosen(self) -> dict[str, str]:
        """The model with the best score on validation, as `model.mode`, by mode.

        Empty without a report. The report's abstract is about the same model.
        """
        scores = self._by_model(lambda row, fold: float(row["validation"]["value"]))
        found: dict[str, str] = {}
        for key, score in scores.items():
            mode = key.rpartition(".")[2]
            if mode not in found or score > scores[found[mode]]:
                found[mode] = key
        return found

    @property
    def thresholds(self) -> dict[str, float | None]:
        """By `model.mode`, the hostile probability at which to raise an alarm.

        None where no threshold met the alarm budget on validation. Empty without a report.
        """
        return self._by_model(lambda row, fold: row["alarm_budget"]["thresholds"][fold])

    def alarm_rules(self, rate: float = DEPLOYED_RATE) -> dict[str, AlarmRule]:
        """Return the rule that raises incidents, by `model.mode`, for a target rate.

        `rate` is in false incidents per host-hour. Empty without a report, and for a report of
        0.2.0 or before. Raises Refused for a rate that no rule was chosen for.
        """
        if rate not in TARGET_RATES:
            raise Refused(
                f"rate {rate:g}",
                "has no rule",
                f"one of {', '.join(f'{one:g}' for one in TARGET_RATES)} false incidents an hour",
                "Choose one of these.",
                code="rate",
            )

        def points(row: Any, fold: int) -> list[Any]:
            of_rate = (row.get("incidents") or {}).get("points", ())
            return [point["rules"][fold] for point in of_rate if point["target_rate"] == rate]

        return {
            key: AlarmRule.parse(found[0], f"{self.report_path}: {key}: incidents")
            for key, found in self._by_model(points).items()
            if found
        }

    @classmethod
    def alarm_rule_of(cls, checkpoint: Path, rate: float = DEPLOYED_RATE) -> AlarmRule | None:
        """Return the rule of a checkpoint in a run's folder; None where no report has one.

        Raises Refused as `alarm_rules` does.
        """
        run = cls(checkpoint.parent.parent)
        rules = run.alarm_rules(rate)
        keys = (key for key, path in run.models().items() if path.name == checkpoint.name)
        return rules.get(next(keys, ""))

    def _by_model(self, take: Callable[[Any, int], Any]) -> dict[str, Any]:
        """Take a value from each row of the report, given the place of this fold in it.

        The report of a fold is that of the run around it.
        """
        above = Run(self.path.parent.parent)
        if self.report_path.exists():
            report, fold = self.read_report(), 0
        elif self.path.parent.name == FOLDS and above.report_path.exists():
            report = above.read_report()
            names = [one["held_out"] for one in report.get("folds", ())]
            if self.path.name not in names:
                return {}
            fold = names.index(self.path.name)
        else:
            return {}
        try:
            return {f"{row['model']}.{row['mode']}": take(row, fold) for row in report["rows"]}
        except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
            raise Refused(
                self.report_path, misfit(error), "report.json of a run", REMEDY
            ) from error

    # ------------------------------------------------------------ what is missing

    def missing(self) -> list[str]:
        """Return the files that a finished run has and this one lacks, relative to its folder."""
        names = (RECORD, INDEX, PREDICTIONS, REPORT)
        lacking = [name for name in names if not (self.path / name).exists()]
        if RECORD in lacking:
            return lacking
        recipe, folds = self.recipe, self._expected_folds()
        for run in folds or [self]:
            place = run.path.relative_to(self.path)
            lacking += [str(place / name) for name in run._missing_checkpoints(recipe)]
        return lacking

    def check(self) -> None:
        """Raise Refused with one line that names all that is missing of a finished run."""
        if lacking := self.missing():
            raise Refused(
                self.path,
                f"lacks {', '.join(lacking)}",
                "the folder of a finished run",
                "`phasewatch run` with the same recipe and folder goes on where it stopped.",
                code="run_incomplete",
            )

    def _expected_folds(self) -> list["Run"]:
        """Return the folds of the report, and those that are there."""
        found = self.folds
        if self.report_path.exists():
            held_out = [fold["held_out"] for fold in self.read_report().get("folds", ())]
            found |= {name: self.fold(name) for name in held_out if len(held_out) > 1}
        return list(found.values())

    def _missing_checkpoints(self, recipe: Recipe) -> list[str]:
        """Return the checkpoints of a recipe that are not there, in the modes that the store has.

        A store without channels of a mode has no checkpoint in it.
        """
        modes = {key.rpartition(".")[2] for key in self.models()}
        if not modes:
            return [CHECKPOINTS]
        wanted = (
            self.checkpoint_path(model, mode, repeat)
            for mode in recipe.modes
            if mode in modes
            for repeat in range(recipe.seeds)
            for model in recipe.models
        )
        return [f"{CHECKPOINTS}/{path.name}" for path in wanted if not path.exists()]


def _refuse_absent(path: Path, what: str) -> None:
    """Raise Refused where `what` is missing at `path`."""
    if not path.exists():
        raise Refused(path, "is missing", what, REMEDY, code="missing")


def _read_object(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object. Raises Refused."""
    _refuse_absent(path, what)
    return parse_object(path.read_bytes(), path, what)


def parse_object(data: bytes, path: Path, what: str = "report.json of a run") -> dict[str, Any]:
    """Parse a JSON object of the file at `path`. Raises Refused."""
    value = _json(data)
    if not isinstance(value, dict):
        problem = f"is no {path.stem}"
        raise Refused(path, problem, what, REMEDY, code=f"{path.stem}_json")
    return value


def parse_report(data: bytes, path: Path) -> dict[str, Any]:
    """Parse `report.json` at `path`, under the names of this release. Raises Refused."""
    what = "report.json of a run"
    try:
        return stored_report.upgraded(parse_object(data, path, what))
    except (AttributeError, TypeError) as error:
        raise Refused(path, misfit(error), what, REMEDY) from error


def misfit(error: Exception) -> str:
    """Return in words why JSON values have another form than a report."""
    return f"lacks {error}" if isinstance(error, KeyError) else f"has another form ({error})"


def _json(data: bytes) -> Any:
    """Return the value of JSON; None for what is no JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _first(error: Exception) -> str:
    """Return the first problem that pydantic found, with its field."""
    if not isinstance(error, ValidationError):
        return f"lacks {error}"
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
