"""Lines in, predictions out: those of the offline pipeline, and a refusal for a bad line."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from phasewatch import windowing
from phasewatch.alarm import CEILING, AlarmRule
from phasewatch.artifacts import bundle
from phasewatch.artifacts.bundle import Bundle
from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.live.incident_log import IncidentLog
from phasewatch.live.jsonl import watch
from phasewatch.schema import NS


@pytest.fixture
def loaded(bundle_folder: Path) -> Bundle:
    return bundle.load(bundle_folder)


def lines(episode: Episode) -> Iterator[str]:
    rows = []
    for source, samples in episode.sources.items():
        for row, t_ns in enumerate(samples.t_wall_ns.tolist()):
            row_values = dict(zip(samples.names, samples.values[row].tolist(), strict=True))
            values = {
                name: value if np.isfinite(value) else None for name, value in row_values.items()
            }
            rows.append((t_ns, {"source": source, "t_wall_ns": t_ns, "values": values}))
    yield from (json.dumps(line) for _, line in sorted(rows, key=lambda row: row[0]))


def test_predictions_are_those_of_the_same_episode_offline(loaded: Bundle) -> None:
    episode = toy.episode("beta", "leak")
    predictions = list(watch(loaded, lines(episode)))
    origin = min(int(one.t_wall_ns[0]) for one in episode.sources.values())
    offline = windowing.cut_windows(
        replace(episode, start_ns=origin), loaded.schema, loaded.opening_s
    )
    row_at = {int(t): row for row, t in enumerate(offline.t_ns)}
    logits = loaded.logits(offline.x, offline.opening, offline.past)
    assert len(predictions) >= len(offline) - 1 > 3
    for prediction in predictions:
        row = logits[row_at[prediction.end_ns]]
        assert prediction.phase == loaded.schema.classes[row.argmax()]
        chance = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
        np.testing.assert_allclose(list(prediction.probability.values()), chance, atol=1e-9)
        assert prediction.missing == []


def test_a_source_that_is_silent_is_named(loaded: Bundle) -> None:
    spoken = (line for line in lines(toy.episode()) if '"source": "qmp"' not in line)
    predictions = list(watch(loaded, spoken))
    assert predictions and all(prediction.missing == ["qmp"] for prediction in predictions)


def test_the_open_incident_is_that_of_the_log(loaded: Bundle) -> None:
    rule = AlarmRule(1.0, 1.0, 0.0, 4.0, 1.0, CEILING, 1.0)
    stream = list(lines(toy.episode("beta", "leak")))
    plain = list(watch(loaded, stream))
    found = list(watch(loaded, stream, rule))
    log = IncidentLog(rule, loaded.schema.classes)
    for before, prediction in zip(plain, found, strict=True):
        chance = np.array(list(prediction.probability.values()))
        log.add(prediction.end_ns, np.log(chance))
        assert before.incident is None
        assert (prediction.incident is None) == (log.current is None)
        if prediction.incident and log.current:
            assert prediction.incident.opened_ns == log.current.opened_ns
            assert prediction.incident.phases == log.current.phases
    assert any(prediction.incident for prediction in found)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "7",
        pytest.param("[" * 100_000, id="deep list"),
        pytest.param('{"a":' * 100_000, id="deep object"),
        '{"source": "proc"}',
        '{"source": "proc", "t_wall_ns": "soon", "values": {}}',
        '{"source": "proc", "t_wall_ns": 1e400, "values": {}}',
        '{"source": "proc", "t_wall_ns": 99999999999999999999, "values": {}}',
        '{"source": "proc", "t_wall_ns": 1, "values": {"proc.vcpu_run": "much"}}',
        '{"source": "proc", "t_wall_ns": 1, "values": [1]}',
        '{"source": "moon", "t_wall_ns": 1790000000000000000, "values": {}}',
        '{"source": "proc", "t_wall_ns": 1790000000, "values": {}}',
        '{"source": "proc", "t_wall_ns": 1790000000000000000, "values": {"vcpu_run": 1}}',
    ],
)
def test_an_invalid_line_is_refused_by_its_number(loaded: Bundle, line: str) -> None:
    with pytest.raises(Refused, match="standard input: line 2") as refused:
        list(watch(loaded, ["", line]))
    assert "\n" not in str(refused.value)


def test_a_clock_that_jumps_is_refused(loaded: Bundle) -> None:
    times = toy.START_NS, toy.START_NS + 90_000 * NS
    lines = [f'{{"source": "proc", "t_wall_ns": {t}, "values": {{}}}}' for t in times]
    with pytest.raises(Refused, match="line 2: t_wall_ns") as refused:
        list(watch(loaded, lines))
    assert refused.value.code == "clock"
