"""The reference pages that come from the code are those of this code."""

import ast

import pytest
import typer

from docs import generate
from phasewatch.cli.console import app

PAGES = generate.pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_fresh(name: str) -> None:
    stored = (generate.HERE / name).read_text(encoding="utf-8")
    assert stored == PAGES[name], "run: make reference"


def test_every_command_and_option_is_described() -> None:
    page = PAGES["reference/cli.md"]
    group = typer.main.get_command(app)
    names = group.list_commands(typer.Context(group))  # type: ignore[attr-defined]
    assert [name for name in names if f"## `phasewatch {name}`" not in page] == []
    assert "`--strict-perms`" in page and "--install-completion" in page


def test_codes_are_found_however_they_are_passed() -> None:
    text = """
def _refuse(where, problem, code): return Refused(where, problem, "", "", code=code)
def f(name):
    raise Refused(name, f"is {name}", "x", "y", code="keyword")
    raise Refused(name, "is bad", "x", "y", "positional")
    raise Unfit("weights", "too long")
    raise _refuse(name, "odd", "helper")
    raise Refused(name, "leaks", "x", "y", code=f"leak_{name}")
    raise Refused(name, "has none", "x", "y")
"""
    assert sorted(generate.codes_of(ast.parse(text))) == [
        ("helper", "…"),
        ("keyword", "is …"),
        ("leak_…", "leaks"),
        ("positional", "is bad"),
        ("weights", "too long"),
    ]


def test_a_problem_in_a_variable_is_that_of_its_branch_or_of_the_callers() -> None:
    text = """
def f(name):
    if name:
        problem = f"is {name}"
        raise Refused(name, problem, "x", "y", code="first")
    problem = "is empty"
    raise Refused(name, problem, "x", "y", code="second")
def g(where, problem): return Refused(where, problem, "x", "y", code="third")
g("here", "is passed")
"""
    found = sorted(generate.codes_of(ast.parse(text)))
    assert ("first", "is …") in found and ("third", "is passed") in found
    assert ("second", "is empty") in found and ("first", "is empty") not in found


def test_known_codes_are_listed() -> None:
    page = PAGES["reference/error-codes.md"]
    for code in ("qemu_missing", "no_onnx", "weights_shape", "store_missing", "sha_mismatch"):
        assert f"| `{code}` |" in page, code
