"""Pairs follow from units and kinds; a ratio is the logarithm of one."""

import numpy as np

from phasewatch import schema
from phasewatch.features.ratios import MOST_ALIKE, pairs, ratios
from phasewatch.schema import Channel, Grid, Schema

GRID = Grid(window_s=4, stride_s=2, step_s=1, hold_s=2)


def made(*channels: tuple[str, str, str]) -> Schema:
    rows = tuple(Channel(name, unit, kind, True, "") for name, unit, kind in channels)  # type: ignore[arg-type]
    return Schema("own", rows, ("calm", "busy"), GRID)


def named(own: Schema) -> set[tuple[str, str]]:
    return {(own.names[one], own.names[other]) for one, other in pairs(own)}


def test_pairs_by_hand() -> None:
    own = made(
        ("net.out", "byte", "counter"),
        ("net.in", "byte", "counter"),
        ("net.pkts", "packet", "event"),
        ("net.open", "packet", "gauge"),
        ("cpu.run", "ns", "counter"),
        ("cpu.switches", "switch", "counter"),
    )
    assert named(own) == {
        ("net.out", "net.in"),
        ("net.out", "net.pkts"),
        ("net.in", "net.pkts"),
        ("cpu.run", "cpu.switches"),
    }


def test_no_pair_has_a_gauge_or_two_sources_or_stands_twice() -> None:
    own = schema.vm46()
    found = pairs(own)
    assert len(found) == len(set(found)) > 50
    for one, other in found:
        first, second = own.channels[one], own.channels[other]
        assert first.source == second.source and first != second
        assert "gauge" not in (first.kind, second.kind)


def test_the_realistic_schema_has_the_pairs_of_the_whole_one_that_it_can_have() -> None:
    own = schema.vm46().deployed()
    whole = {pair for pair in named(schema.vm46()) if set(pair) <= set(own.names)}
    assert named(own) == whole


def test_many_channels_of_one_unit_are_not_paired() -> None:
    alike = [(f"a.c{place}", "event", "counter") for place in range(MOST_ALIKE + 1)]
    assert pairs(made(*alike)) == ()
    assert len(pairs(made(*alike[:-1]))) == MOST_ALIKE * (MOST_ALIKE - 1) // 2


def test_a_ratio_is_one_of_means_over_measured_steps() -> None:
    x = np.array([[[3.0, np.nan, 5.0], [1.0, 1.0, 1.0], [np.nan] * 3]], dtype=np.float32)
    found = ratios(x, [(0, 1), (0, 2)])
    assert found[0, 0] == np.log1p(4.0) - np.log1p(1.0)
    assert np.isnan(found[0, 1])
    assert ratios(x, []).shape == (1, 0)


def test_a_faster_machine_has_the_same_ratios() -> None:
    x = np.random.default_rng(1).uniform(1e3, 1e5, (5, 3, 20)).astype(np.float32)
    chosen = [(0, 1), (2, 0)]
    np.testing.assert_allclose(ratios(x * 1000, chosen), ratios(x, chosen), atol=2e-3)
