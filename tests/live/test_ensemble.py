"""Checkpoints side by side: one that does not fit is listed with its refusal."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.io.trust import Trust
from phasewatch.live.ensemble import Ensemble
from phasewatch.store.local import Store


@pytest.fixture(scope="module")
def ensemble(toy_run: RunResult, toy_out: Path, toy_store: Store) -> Ensemble:
    return Ensemble.load(Run(toy_out), toy_store.schema)


def test_a_run_gives_its_members_the_temperatures_of_its_report(
    toy_run: RunResult, toy_out: Path, toy_store: Store
) -> None:
    found = Ensemble.of_run(Run(toy_out), toy_store.schema)
    rows = {f"{row.model}.{row.mode}": row.temperatures[0] for row in toy_run.report.rows}
    assert found.members
    assert {one.key: one.temperature for one in found.members} == {
        one.key: rows[one.key] for one in found.members
    }


def test_a_run_without_checkpoints_is_refused_with_the_folds_it_has(
    tmp_path: Path, toy_store: Store
) -> None:
    with pytest.raises(Refused, match=r"has no checkpoints.*`phasewatch train`"):
        Ensemble.of_run(Run(tmp_path), toy_store.schema)
    (tmp_path / "folds" / "alpha").mkdir(parents=True)
    with pytest.raises(Refused, match=r"--run .*folds/alpha"):
        Ensemble.of_run(Run(tmp_path), toy_store.schema)


def test_a_checkpoint_of_other_data_is_listed_with_its_refusal(
    toy_out: Path, ensemble: Ensemble
) -> None:
    schema = ensemble.schema
    renamed = tuple(
        replace(channel, unit="other") if channel.name == "proc.rss" else channel
        for channel in schema.channels
    )
    mixed = Ensemble.load(Run(toy_out), replace(schema, channels=renamed))
    assert not mixed.members
    assert set(mixed.refused) == {member.key for member in ensemble.members}
    assert all("proc.rss" in str(problem) for problem in mixed.refused.values())
    with pytest.raises(Refused, match=r"proc\.rss"):
        mixed.member("gbt.realistic")
    with pytest.raises(Refused, match="not in the ensemble"):
        mixed.member("none.realistic")


def test_an_unsigned_member_is_refused_where_a_signature_is_required(
    toy_run: RunResult, toy_out: Path, toy_store: Store, keys: Path
) -> None:
    trust = Trust.of_options(keys / "own.pub", strict=False)
    found = Ensemble.load(Run(toy_out), toy_store.schema, trust=trust)
    assert not found.members
    assert {problem.code for problem in found.refused.values()} == {"signature"}


def test_a_temperature_changes_probabilities_and_no_label(ensemble: Ensemble) -> None:
    logits = np.array([1.0, 3.0, -1.0, 0.0, 0.0, 0.0])
    cool = replace(ensemble.members[0], temperature=4.0)
    assert cool.probabilities(logits).argmax() == 1
    assert cool.probabilities(logits)[1] < ensemble.members[0].probabilities(logits)[1]


def test_rows_are_the_positions_of_a_members_channels(ensemble: Ensemble) -> None:
    for member in ensemble.members:
        names = tuple(ensemble.schema.names[row] for row in member.rows)
        assert names == tuple(member.checkpoint.schema.names)


def test_the_opening_is_the_longest_of_all(ensemble: Ensemble) -> None:
    assert ensemble.opening_s == max(one.checkpoint.opening_s for one in ensemble.members) > 0
    assert Ensemble(ensemble.schema, ()).opening_s == 0.0
