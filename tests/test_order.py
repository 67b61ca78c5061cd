"""Files are read in the order they import each other; nothing imports upwards."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import phasewatch

ROOT = Path(phasewatch.__file__).parent
DATA = ("refusal", "durable", "schema", "episode", "pages", "store")
JUDGING = ("bucket", "verdict", "clocks", "rules", "index", "ledger", "spread", "sweep", "story")
WINDOWS = ("windows", "splits")
MODELS = (
    "views",
    "scores",
    "models",
    "model",
    "forest",
    "trainer",
    "cluster",
    "neural",
    "recurrent",
    "models.*",
)
TELLING = (
    "trust",
    "contract",
    "checkpoint",
    "dropout",
    "recipes",
    "training",
    "leaks",
    "audit",
    "timing",
    "calibration",
    "decoding",
    "answers",
    "course",
    "evaluate",
    "abstract",
    "figures",
    "report",
    "pipeline",
)
SURVEY = ("survey",)
BUNDLES = ("bundle", "trial", "quantise", "export", "feed", "lookout")
EXCHANGE = ("reading", "mapping", "importing", "suggest", "extracts", "estimator")
WATCHING = (
    "live",
    "explain",
    "alerts",
    "producers",
    "events",
    "producers.metrics",
    "producers.*",
    "show",
    "hub",
    "serve",
)
MOVED = ("receive", "ship")
MACHINES = ("hosts", "campaign", "profile", "image", "network", "switch", "machine")
LAB = (*MACHINES, "fault", "probes", "snapshot", "recording", "plan")
SIM = ("sim", "sim.fit", "sim.draw", "sim.plant", "sim.stream", "sim.compare")
TOLD = ("console", "tables", "commands", "commands.*", "cli")
ORDER = [
    "phasewatch",
    *DATA,
    *JUDGING,
    *WINDOWS,
    *MODELS,
    *TELLING,
    *SURVEY,
    *BUNDLES,
    *EXCHANGE,
    *MOVED,
    "lab",
    *(f"lab.{name}" for name in LAB),
    *SIM,
    *WATCHING,
    *TOLD,
]


def place(module: str) -> int:
    """Where a module stands; a file under models/ stands where models.* does, unless named."""
    name = module.removeprefix("phasewatch.")
    folder, _, file = name.partition(".")
    if file and folder in ("models", "commands", "producers") and name not in ORDER:
        name = f"{folder}.*"
    assert name in ORDER, f"{name} has no place in the reading order: give it one"
    return ORDER.index(name)


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def module(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path: Path) -> Iterator[str]:
    """Modules of this package that a file imports, wherever in the file."""
    known = {module(file) for file in modules()}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
        else:
            continue
        yield from (name for name in names if name in known and name != "phasewatch")


@pytest.mark.parametrize("path", modules(), ids=module)
def test_imports_only_what_stands_before(path: Path) -> None:
    own = module(path)
    upwards = [name for name in imported(path) if name != own and place(name) >= place(own)]
    assert not upwards


def test_finds_imports() -> None:
    assert "phasewatch.schema" in set(imported(ROOT / "store.py"))


@pytest.mark.parametrize("path", modules(), ids=module)
def test_every_file_says_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_the_readme_names_every_file() -> None:
    readme = (ROOT.parent.parent / "README.md").read_text(encoding="utf-8")
    absent = [path.name for path in modules() if path.name not in readme]
    assert not [name for name in absent if name != "__init__.py"]
