"""Files are read in the order of docs/architecture.md, no import points upwards, tests mirror."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
from tests.paths import ROOT

import phasewatch

SOURCE = Path(phasewatch.__file__).parent
PAGE = ROOT / "docs" / "architecture.md"
MOST_MODULES = 15
"""How many modules a package may hold besides `__init__`."""

TESTED_ELSEWHERE = {
    "adapters/reading/head.py": "adapters/reading/test_opening.py",
    "adapters/reading/table.py": "adapters/reading/test_opening.py",
    "experiment/usable.py": "test_api.py",
    "lab/image.py": "lab/test_recording.py",
    "lab/machine.py": "lab/test_recording.py",
    "lab/network.py": "lab/test_recording.py",
    "lab/snapshot.py": "lab/test_recording.py",
    "serve/replay/records.py": "serve/test_documents.py",
}
"""Modules whose tests stand in another file: those that only a booted guest or a server shows."""


def tree() -> list[str]:
    """Return the modules that the page lists, in its reading order, as dotted names."""
    block = re.findall(r"```\n(phasewatch/.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    found: list[str] = []
    folders: list[str] = []
    for line in block.splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name.removesuffix("/"))
            found.append(".".join(folders))
        elif name.endswith(".py"):
            found.append(".".join([*folders, name.removesuffix(".py")]))
    return found


ORDER = tree()


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
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


def test_the_page_lists_every_module_once() -> None:
    assert Counter(ORDER) == Counter(module(path) for path in modules())


@pytest.mark.parametrize("path", modules(), ids=module)
def test_imports_only_what_stands_before(path: Path) -> None:
    name_of_module = module(path)
    upwards = [name for name in imported(path) if ORDER.index(name) >= ORDER.index(name_of_module)]
    # The package itself is the public API: it may name everything, and nothing may need it.
    assert name_of_module == "phasewatch" or not upwards


def test_modules_of_a_package_are_listed_together() -> None:
    """The modules of a package stand together, so packages have an order as well."""
    packages = [name.split(".")[1] for name in ORDER if name.count(".")]
    packages_in_order = [name for name, _ in groupby(packages)]
    assert len(packages_in_order) == len(set(packages_in_order))


def test_finds_imports() -> None:
    assert "phasewatch.schema" in set(imported(SOURCE / "store" / "local.py"))


@pytest.mark.parametrize("path", modules(), ids=module)
def test_every_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in modules()}), ids=lambda path: path.name
)
def test_no_package_exceeds_the_module_limit(folder: Path) -> None:
    assert len([*folder.glob("*.py")]) - 1 <= MOST_MODULES


@pytest.mark.parametrize("path", modules(), ids=module)
def test_every_module_has_a_test_at_the_mirrored_path(path: Path) -> None:
    """Models are tested together, by tests/models/test_base.py, which finds them in the folder."""
    name = str(path.relative_to(SOURCE))
    mirrored = f"{Path(name).parent}/test_{path.name.lstrip('_')}"
    if path.name == "__init__.py" or name in TESTED_ELSEWHERE:
        mirrored = TESTED_ELSEWHERE.get(name, "test_api.py")
    elif path.parent.name == "models" and not path.name.startswith("_"):
        mirrored = "models/test_base.py"
    assert (ROOT / "tests" / mirrored).exists(), f"write tests/{mirrored}"


def test_modules_tested_elsewhere_have_no_test_of_their_own() -> None:
    for name in TESTED_ELSEWHERE:
        assert (SOURCE / name).exists()
        assert not (ROOT / "tests" / name).with_name(f"test_{Path(name).name}").exists()
