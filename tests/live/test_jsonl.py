"""Lines in, predictions out: those of the offline pipeline, and a refusal for a bad line."""

import json
import math
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
from phasewatch.baseline import stretches_of
from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.live import jsonl
from phasewatch.live.incident_log import IncidentLog
from phasewatch.live.jsonl import read_stretches, watch
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


T = 1790000000000000000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "line 1: is [1]; expected a line like {"),
        ({"source": "proc", "t_wall_ns": T}, "line 1: values: is missing; expected a line like {"),
        ({"source": "proc", "t_wall_ns": T, "values": {}, "extra": 1}, "'extra': is an unknown"),
        ({"source": ["a"], "t_wall_ns": T, "values": {}}, "line 1: source: is ['a']; expected the"),
        ({"source": "proc", "t_wall_ns": T, "values": []}, "line 1: values: is []; expected an ob"),
        (
            {"source": "proc", "t_wall_ns": "now", "values": {}},
            "line 1: t_wall_ns: is 'now'; expected a whole number of nanoseconds.",
        ),
        ({"source": "proc", "t_wall_ns": T / 1e9 + 0.5, "values": {}}, "is 1790000000.5; expected"),
        ({"source": "proc", "t_wall_ns": True, "values": {}}, "line 1: t_wall_ns: is True; expe"),
        (
            {"source": "proc", "t_wall_ns": T, "t_mono_ns": 2**63, "values": {}},
            "line 1: t_mono_ns: is 9223372036854775808; expected a whole number",
        ),
        (
            {"source": "proc", "t_wall_ns": T, "values": {"proc.vcpu_run": "x"}},
            "line 1: values: proc.vcpu_run: is 'x'; expected a number, or null where",
        ),
        (
            {"source": "proc", "t_wall_ns": T, "values": {"proc.vcpu_run": 10**400}},
            "line 1: values: proc.vcpu_run: is 1000",
        ),
    ],
)
def test_a_refusal_names_the_field_and_what_is_expected(
    loaded: Bundle, line: object, message: str
) -> None:
    with pytest.raises(Refused) as refused:
        list(watch(loaded, [line if isinstance(line, str) else json.dumps(line)]))
    assert message in str(refused.value) and refused.value.code == "line"
    assert "Error" not in str(refused.value)


def test_null_nan_and_absent_values_were_not_measured(loaded: Bundle) -> None:
    episode = toy.episode()
    objects = [json.loads(line) for line in lines(episode)]
    expected = list(watch(loaded, map(json.dumps, objects)))
    for one in objects:
        one["t_mono_ns"] = float(one["t_wall_ns"])
        one["values"] = {
            name: math.nan if value is None else value for name, value in one["values"].items()
        }
    assert list(watch(loaded, map(json.dumps, objects))) == expected
    for one in objects:
        one["values"] = {name: v for name, v in one["values"].items() if math.isfinite(v)}
    assert list(watch(loaded, map(json.dumps, objects))) == expected


def sample(source: str, seconds: float) -> str:
    return json.dumps({"source": source, "t_wall_ns": T + round(seconds * NS), "values": {}})


def test_a_clock_that_is_set_back_is_refused(loaded: Bundle) -> None:
    with pytest.raises(Refused, match=r"line 2: t_wall_ns: is 10\.0 s before the last") as refused:
        list(watch(loaded, [sample("proc", 10.0), sample("proc", 0.0)]))
    assert refused.value.code == "clock"


def test_a_sample_a_little_late_and_a_late_source_are_taken(loaded: Bundle) -> None:
    late = [sample("proc", 10.0), sample("proc", 8.0), sample("qmp", 0.0), sample("qmp", 1.0)]
    assert len(list(watch(loaded, late))) == len(list(watch(loaded, sorted(late))))


def test_a_clock_that_jumps_is_refused(loaded: Bundle) -> None:
    times = toy.START_NS, toy.START_NS + 90_000 * NS
    lines = [f'{{"source": "proc", "t_wall_ns": {t}, "values": {{}}}}' for t in times]
    with pytest.raises(Refused, match="line 2: t_wall_ns") as refused:
        list(watch(loaded, lines))
    assert refused.value.code == "clock"


