"""What a fleet publishes stands under the name of its machine."""

from phasewatch.serve.fleet.records import IncidentChanged


def test_what_is_kept_of_incidents_is_bounded_by_the_machines() -> None:
    events = [
        IncidentChanged(machine="01-pc", incident_id=f"{number}", open=True) for number in range(3)
    ]
    assert {one.subject for one in events} == {"01-pc"} and events[0].keep == 1
