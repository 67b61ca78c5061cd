"""Sends episodes to a receiver, with retries, until it acknowledges the same bytes.

A lost connection, a truncated body, or a receiver that restarts or is busy only costs time, since
sending again is safe. The local copy stays until the acknowledged digest equals that of its bytes.
"""

import hashlib
import http.client
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from phasewatch.errors import Refused
from phasewatch.io.link import Link, content_digest
from phasewatch.store.format import MANIFEST, SAMPLES
from phasewatch.store.local import Store, refuse_empty, refuse_unknown
from phasewatch.store.receiver import EPISODES_PATH, MANIFEST_BYTES_HEADER

LONGEST_S = 30.0
FINAL = {401, 403, 404, 405, 409, 411, 413, 422}
"""Statuses that a retry would not change."""

EVERY = {401, 404, 405, 502, 503, 504, 507}
"""Statuses that every other episode would get, too."""


class ReceiverUnavailable(Refused):
    """The receiver takes no episode at all: the next one would be declined for the same reason."""


@dataclass
class Connection(Link):
    """A connection to a receiver of episodes.

    Each episode gets up to `tries` attempts, with random pauses whose limit doubles up to
    `LONGEST_S`, so that many senders do not retry at once.
    """

    tries: int = 8
    sleep: Callable[[float], None] = time.sleep

    def send(self, id: str, manifest: bytes, samples: bytes) -> str:
        """Send an episode, and return its acknowledged sha256.

        Raises ReceiverUnavailable where the receiver takes no episode at all, and Refused where it
        does not take this one.
        """
        status, reason = 0, ""
        for attempt in range(self.tries):
            if attempt:
                self.sleep(random.uniform(0, min(LONGEST_S, 0.2 * 2**attempt)))
            try:
                status, response = self._put(id, manifest, samples)
            except (OSError, http.client.HTTPException) as error:
                status, reason = 0, f"{type(error).__name__}: {error}"
                self.close()
                continue
            sha256 = hashlib.sha256(manifest + samples).hexdigest()
            if status in (HTTPStatus.OK, HTTPStatus.CREATED) and response.get("sha256") == sha256:
                return sha256
            reason = f"{status} {response.get('error', 'acknowledges other bytes')}"
            if status in FINAL:
                raise self._refused(id, status, reason)
            self.close()
        raise self._refused(id, status, f"{reason}, {self.tries} times")

    def _refused(self, id: str, status: int, reason: str) -> Refused:
        """Return the refusal of an episode; `status` is 0 where no response came."""
        if status in EVERY or not (status or self._answers()):
            return ReceiverUnavailable(
                self.url,
                f"takes no episode ({reason})",
                "a receiver that answers and knows this host's token",
                "What it did not acknowledge is still here; ship it again when that is mended.",
                code="not_shipped",
            )
        return Refused(
            id,
            f"was not taken ({reason})",
            f"an acknowledgement of its bytes from {self.url}",
            "It is still here; ship it again when that is mended.",
            code="not_shipped",
        )

    def _answers(self) -> bool:
        """Return whether the receiver responds at all, even that it takes no GET."""
        try:
            connection = self.connected()
            connection.request("GET", EPISODES_PATH)
            connection.getresponse().close()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            self.close()
        return True

    def _put(self, id: str, manifest: bytes, samples: bytes) -> tuple[int, dict[str, object]]:
        """Send an episode once, and return the status and the JSON object of the response.

        Raises OSError or HTTPException where the connection fails.
        """
        body = manifest + samples
        head = {**content_digest(body), MANIFEST_BYTES_HEADER: str(len(manifest))}
        return self.put(EPISODES_PATH + id, body, head)


def selected_ids(store: Store, episode: str) -> list[str]:
    """Return the ids to ship: `episode`, or all for "". Raises Refused when the store lacks it."""
    ids = store.ids()
    refuse_empty(ids, store.root)
    if episode:
        refuse_unknown(episode, ids, "--episode")
    return [episode] if episode else ids


def ship(store: Store, id: str, connection: Connection, remove: bool) -> None:
    """Send one episode, byte for byte, and `remove` it from the store when it is acknowledged.

    Raises Refused, also for an episode that cannot be read here; OSError when the disk fails.
    """
    store.read(id)
    folder = store.folder(id)
    connection.send(id, (folder / MANIFEST).read_bytes(), (folder / SAMPLES).read_bytes())
    if remove:
        store.remove(id)