def test_a_gap_begins_windows_anew(loaded: Bundle) -> None:
    """A clock that was set back is refused unless the line before says that there is a gap."""
    stream = list(lines(toy.episode()))
    gap = json.dumps({"gap": "the clock stepped by -60.0 s", "t_wall_ns": T})
    once = list(watch(loaded, stream))
    again = list(watch(loaded, [*stream, gap, *stream]))
    assert again[: len(once)] == once and len(again) > 2 * len(once) - 1
    with pytest.raises(Refused, match="before the last sample"):
        list(watch(loaded, [*stream, *stream]))


def test_machines_that_lines_name_are_predicted_apart(loaded: Bundle) -> None:
    stream = [json.loads(line) for line in lines(toy.episode())]
    both = [json.dumps({**one, "machine": name}) for one in stream for name in ("a", "b")]
    found = list(watch(loaded, both))
    once = list(watch(loaded, map(json.dumps, stream)))
    for name in ("a", "b"):
        assert [replace(one, machine="") for one in found if one.machine == name] == once


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"gap": "x", "values": {}}, "'values': is an unknown field"),
        ({"source": "proc", "t_wall_ns": T, "values": {}, "machine": 7}, "machine: is 7"),
    ],
)
def test_gaps_and_machines_are_checked_as_samples_are(
    loaded: Bundle, line: object, message: str
) -> None:
    with pytest.raises(Refused, match="line 1") as refused:
        list(watch(loaded, [json.dumps(line)]))
    assert message in str(refused.value)


def test_the_machines_of_a_stream_are_bounded(
    loaded: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "MOST_MACHINES", 2)
    names = [
        json.dumps({"source": "proc", "t_wall_ns": T, "values": {}, "machine": str(number)})
        for number in range(3)
    ]
    with pytest.raises(Refused, match="line 3: machine: is the name of one more than 2"):
        list(watch(loaded, names))


def test_a_baseline_is_of_one_machine(loaded: Bundle) -> None:
    stretches = np.zeros((1, len(loaded.schema.names)), np.float32)
    line = json.dumps({"source": "proc", "t_wall_ns": T, "values": {}, "machine": "web"})
    with pytest.raises(Refused, match="machine: is 'web'; expected lines without it"):
        list(watch(loaded, [line], None, stretches))


def test_a_file_of_benign_use_joins_the_level(loaded: Bundle, tmp_path: Path) -> None:
    calm, asked = toy.episode("beta", "calm", 1), toy.episode("beta", "leak", 2)
    path = tmp_path / "calm.jsonl"
    shuffled = list(lines(calm))
    path.write_text("\n".join(["", *shuffled[::2], *shuffled[1::2]]))
    origin, last = (
        end(int(one.t_wall_ns[place]) for one in calm.sources.values())
        for end, place in ((min, 0), (max, -1))
    )
    levels = read_stretches(loaded, path)
    span = replace(calm, start_ns=origin, end_ns=last)
    np.testing.assert_array_equal(levels, stretches_of(span, loaded.schema).levels)
    predictions = list(watch(loaded, lines(asked), stretches=levels))
    began = min(int(one.t_wall_ns[0]) for one in asked.sources.values())
    offline = windowing.cut_windows(replace(asked, start_ns=began), loaded.schema, loaded.opening_s)
    level = windowing.median_opening([offline.opening[0]], levels).astype(np.float32)
    logits = loaded.logits(offline.x, np.tile(level, (len(offline), 1)), offline.past)
    for prediction, row in zip(predictions, logits, strict=False):
        chance = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
        np.testing.assert_allclose(list(prediction.probability.values()), chance, atol=1e-9)
    assert predictions != list(watch(loaded, lines(asked)))


def test_a_file_of_less_than_a_window_is_refused(loaded: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "short.jsonl"
    path.write_text("\n".join(list(lines(toy.episode("beta", "calm")))[:20]))
    with pytest.raises(Refused, match="has no complete window"):
        read_stretches(loaded, path)
    path.write_text("\nno line")
    with pytest.raises(Refused, match=r"short.jsonl: line 2: is no JSON"):
        read_stretches(loaded, path)
