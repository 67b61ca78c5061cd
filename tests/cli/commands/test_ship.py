"""`ship` and `receive` as a user starts them."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests import toy
from tests.certificates import self_signed
from tests.cli.invoke import Run
from tests.uploads import HOSTS, LIMITS, TOKENS, receiving

from phasewatch import schema
from phasewatch.cli import console
from phasewatch.store.format import MANIFEST
from phasewatch.store.local import Store
from phasewatch.store.receiver import Receiver


@pytest.fixture(autouse=True)
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder that holds the token of host `alpha`, for a sender and for a receiver."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text(TOKENS["alpha"] + "\n")
    (tmp_path / "tokens.toml").write_text(f'alpha = "{TOKENS["alpha"]}"\n')
    (tmp_path / "tokens.toml").chmod(0o600)


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    """The sender's store, with one episode of host `alpha`."""
    store = Store.create(tmp_path / "here", schema.vm46())
    store.publish(toy.episode("alpha"))
    return store


def test_a_wrong_token_is_reported_once(
    run: Run,
    local_store: Store,
    tmp_path: Path,
) -> None:
    local_store.publish(toy.episode("alpha", "leak"))
    (tmp_path / "wrong").write_text("x" * 40)
    other = Store.create(tmp_path / "there", schema.vm46())
    with (
        Receiver(other, HOSTS, LIMITS) as receiver,
        receiving(receiver, lambda line: None) as server,
    ):
        url = f"http://127.0.0.1:{server.server_address[1]}"
        code, out, err = run("ship", local_store.root, url, "--token", "wrong", "--remove")
    lines = err.splitlines()
    assert code == console.SOME_ERRORED and out == "0 acknowledged · 2 not taken\n"
    assert len(lines) == 1 and "takes no episode (401 no host has this token)" in lines[0]
    assert len(local_store.ids()) == 2


def test_an_unreachable_receiver_is_reported_once(run: Run, local_store: Store) -> None:
    local_store.publish(toy.episode("alpha", "leak"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    code, out, err = run("ship", local_store.root, url, "--token", "token", "--tries", 1)
    lines = err.splitlines()
    assert code == console.SOME_ERRORED and out == "0 acknowledged · 2 not taken\n"
    assert len(lines) == 1 and f"{url}: takes no episode (ConnectionRefusedError" in lines[0]


def test_ship_refuses_before_it_sends(run: Run, local_store: Store, tmp_path: Path) -> None:
    empty = Store.create(tmp_path / "empty", schema.vm46()).root
    rest = ("http://localhost:1", "--token", "token")
    for words, problem in (
        ((local_store.root, *rest, "--episode", "nosuch"), "is not in the store"),
        ((empty, *rest), "holds no episode"),
        (("s3://b/x", *rest), "s3://b/x: is a URL"),
    ):
        code, _, err = run("ship", *words)
        lines = err.splitlines()
        assert code == console.REFUSED
        assert len(lines) == 1 and problem in lines[0]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--store", "there", "--host", "192.0.2.1"), "192.0.2.1:8470: "),
        (("--store", "there", "--host", "a..b"), "a..b:8470: "),
        (("--store", "file:///x"), "is a URL"),
        (("--store", "s3://b/x"), "is a URL"),
        (("--store", "."), "holds files and is no episode store"),
        (("--store", "there", "--tls-cert", "token"), "--tls-key: is missing"),
        (("--store", "there", "--tls-cert", "token", "--tls-key", "no"), "no: No such file"),
    ],
)
def test_receive_refuses_before_it_makes_a_store(
    run: Run, tmp_path: Path, words: tuple[str, ...], problem: str
) -> None:
    code, _, err = run("receive", *words, "--tokens", "tokens.toml")
    lines = err.splitlines()
    assert code == console.REFUSED
    assert len(lines) == 1 and problem in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["token", "tokens.toml"]


def test_shipped_over_tls_by_command(tmp_path: Path, local_store: Store) -> None:
    certificate, key = self_signed(tmp_path)
    ids = local_store.ids()
    call = [sys.executable, "-c", "from phasewatch.cli.main import main; main()"]
    words = ["receive", "--store", "there", "--tokens", "tokens.toml", "--port", "0"]
    words += ["--tls-cert", str(certificate), "--tls-key", str(key)]
    with subprocess.Popen([*call, *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as far:
        assert far.stdout
        url = far.stdout.readline().split()[2]
        words = ["ship", "here", url, "--token", "token", "--ca", str(certificate)]
        done = subprocess.run([*call, *words], cwd=tmp_path, capture_output=True, text=True)
        far.terminate()
    assert url.startswith("https://") and done.returncode == 0
    assert Store.open(tmp_path / "there").ids() == ids


def test_from_store_to_store_by_command(tmp_path: Path, local_store: Store) -> None:
    """Both commands as a user starts them; an episode of another host stays where it is."""
    local_store.publish(toy.episode("beta"))
    first, second = local_store.ids()
    manifest = (local_store.folder(first) / MANIFEST).read_bytes()
    call = [sys.executable, "-c", "from phasewatch.cli.main import main; main()"]
    words = ["receive", "--store", "there", "--tokens", "tokens.toml", "--port", "0"]
    with subprocess.Popen([*call, *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as far:
        assert far.stdout
        url = far.stdout.readline().split()[2]
        words = ["ship", "here", url, "--token", "token", "--remove"]
        done = subprocess.run([*call, *words], cwd=tmp_path, capture_output=True, text=True)
        far.terminate()
    assert done.returncode == 3
    assert "1 acknowledged · 1 not taken" in done.stdout
    assert f"{second}: was not taken (403 the episode is of host 'beta'" in done.stderr
    assert local_store.ids() == [second]
    received = Store.open(tmp_path / "there")
    assert received.ids() == [first]
    assert (received.folder(first) / MANIFEST).read_bytes() == manifest
