"""Messages to an MQTT broker, as a home laboratory has one: published with an acknowledgement."""

import os
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, unquote

from phasewatch.errors import Refused

SECONDS = 10.0
PORT, TLS_PORT = 1883, 8883
USER, PASSWORD = "PHASEWATCH_MQTT_USER", "PHASEWATCH_MQTT_PASSWORD"
"""The environment variables of who publishes: none stands in a command line."""

TOPIC = "phasewatch/incidents"


def publisher(parts: SplitResult) -> Callable[[bytes], None]:
    """Return what publishes a message to `mqtt(s)://HOST:PORT/TOPIC` and waits for the broker.

    It raises OSError where the broker does not acknowledge. Raises Refused without paho-mqtt, and
    for a topic with wildcards.
    """
    try:
        from paho.mqtt import client as mqtt
    except ImportError as error:
        remedy = "Install it with `pip install 'phasewatch[mqtt]'`."
        raise Refused(
            f"alert {parts.scheme}://{parts.hostname}",
            "needs paho-mqtt, which is not installed",
            "the library of the extra mqtt",
            remedy,
            code="library",
        ) from error
    topic = unquote(parts.path).strip("/") or TOPIC
    if set(topic) & set("+#"):
        expected = "the topic of one publisher, such as " + TOPIC
        raise Refused(f"alert topic {topic}", "has a wildcard", expected, "Correct it.", "receiver")

    def send(message: bytes) -> None:
        client = _client(mqtt, parts.scheme == "mqtts")
        port = parts.port or (TLS_PORT if parts.scheme == "mqtts" else PORT)
        client.connect(str(parts.hostname), port)
        client.loop_start()
        try:
            published = client.publish(topic, message, qos=1)
            published.wait_for_publish(SECONDS)
            if not published.is_published():
                raise OSError("the broker does not acknowledge")
        except (RuntimeError, ValueError) as error:
            raise OSError(f"the broker ended the connection: {error}") from error
        finally:
            client.disconnect()
            client.loop_stop()

    return send


def _client(mqtt: Any, tls: bool) -> Any:
    """Return a client that is not connected, with the user and the password that are set."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect_timeout = SECONDS
    if user := os.environ.get(USER):
        client.username_pw_set(user, os.environ.get(PASSWORD))
    if tls:
        client.tls_set_context(ssl.create_default_context())
    return client
