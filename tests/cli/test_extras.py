"""The table of extras equals that of pyproject.toml, and missing libraries are found."""

import re
import tomllib
from importlib.metadata import packages_distributions

import pytest
from tests.paths import ROOT

from phasewatch.cli import extras

DECLARED: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
NOT_FOR_COMMANDS = {"dev", "docs"}


def distribution(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0]


def test_every_extra_lists_what_pyproject_lists() -> None:
    listed = {extra: sorted(modules.values()) for extra, modules in extras.EXTRAS.items()}
    declared = {
        extra: sorted(map(distribution, requirements))
        for extra, requirements in DECLARED.items()
        if extra not in NOT_FOR_COMMANDS
    }
    assert listed == declared


def test_import_names_are_those_of_the_distributions() -> None:
    provided = packages_distributions()
    for modules in extras.EXTRAS.values():
        for module, name in modules.items():
            assert name in [one.lower().replace("_", "-") for one in provided[module]]


def test_a_module_has_the_extra_that_installs_it() -> None:
    assert extras.extra_of("scipy.special") == "train"
    assert extras.extra_of("pyarrow") == "data"
    assert extras.extra_of("nowhere") is None


def test_libraries_that_cannot_be_found_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert extras.missing("data") == []
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "pyarrow" else object())
    assert extras.missing("data") == ["pyarrow"]


def test_the_install_line_is_quoted_for_the_shell() -> None:
    assert extras.install_line("data", "train") == "pip install 'phasewatch[data,train]'"
