"""The product knows no schema: not the lab's channels, sources or phases, and not their number."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import phasewatch
from phasewatch import schema

ROOT = Path(phasewatch.__file__).parent
PAGE = ROOT.parent.parent / "dashboard" / "src"
VM46 = schema.vm46()
LAB_FOLDERS = {"lab", "sim", "attach", "schemas", "page"}
"""What measures channels by their names, and what is built from `dashboard/`."""

EXCEPT = {
    "clocks.py": "pairs of the lab's channels that count the same; other schemas have none",
    "rules.py": "the lab's measure of contention; other schemas are not asked",
    "attach.py": "the option for a QMP socket",
    "dropout.py": "which of the lab's channels collectors lack; of other schemas they lack none",
    "ocsf.py": "the tactics of MITRE ATT&CK, by their own names",
    "exports.py": "the tactics of MITRE ATT&CK, by their own names",
    "labels.py": "a draft's name of rest, which a person corrects",
}
SOURCES = sorted(
    path for path in ROOT.rglob("*.py") if not LAB_FOLDERS & set(path.relative_to(ROOT).parts[:-1])
)
SCENES = sorted(path for path in PAGE.rglob("*") if path.suffix in (".ts", ".svelte"))
KNOWN = re.compile(
    rf"\b({'|'.join(VM46.sources)})\.\w|^({'|'.join((*VM46.sources, *VM46.classes))})$"
)


def texts(path: Path) -> Iterator[str | int]:
    """The constants of a Python file, but for what it says of itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in docstrings:
            continue
        if isinstance(node.value, str) or type(node.value) is int:
            yield node.value


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_product_names_no_channel_or_phase_of_the_labs_schema(path: Path) -> None:
    found = [
        text
        for text in texts(path)
        if (KNOWN.search(text) if isinstance(text, str) else text == len(VM46.channels))
        and '{"source"' not in str(text)
    ]
    assert bool(found) == (path.name in EXCEPT), found


@pytest.mark.parametrize("path", SCENES, ids=lambda path: str(path.relative_to(PAGE)))
def test_no_scene_names_a_source_or_a_phase(path: Path) -> None:
    words = "|".join((*VM46.sources, *VM46.classes))
    found = re.findall(rf"[\"'`]({words})[\"'`]|\b({words}):", path.read_text(encoding="utf-8"))
    assert not found
