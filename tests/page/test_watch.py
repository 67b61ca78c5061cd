"""The watch: which machine needs a person, why, and what the person does about it."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.served import Served, serving, show, until

from phasewatch.live.incidents import Incident
from phasewatch.serve.access import Access
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.fleet.ledger import Finding

if TYPE_CHECKING:
    from playwright.sync_api import Page

MACHINES = 50


@pytest.fixture(scope="module")
def fleet(given: ProducerContext, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    ledger = tmp_path_factory.mktemp("fleet") / "ledger.sqlite"
    context = replace(given, fleet=MACHINES, ledger=ledger)
    with serving(context, Access(control=True)) as one:
        counters = one.runtime.context.counters
        until(lambda: counters.value("windows_total") > MACHINES, 120)
        yield one


def opened(one: Served, episode: str) -> Incident:
    """Put an incident of our own into the ledger, and let viewers know."""
    host = episode.partition(".")[0]
    now_ns = time.time_ns()
    found = Incident(f"99-{host}", host, "gbt.realistic", now_ns, None, 0.93, 3, ("execution",))
    finding = Finding(found, episode, 25.0, now_ns, ("proc.threads", "netflow.pkts_out"))
    one.runtime.fleet._record(finding)
    return found


def test_fifty_machines_are_shown_and_those_with_an_incident_come_first(
    page: "Page", fleet: Served
) -> None:
    page.set_viewport_size({"width": 1920, "height": 1080})
    show(page, fleet, "#/")
    tiles = page.locator("[data-machine]")
    until(lambda: tiles.count() == MACHINES)

    def severe() -> list[int]:
        found: list[int] = tiles.evaluate_all("all => all.map((one) => +one.dataset.severe)")
        return found

    # Machines change while this is read: those that have come to an incident move up at once.
    until(lambda: (found := severe()) == sorted(found, reverse=True))
    boxes = tiles.evaluate_all("all => all.map((one) => one.getBoundingClientRect().bottom)")
    assert sum(bottom <= 1080 for bottom in boxes) >= 42
    text = page.locator(".tiles").inner_text()
    assert re.search(r"\d+% · for .* old", text), "probability, time in the phase, age"
    assert "wrong in" in page.locator("[data-trust]").inner_text()


def test_the_offer_of_a_tour_covers_nothing(page: "Page", fleet: Served) -> None:
    show(page, fleet, "#/")
    offer = page.locator("aside.offer").bounding_box()
    main = page.locator("main").bounding_box()
    assert offer and main
    assert main["y"] + main["height"] <= offer["y"]


def test_investigate_opens_at_the_machine_that_needs_a_person_most(
    page: "Page", fleet: Served
) -> None:
    show(page, fleet, "#/")
    page.locator("[data-machine]").first.wait_for()
    page.keyboard.press("1")
    until(lambda: "ep=" in page.evaluate("location.hash"))
    page.wait_for_selector("[data-window]")


def test_an_incident_is_acknowledged_noted_muted_and_exported(
    page: "Page", fleet: Served, given: ProducerContext
) -> None:
    show(page, fleet, "#/")
    incident = opened(fleet, given.episodes[0])
    row = page.locator(f"[data-incident='{incident.id}']")
    row.wait_for()
    page.get_by_role("button", name="no, thanks").click()
    text = row.inner_text()
    assert "execution" in text and "93%" in text and "proc.threads, netflow.pkts_out" in text
    row.get_by_role("button", name="acknowledge").click()
    row.get_by_role("button", name="not seen").wait_for()
    row.get_by_role("button", name="note, mute, export").click()
    row.get_by_role("textbox").fill("a backup, I think")
    row.get_by_role("button", name="add the note").click()
    row.locator(".note:has-text('a backup, I think')").wait_for()
    row.get_by_role("textbox").fill("maintenance")
    row.get_by_role("button", name="mute", exact=True).click()
    row.locator("text=/muted until .*: maintenance/").wait_for()
    kept = fleet.runtime.fleet.known.rows(incident.id)[0]
    assert kept["acknowledged_ns"] and kept["mute_reason"] == "maintenance"
    with page.expect_download() as download:
        row.get_by_role("link", name="OCSF").click()
    assert incident.id in Path(download.value.path()).read_text(encoding="utf-8")


def test_an_incident_leads_to_its_evidence_in_two_clicks(
    page: "Page", fleet: Served, given: ProducerContext
) -> None:
    show(page, fleet, "#/")
    incident = opened(fleet, given.episodes[0])
    row = page.locator(f"[data-incident='{incident.id}']")
    row.get_by_role("link").first.click()
    page.wait_for_selector(".reasons", timeout=60000)
    page.wait_for_selector(".time:has-text('00:25 /')")
    assert "from=0.0" in page.evaluate("location.hash"), "it opens a minute before, or at 0"
    page.locator(".channel").first.click()
    page.wait_for_selector(".strip .names")


def test_one_machine_is_one_large_tile(page: "Page", served: Served) -> None:
    show(page, served, "#/")
    tile = page.locator("[data-machine].large")
    tile.wait_for()
    box = tile.bounding_box()
    assert box is not None and box["height"] > 200
    assert "No open incident" in page.locator("h2").first.inner_text() or "need" in (
        page.locator("h2").first.inner_text()
    )


def test_without_control_incidents_can_be_seen_and_not_changed(
    page: "Page", given: ProducerContext, tmp_path: Path
) -> None:
    with serving(replace(given, ledger=tmp_path / "ledger.sqlite"), Access()) as one:
        until(lambda: one.runtime.context.counters.value("windows_total") > 0, 60)
        incident = opened(one, given.episodes[0])
        show(page, one, "#/")
        row = page.locator(f"[data-incident='{incident.id}']")
        row.wait_for()
        assert row.get_by_role("button", name="acknowledge").count() == 0
        row.get_by_role("button", name="export").click()
        row.locator("text=serve with --allow-control").wait_for()
