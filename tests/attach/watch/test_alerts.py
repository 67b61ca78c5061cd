"""From a prediction to a receiver: a finding for each change of an incident."""

import json

import pytest

from phasewatch.attach.watch.alerts import Alerts, senders
from phasewatch.errors import Refused
from phasewatch.live.incident_log import IncidentSpan
from phasewatch.live.watcher import Prediction


def test_every_receiver_gets_every_change() -> None:
    got: dict[str, list[bytes]] = {"a": [], "b": []}
    alerts = Alerts("gbt", {name: got[name].append for name in got}, lambda line: None)
    span = IncidentSpan(10, 10, True, 0.9, 1, ("impact",), "impact")
    for end, incident in ((10, span), (15, span), (20, None)):
        alerts.take(Prediction(end, "benign", {}, [], incident, "web"))
    alerts.close()
    for messages in got.values():
        found = [json.loads(message) for message in messages]
        assert [one["activity_id"] for one in found] == [1, 3]
        assert found[0]["resources"][0]["name"] == "web"
        assert found[0]["finding_info"]["uid"] == found[1]["finding_info"]["uid"]


def test_receivers_are_shown_without_what_may_be_secret() -> None:
    url = "https://user:word@hooks.example:8443/services/T0/secret?key=1"
    assert list(senders([url, "syslog://log"])) == ["https://hooks.example:8443", "syslog://log"]
    with pytest.raises(Refused):
        senders(["moon://x"])
