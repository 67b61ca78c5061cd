import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from phasewatch import schema
from phasewatch.attach.packets import CHANNELS
from phasewatch.attach.process import PROC
from phasewatch.attach.qmp import QMP
from phasewatch.lab.probes import GUEST, Agent, Clock, Mapping
from phasewatch.schema import NS

WALL = 1_790_000_000 * NS


def test_every_probe_measures_the_schemas_channels_in_order() -> None:
    layout = schema.vm46()
    for source, measured in {"proc": PROC, "guest": GUEST, "qmp": QMP, "netflow": CHANNELS}.items():
        names = [channel.name for channel in layout.channels_of(source)]
        assert names == [f"{source}.{name}" for name in measured]


@given(st.integers(-3 * NS, 3 * NS), st.floats(-50e-6, 50e-6), st.integers(0, 10**6))
def test_a_planted_offset_and_drift_are_found(offset: int, drift: float, seed: int) -> None:
    """Most pings are delayed one way; the quickest are right."""
    generator = np.random.default_rng(seed)
    clock = Clock()
    for second in range(100):
        guest = second * NS
        wall = WALL + offset + round(guest * (1 + drift))
        there, back = generator.exponential(2e6, 2).astype(int) + 100_000
        clock.add(wall - int(there), wall + int(back), guest)
    mapping = clock.fit()
    for second in (0, 45, 99):
        true = WALL + offset + round(second * NS * (1 + drift))
        assert abs(mapping.wall(second * NS) - true) < 2_000_000


def line(sequence: int, seconds: int) -> str:
    return json.dumps({"seq": sequence, "mono_ns": seconds * NS, **dict.fromkeys(GUEST, 5)})


def test_lost_and_damaged_agent_lines_are_counted() -> None:
    agent = Agent()
    for text in (line(3, 1), line(4, 2), line(7, 4), "{half", "{}", "null"):
        agent.add(text)
    rows = agent.rows(Mapping(0, WALL, 0.0, 0.0, 0.0))
    assert (agent.damaged, rows.dropped) == (3, 2)
    samples = rows.samples(WALL, WALL + 10 * NS)
    assert samples.names == tuple(f"guest.{name}" for name in GUEST)
    np.testing.assert_array_equal(samples.t_wall_ns, WALL + np.array([1, 2, 4]) * NS)
    np.testing.assert_array_equal(samples.t_mono_ns, np.array([1, 2, 4]) * NS)
