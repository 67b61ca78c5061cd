"""The incidents of machines under watch, sent to receivers as OCSF Detection Findings."""

import json
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from phasewatch.attach.watch.watched import Say
from phasewatch.live.outputs.changes import Changes
from phasewatch.live.outputs.delivery import Delivery
from phasewatch.live.outputs.ocsf import finding
from phasewatch.live.outputs.receivers import Send, receiver
from phasewatch.live.watcher import Prediction


def senders(urls: Sequence[str]) -> dict[str, Send]:
    """Return what sends to each URL, by its shown form. Raises Refused for what is none."""
    made = {url: receiver(url) for url in urls}
    return {_shown(url): send for url, send in made.items()}


def _shown(url: str) -> str:
    """Return a URL without what may be secret in it: user, path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


class Alerts:
    """Sends every change of an incident to all receivers."""

    def __init__(self, model: str, receivers: Mapping[str, Send], say: Say) -> None:
        self._changes = Changes(model)
        self._deliveries = [Delivery(name, send, say) for name, send in receivers.items()]

    def take(self, prediction: Prediction) -> None:
        """Take the next prediction of a machine."""
        for activity, one in self._changes.take(prediction):
            message = json.dumps(finding(one, activity, prediction.end_ns)).encode()
            for delivery in self._deliveries:
                delivery.put(message)

    def close(self) -> None:
        """Deliver what is left, for a few seconds at most."""
        for delivery in self._deliveries:
            delivery.close()
