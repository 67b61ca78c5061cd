"""What a campaign changes on a host."""

from phasewatch.lab.campaign import SINGLE, Campaign
from phasewatch.lab.hosts import hosts


def test_a_campaign_adds_to_the_kernel_and_replaces_the_background() -> None:
    mix = tuple(f"heartbeat period_s={period}" for period in (2, 3, 4, 5))
    campaign = Campaign("c", kernel="nohz=off", background=mix, jitter=10)
    changed = [campaign.on(host) for host in hosts().values()]
    assert all(host.kernel.endswith("nohz=off") for host in changed)
    assert {host.background for host in changed} <= set(mix)
    assert len({host.background for host in changed}) > 1
    assert changed == [campaign.on(host) for host in hosts().values()]


def test_an_empty_campaign_changes_nothing() -> None:
    assert [SINGLE.on(host) for host in hosts().values()] == list(hosts().values())
