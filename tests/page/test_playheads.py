"""Playheads and picked channels, on a server whose replay no other test has moved."""

from typing import TYPE_CHECKING

from tests.served import Served, show

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def test_one_viewers_keys_do_not_move_anothers_playhead(
    page: "Page", browser: "Browser", served: Served
) -> None:
    served.turn("pause")
    served.turn("seek", 20.0)
    clock = served.runtime.replay.playback.clock
    other = browser.new_page()
    show(page, served, "#/investigate")
    show(other, served, "#/investigate")
    for one in (page, other):
        one.wait_for_selector(".time:has-text('00:20 /')")
    revision = clock.revision
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".time:has-text('00:25 /')")
    page.keyboard.press("Space")
    page.wait_for_selector(".time:has-text('00:26 /')")
    assert clock.revision == revision
    other.wait_for_timeout(600)
    assert "00:20 /" in other.locator(".time").inner_text()
    page.get_by_role("button", name="Present").click()
    page.wait_for_selector("text=presenting to all")
    page.keyboard.press("ArrowRight")
    other.wait_for_selector(".time:has-text('00:25 /')")
    other.close()


def test_an_unusual_channel_is_named_and_drawn_when_picked(page: "Page", served: Served) -> None:
    show(page, served, "#/investigate?t=40")
    page.wait_for_selector("[aria-busy=false]")
    first = page.locator(".channel").first
    first.wait_for()
    name = first.locator("span").first.inner_text()
    page.wait_for_selector(".channel:has-text('baseline')")
    first.click()
    page.wait_for_selector(f".strip button:has-text('{name}')")
    page.get_by_role("button", name="raw samples").click()
    page.wait_for_selector("dialog[open] table")
