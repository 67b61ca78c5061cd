"""The public names of phasewatch, for type checkers."""

from phasewatch.api import open_store as open_store
from phasewatch.api import train as train
from phasewatch.api import validate as validate
from phasewatch.api import watch as watch
from phasewatch.api import windows as windows
from phasewatch.artifacts.bundle import Bundle as Bundle
from phasewatch.artifacts.checkpoint import Checkpoint as Checkpoint
from phasewatch.artifacts.contract import Drift as Drift
from phasewatch.errors import Refused as Refused
from phasewatch.experiment.run import Run as Run
from phasewatch.schema import Schema as Schema
from phasewatch.store.local import Store as Store
from phasewatch.training.recipes import Recipe as Recipe
from phasewatch.training.sklearn import Estimator as Estimator
from phasewatch.validation.verdict import ValidationResult as ValidationResult
from phasewatch.windowing import Windows as Windows

__version__: str
__all__: list[str]
_HOMES: dict[str, str]
