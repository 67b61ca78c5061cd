"""Channels by the shape of rows: kinds that a file states, kinds of events, machines as columns."""

from pathlib import Path

import numpy as np
import pytest
from tests.drafts import T_S, channels, cpu, draft, table, write

from phasewatch.errors import Refused


def test_columns_with_the_names_of_machines_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "Time,web1,web2", lambda at: f"{T_S + at},{cpu(at)},{at % 7}")
    with pytest.raises(Refused, match="web1, web2 have the names of machines"):
        draft(path)


def test_only_events_that_hold_the_values_are_kept(tmp_path: Path) -> None:
    t = T_S + np.cumsum(np.random.default_rng(0).exponential(2, 90))
    rows = [
        f'{{"timestamp": {t[at]:.3f}, "event_type": "{("flow", "dns", "stats")[at % 3]}", '
        f'"src_ip": "a", "dest_ip": "b"'
        + (f', "flow": {{"bytes_toclient": {at % 7}}}' if at % 3 == 0 else "")
        + (f', "stats": {{"decoder_bytes": {at * 9}}}' if at % 3 == 2 else "")
        + "}"
        for at in range(90)
    ]
    found = draft(write(tmp_path / "eve.json", "", rows))
    assert channels(found) == {"flow_bytes_toclient": "event", "rows": "event"}
    assert 'keep = { "event_type" = "flow" }' in found.mapping
    assert any("others are dns, stats" in remark for remark in found.remarks)


def test_a_kind_that_the_file_states_is_taken(tmp_path: Path) -> None:
    metric = (
        '{{"resourceMetrics": [{{"resource": {{"attributes": [{{"key": "host.name", "value": '
        '{{"stringValue": "web1"}}}}]}}, "scopeMetrics": [{{"metrics": [{{"name": "thing", "sum": '
        '{{"dataPoints": [{{"timeUnixNano": "{t}000000000", "asDouble": {value}}}], '
        '"isMonotonic": true}}}}]}}]}}]}}'
    )
    rows = [metric.format(t=T_S + at, value=at * 3) for at in range(30)]
    assert channels(draft(write(tmp_path / "m.jsonl", "", rows))) == {"thing": "counter"}


def test_a_total_without_a_name_is_a_question(tmp_path: Path) -> None:
    found = draft(table(tmp_path / "a.csv", "ts,thing", lambda at: f"{T_S + at},{at * 3}"))
    assert channels(found) == {"thing": "?"}
    assert any("kind of thing" in question for question in found.questions)


def test_a_table_of_text_is_refused_with_its_columns(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts,message", lambda at: f"{T_S + at},word {at}")
    with pytest.raises(Refused, match=r"text: message.*--rows events"):
        draft(path)
