"""`phasewatch doctor`: complete, right about what is missing, and with an exit code for it."""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from tests.cli.invoke import Run

import phasewatch
from phasewatch.attach.collector import kinds
from phasewatch.cli import extras
from phasewatch.cli.commands import doctor
from phasewatch.cli.console import REFUSED, app

SOURCE = Path(phasewatch.__file__).parent


def command_names() -> set[str]:
    group = typer.main.get_command(app)
    return set(group.list_commands(typer.Context(group)))  # type: ignore[attr-defined]


def test_every_command_is_listed() -> None:
    assert set(doctor.NEEDS) == command_names()


def test_nothing_is_blocked_where_every_extra_is_installed(run: Run) -> None:
    code, out, _ = run("doctor", "--json")
    found = json.loads(out)
    assert code == 0 and found["blocked_commands"] == {}
    assert found["cores"] >= 1 and found["memory_bytes"] > 2**20
    assert {"phasewatch[train]", "qemu-system-x86_64", "node", "kvm", "cgroup"} <= {
        check["name"] for check in found["checks"]
    }


@pytest.mark.parametrize(
    ("module", "code", "blocked"),
    [("pyarrow", REFUSED, "validate"), ("matplotlib", REFUSED, "run"), ("onnx", 0, "export")],
)
def test_a_missing_library_blocks_its_commands(
    run: Run, monkeypatch: pytest.MonkeyPatch, module: str, code: int, blocked: str
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == module else object())
    exit_code, out, _ = run("doctor", "--json")
    assert exit_code == code
    extra = str(extras.extra_of(module))
    assert extra in json.loads(out)["blocked_commands"][blocked]
    text = run("doctor")[1]
    assert f"{blocked}: pip install 'phasewatch[" in text
    assert f"phasewatch[{extra}]" in text.replace("\n", "")


def test_a_missing_program_has_its_package(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    checks = {check["name"]: check for check in json.loads(run("doctor", "--json")[1])["checks"]}
    assert checks["mke2fs"]["remedy"] == "apt-get install e2fsprogs"
    assert not checks["node"]["found"] and "20.19" in checks["node"]["remedy"]


def test_every_collector_says_what_it_lacks(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def found() -> dict[str, dict[str, object]]:
        checks = json.loads(run("doctor", "--json")[1])["checks"]
        return {check["name"]: check for check in checks if check["name"].startswith("attach ")}

    assert set(found()) == {f"attach {kind}" for kind in kinds()}
    monkeypatch.setattr("phasewatch.attach.guest.capable", lambda bit: False)
    monkeypatch.setattr("phasewatch.attach.collectors.cgroup.ROOTS", (tmp_path,))
    monkeypatch.setattr("phasewatch.attach.collectors.host.PROC", str(tmp_path))
    monkeypatch.setattr("phasewatch.attach.collectors.libvirt.SOCKET", str(tmp_path / "none"))
    checks = found()
    assert not any(checks[f"attach {kind}"]["found"] for kind in ("host", "cgroup", "qemu"))
    assert "psi=1" in str(checks["attach host"]["detail"])
    assert "version 2" in str(checks["attach cgroup"]["detail"])
    assert "CAP_NET_RAW: packets" in str(checks["attach qemu"]["detail"])
    assert "CAP_NET_RAW" in str(checks["attach qemu"]["remedy"])
    assert f"access to {tmp_path / 'none'}" in str(checks["attach libvirt"]["detail"])
    assert checks["attach received"]["found"]


def test_an_old_node_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/node")
    monkeypatch.setattr(doctor, "_first_line", lambda *words: "v18.20.1")
    assert not doctor._node().found
    monkeypatch.setattr(doctor, "_first_line", lambda *words: "v22.1.0")
    assert doctor._node().found


def test_cgroup_limits_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CGROUP", tmp_path)
    unlimited = doctor.memory_bytes()
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "memory.max").write_text("1048576\n")
    assert doctor.cores() == 1 and doctor.memory_bytes() == 2**20 < unlimited
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert doctor.memory_bytes() == unlimited


def imported(nodes: list[ast.stmt]) -> Iterator[str]:
    """Modules that statements import when they run, type-checking blocks left out."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def needed(function: ast.FunctionDef) -> set[str]:
    """Return the extras of all that the imports in a command's function load."""
    waiting = list(imported([node for node in ast.walk(function) if isinstance(node, ast.stmt)]))
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        path = SOURCE.parent / name.replace(".", "/")
        file = next(
            (one for one in (path.with_suffix(".py"), path / "__init__.py") if one.exists()), None
        )
        if name not in seen and file:
            waiting += imported(ast.parse(file.read_text(encoding="utf-8")).body)
        seen.add(name)
    return {extra for name in seen if (extra := extras.extra_of(name))}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Commands with their functions."""
    for file in sorted((SOURCE / "cli" / "commands").glob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                name = node.name.removesuffix("_").removesuffix("_run")
                if name in doctor.NEEDS:
                    yield name, node


def test_a_command_needs_no_more_than_is_listed() -> None:
    """What a command imports on its first line of work is covered by the extras listed for it."""
    found = dict(functions())
    assert len(found) > 20
    lacking = {name: needed(node) - set(doctor.NEEDS[name]) for name, node in found.items()}
    assert not {name: extra for name, extra in lacking.items() if extra}


def test_help_says_how_to_complete(run: Run) -> None:
    assert "--install-completion" in run("--help")[1]


def test_a_shell_is_offered_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from phasewatch.cli import main

    for key, value in {
        "_PHASEWATCH_COMPLETE": "complete_bash",
        "COMP_WORDS": "phasewatch val",
        "COMP_CWORD": "1",
    }.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(sys, "argv", ["phasewatch"])
    with pytest.raises(SystemExit):
        main.main()
    assert capsys.readouterr().out.split() == ["validate"]


def test_extras_that_no_command_needs_say_what_they_are_for(run: Run) -> None:
    checks = {one["name"]: one for one in json.loads(run("doctor", "--json")[1])["checks"]}
    assert "--cluster" in checks["phasewatch[cluster]"].values()
    assert "speed alone (optional)" in checks["phasewatch[fast]"].values()
