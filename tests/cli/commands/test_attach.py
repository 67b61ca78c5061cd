"""`phasewatch attach` as it is typed: this machine, a file of machines, and what is refused."""

import json
from pathlib import Path

import pytest
from tests.cli.invoke import Run, refused

from phasewatch.store.local import Store


def test_this_machine_prints_lines_and_says_what_is_not_measured(run: Run) -> None:
    code, printed, said = run("attach", "host", "--seconds", "1", "--name", "pi")
    assert code == 0
    lines = [json.loads(line) for line in printed.splitlines()]
    assert {line["source"] for line in lines} >= {"cpu", "mem", "net"}
    assert "pi (host): " in said and "cannot be seen: " in said


def test_the_log_is_json_when_asked_for(run: Run) -> None:
    code, _, said = run("attach", "host", "--seconds", "0.5", "--log-format", "json")
    assert code == 0
    assert all(set(json.loads(line)) == {"time", "message"} for line in said.splitlines())


def test_episodes_are_written_with_a_label(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = ("attach", "host", "--seconds", "24", "--out", store, "--label", "benign")
    code, _, said = run(*command)
    assert code == 0 and "benign" in said
    opened = Store.open(store)
    (id,) = opened.ids()
    assert opened.schema.name == "host"
    assert [label.phase for label in opened.read(id).labels] == ["benign"]


def test_a_file_names_the_machines(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "attach.toml"
    path.write_text(
        '[[machine]]\nkind = "host"\nname = "a"\n[[machine]]\nkind = "host"\nname="b"\n'
    )
    code, printed, _ = run("attach", "--config", path, "--seconds", "0.5")
    assert code == 0
    assert {json.loads(line)["machine"] for line in printed.splitlines()} == {"a", "b"}
    line = refused(run("attach", "host", "--config", path))
    assert "--config: stands beside a machine" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "expected one of cgroup, host, libvirt, qemu"),
        (("moon",), "collector 'moon': is unknown"),
        (("qemu",), "qemu: has no target"),
        (("qemu", "nosuchbox"), "no QEMU process is named nosuchbox"),
        (("cgroup", "nosuchgroup"), "no control group of version 2 is named nosuchgroup"),
        (("host", "x"), "host x: takes no target"),
        (("host", "--unstable"), "host: takes no unstable"),
        (("host", "--network", "all"), "expected packets, counters or off"),
        (("host", "--label", "benign"), "--label: has no effect"),
        (("host", "--marks"), "--label: has no effect"),
        (("host", "--profile", "p"), "--label: has no effect"),
        (("host", "--label", "evil", "--out", "s"), "label evil: is no phase"),
        (("host", "--levels", "b"), "--levels: has no effect"),
        (("host", "--token", "t"), "--token: has no effect"),
        (("host", "--to", "https://x"), "--to: is not enough"),
        (("host", "--to", "http://x", "--token", "t", "--buffer", "b"), "t: No such file"),
        (("received",), "received: has no target"),
        (("host", "--new-levels"), "--new-levels: has no effect"),
        (("host", "--bundle", "none.bundle"), "none.bundle"),
        (("--config", "none.toml"), "none.toml"),
    ],
)
def test_a_slip_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(run("attach", *words))
    assert not list(tmp_path.iterdir())


def test_a_bundle_of_other_telemetry_is_refused(run: Run, bundle_folder: Path) -> None:
    line = refused(run("attach", "host", "--bundle", bundle_folder))
    assert "bundle for host: is of vm46, which has none of its channels" in line
