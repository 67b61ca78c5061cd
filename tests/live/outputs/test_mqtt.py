"""A real broker acknowledges each message; one that is away, or refuses, is an error."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from phasewatch.errors import Refused
from phasewatch.live.outputs import mqtt
from phasewatch.live.outputs.mqtt import PASSWORD, TOPIC, USER
from phasewatch.live.outputs.receivers import receiver

BROKER = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """A broker that takes the user `lab` with the password `secret` alone; yields its port."""
    if BROKER is None:
        pytest.skip("needs Debian's mosquitto")
    port, users = free_port(), tmp_path / "users"
    subprocess.run(["mosquitto_passwd", "-b", "-c", users, "lab", "secret"], check=True)
    users.chmod(0o644)
    tmp_path.chmod(0o755)
    lines = (f"listener {port} 127.0.0.1", "allow_anonymous false", f"password_file {users}")
    (tmp_path / "conf").write_text("\n".join((*lines, "user root")))
    process = subprocess.Popen(
        [BROKER, "-c", tmp_path / "conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, "the broker has ended"
            time.sleep(0.05)
    yield port
    process.kill()
    process.wait()


@pytest.fixture
def received(broker: int) -> Iterator["Queue[tuple[str, bytes]]"]:
    """What a subscriber of everything gets."""
    client_of = pytest.importorskip("paho.mqtt.client")
    found: Queue[tuple[str, bytes]] = Queue()
    ready: Queue[bool] = Queue()
    client = client_of.Client(client_of.CallbackAPIVersion.VERSION2)
    client.username_pw_set("lab", "secret")
    client.on_connect = lambda *_: client.subscribe("#", qos=1)
    client.on_subscribe = lambda *_: ready.put(True)
    client.on_message = lambda _, __, one: found.put((one.topic, one.payload))
    client.connect("127.0.0.1", broker)
    client.loop_start()
    ready.get(timeout=60)
    yield found
    client.disconnect()
    client.loop_stop()


def test_a_broker_gets_each_message_under_its_topic(
    broker: int, received: "Queue[tuple[str, bytes]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(USER, "lab")
    monkeypatch.setenv(PASSWORD, "secret")
    receiver(f"mqtt://127.0.0.1:{broker}")(b'{"a": 1}')
    receiver(f"mqtt://127.0.0.1:{broker}/home/web%20box")(b'{"b": 2}')
    assert received.get(timeout=60) == (TOPIC, b'{"a": 1}')
    assert received.get(timeout=60) == ("home/web box", b'{"b": 2}')


def test_a_broker_that_refuses_is_an_error(broker: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("paho.mqtt.client")
    monkeypatch.setattr(mqtt, "SECONDS", 2.0)
    monkeypatch.setenv(USER, "lab")
    monkeypatch.setenv(PASSWORD, "wrong")
    with pytest.raises(OSError, match="broker"):
        receiver(f"mqtt://127.0.0.1:{broker}")(b"{}")


def test_a_broker_that_is_away_is_an_error() -> None:
    pytest.importorskip("paho.mqtt.client")
    with pytest.raises(OSError):
        receiver(f"mqtt://127.0.0.1:{free_port()}")(b"{}")


def test_a_topic_with_wildcards_is_refused() -> None:
    pytest.importorskip("paho.mqtt.client")
    with pytest.raises(Refused, match=r"alert topic home/\+: has a wildcard"):
        receiver("mqtt://broker/home/+")


def test_without_the_library_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    absent: Any = None
    monkeypatch.setitem(sys.modules, "paho.mqtt", absent)
    with pytest.raises(Refused, match=r"needs paho-mqtt.*phasewatch\[mqtt\]"):
        receiver("mqtts://broker")
