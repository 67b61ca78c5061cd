from phasewatch.live.incident_log import IncidentSpan
from phasewatch.live.outputs.changes import Changes
from phasewatch.live.watcher import Prediction


def seen(
    end: int, phases: tuple[str, ...] = (), opened: int = 10, machine: str = "web"
) -> Prediction:
    span = IncidentSpan(opened, end, True, 0.9, 1, phases, phases[-1]) if phases else None
    return Prediction(end, "benign", {}, [], span, machine)


def test_an_incident_is_told_when_it_opens_changes_and_closes_and_not_in_between() -> None:
    changes = Changes("gbt")
    told = []
    for prediction in (
        seen(5),
        seen(10, ("discovery",)),
        seen(15, ("discovery",)),
        seen(20, ("discovery", "impact")),
        seen(25, ("discovery", "impact")),
        seen(30),
        seen(35),
    ):
        told += [(prediction.end_ns, *one) for one in changes.take(prediction)]
    assert [(end, activity) for end, activity, _ in told] == [
        (10, "opened"),
        (20, "changed"),
        (30, "closed"),
    ]
    incidents = [one for _, _, one in told]
    assert len({one.id for one in incidents}) == 1
    assert incidents[-1].closed_ns == 25 and incidents[0].closed_ns is None
    assert incidents[-1].phases == ("discovery", "impact") and incidents[0].model == "gbt"


def test_one_that_follows_another_at_once_closes_the_first() -> None:
    changes = Changes("gbt")
    list(changes.take(seen(10, ("impact",))))
    told = list(changes.take(seen(15, ("discovery",), opened=15)))
    assert [activity for activity, _ in told] == ["closed", "opened"]
    assert told[0][1].id != told[1][1].id


def test_machines_are_told_apart() -> None:
    changes = Changes("gbt")
    both = [*changes.take(seen(10, ("impact",))), *changes.take(seen(10, ("impact",), machine="b"))]
    assert [one.machine for _, one in both] == ["web", "b"]
    assert next(iter(changes.take(seen(15, machine="b"))))[1].machine == "b"
