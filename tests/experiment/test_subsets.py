"""Training sets of learning curves grow within a draw and never reach what is held out."""

from itertools import pairwise

import pytest

from phasewatch.episode import Identity
from phasewatch.errors import Refused
from phasewatch.experiment.subsets import AXES, Axis, Fit, plan

AXIS = {axis.name: axis for axis in AXES}


def episodes(hosts: int = 6, samples: int = 5, profiles: str = "xyz") -> list[Identity]:
    return [
        Identity(
            f"{host}.{profile}.{sample}",
            f"h{host}",
            f"{profile}{sample}",
            profile,
            "c",
            host,
            frozenset(),
        )
        for host in range(hosts)
        for profile in profiles
        for sample in range(samples)
    ]


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_a_larger_set_contains_the_smaller_and_nothing_held_out(axis: Axis) -> None:
    fits = plan(axis, episodes(), 2)
    runs: dict[tuple[int, tuple[str, ...]], list[Fit]] = {}
    for fit in fits:
        assert not {*fit.train} & {*fit.validation, *fit.test}
        assert len(set(fit.train)) == len(fit.train)
        runs.setdefault((fit.draw, fit.test), []).append(fit)
    for own in runs.values():
        assert len({fit.validation for fit in own}) == 1
        for small, large in pairwise(own):
            assert small.size < large.size
            assert {*small.train} < {*large.train}
    assert fits == plan(axis, episodes()[::-1], 2)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("samples", [1, 2, 3]), ("hosts", [2, 4]), ("episodes", [0.25, 0.5, 0.75, 1])],
)
def test_sizes_count_what_the_curve_says(name: str, sizes: list[float]) -> None:
    everything = {one.id: one for one in episodes()}
    fits = plan(AXIS[name], episodes(), 3)
    assert sorted({fit.size for fit in fits}) == sizes
    for fit in fits:
        own = [everything[id] for id in fit.train]
        if name == "samples":
            for profile in "xyz":
                of_profile = {one.sample for one in own if one.profile == profile}
                assert len(of_profile) == fit.size
        elif name == "hosts":
            assert len({one.host for one in own}) == fit.size
        else:
            whole = max(len(other.train) for other in fits if other.test == fit.test)
            assert len(own) == pytest.approx(fit.size * whole, abs=3)


def test_draws_differ_and_the_largest_set_is_the_same_in_all_of_them() -> None:
    fits = plan(AXIS["samples"], episodes(), 3)
    of_one_fold = [fit for fit in fits if fit.test == fits[0].test]
    assert len({fit.train for fit in of_one_fold if fit.size == 1}) > 1
    assert len({fit.train for fit in of_one_fold if fit.size == 3}) == 1


def test_long_curves_take_larger_steps() -> None:
    fits = plan(AXIS["samples"], episodes(1, 31), 1)
    assert sorted({fit.size for fit in fits}) == [1, 2, 3, 4, 6, 8, 12, 16, 19]
    assert {fit.size for fit in plan(AXIS["hosts"], episodes(4), 1)} == {1, 2}


@pytest.mark.parametrize("few", [3, 2])
def test_what_cannot_be_drawn_is_refused_in_one_line(few: int) -> None:
    for axis, own in ((AXIS["samples"], episodes(6, few)), (AXIS["hosts"], episodes(few))):
        with pytest.raises(Refused, match=r"one size only|at least 3") as refused:
            plan(axis, own, 1)
        assert "\n" not in str(refused.value)
