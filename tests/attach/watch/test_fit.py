"""Models of other telemetry are refused; channels that a model lacks are named with the cost."""

from dataclasses import replace

import pytest

from phasewatch import schema
from phasewatch.artifacts.dropout import Dropout, Row
from phasewatch.attach.watch.fit import cost, lacking, lost, refuse_other
from phasewatch.errors import Refused
from phasewatch.schema import Channel

HERE, TRAINED = schema.vm46(), schema.shipped("vm29")


def test_models_of_other_telemetry_are_refused() -> None:
    refuse_other("bundle", TRAINED, HERE, "qemu")
    with pytest.raises(Refused, match="which has none of its channels") as no:
        refuse_other("bundle", TRAINED, schema.shipped("cgroup"), "cgroup")
    assert no.value.code == "bundle_schema"


def test_a_channel_of_another_meaning_is_refused() -> None:
    first, *others = TRAINED.channels
    other = replace(TRAINED, channels=(replace(first, unit="mile"), *others))
    with pytest.raises(Refused, match=f"defines {first.name} otherwise"):
        refuse_other("store s", other, HERE, "qemu")


def test_what_a_model_lacks_is_in_its_order() -> None:
    names = TRAINED.names
    assert lacking(TRAINED, HERE, [names[3], names[1], "moon.dust"]) == [names[1], names[3]]
    assert lacking(TRAINED, HERE, []) == []


def test_a_channel_that_the_collector_does_not_know_is_lacking() -> None:
    dust = Channel("moon.dust", "grain", "gauge", True, "how much of it lies there")
    more = replace(TRAINED, channels=(*TRAINED.channels, dust))
    assert lacking(more, HERE, []) == ["moon.dust"]


def test_what_missing_channels_cost_is_said_where_it_was_measured() -> None:
    row = Row(without=("proc.rss", "proc.utime"), macro_f1=0.5)
    known = Dropout(digest="", hosts="delta", windows=9, macro_f1=0.75, rows=(row,))
    assert cost([], known) == lost([]) == ""
    line = cost(["proc.utime", "proc.rss"], known)
    assert "2 channels not measured here (proc.utime, proc.rss): macro F1 0.500" in line
    assert "instead of 0.750, on 9 windows of delta" in line
    for measured in (known, None):
        assert "is not known" in cost(["proc.rss"], measured)
