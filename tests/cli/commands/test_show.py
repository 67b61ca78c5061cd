"""`show` refuses what it cannot show before anything listens."""

from pathlib import Path

import pytest
from tests.cli.invoke import Run, refused

from phasewatch import schema
from phasewatch.experiment.pipeline import RunResult
from phasewatch.store.local import Store


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("moon",), "expected one of cgroup, host, libvirt, qemu"),
        (("qemu", "nosuchbox", "--run", "none"), "none"),
    ],
)
def test_a_slip_is_one_line(
    run: Run, toy_store: Store, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    options = ("--store", toy_store.root, *(() if "--run" in words else ("--run", tmp_path)))
    assert message in refused(run("show", *words, *options))


def test_a_machine_of_other_telemetry_is_refused(run: Run, toy_store: Store, toy_out: Path) -> None:
    line = refused(run("show", "host", "--run", toy_out, "--store", toy_store.root))
    assert f"store {toy_store.root} for host: is of vm46, which has none of its channels" in line


def test_a_run_of_another_schema_is_refused(
    run: Run, toy_run: RunResult, toy_out: Path, tmp_path: Path
) -> None:
    """Its models fit no store of this schema: the page would have none."""
    store = Store.create(tmp_path / "store", schema.shipped("host"))
    line = refused(run("show", "host", "--run", toy_out, "--store", store.root, "--port", "0"))
    assert "checkpoint gbt-" in line and "channel proc.vcpu_run is missing" in line


def test_several_machines_have_one_schema_and_the_file_has_machines_alone(
    run: Run, toy_store: Store, toy_out: Path, tmp_path: Path
) -> None:
    path = tmp_path / "machines.toml"
    options = ("--config", path, "--run", toy_out, "--store", toy_store.root)
    path.write_text('[[machine]]\nkind = "host"\n[[machine]]\nkind = "qemu"\ntarget = "x"\n')
    assert "machines: have the schemas host, vm46" in refused(run("show", *options))
    path.write_text('bundle = "b"\n[[machine]]\nkind = "qemu"\ntarget = "x"\n')
    assert f"{path}: bundle: has no effect" in refused(run("show", *options))
    assert "--config: stands beside a machine" in refused(run("show", "qemu", *options))
