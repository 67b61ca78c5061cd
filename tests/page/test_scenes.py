"""The page in a real browser: every scene in its states, at two sizes, with axe watching."""

import gzip
import json
import runpy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.paths import ROOT
from tests.served import Served, serving, show, until

from phasewatch.errors import Refused
from phasewatch.experiment.run import Run
from phasewatch.serve import app, registry
from phasewatch.serve.access import Access
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.producers import perf
from phasewatch.serve.runtime import Runtime
from phasewatch.store.local import Store

if TYPE_CHECKING:
    from playwright.sync_api import Page

BUILT = ROOT / "src" / "phasewatch" / "serve" / "page"
AXE = (ROOT / "tests" / "vendor" / "axe.min.js").read_text(encoding="utf-8")
SIZES = ((1920, 1080), (1280, 720))
SCENES = (
    "",
    "investigate",
    "episodes",
    "beside",
    "scoreboard",
    "comparison",
    "profiles",
    "perf",
)
PLACES = (*SCENES, "tv")
SCRIPT_BYTES = 60_000
NODES = 1000


def test_the_built_page_is_of_this_source() -> None:
    module = runpy.run_path(str(ROOT / "dashboard" / "digest.py"))
    built = (BUILT / "source.sha256").read_text(encoding="utf-8").strip()
    assert built == module["digest"](), "run: make dashboard"


def test_the_page_is_small_and_requests_nothing_from_other_servers() -> None:
    scripts = list(BUILT.rglob("*.js"))
    assert scripts
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in scripts) <= SCRIPT_BYTES
    page = (BUILT / "index.html").read_text(encoding="utf-8")
    assert "<style" not in page and "<script>" not in page
    assert "http://" not in page and "https://" not in page


# ---------------------------------------------------------------- in a browser


def violations(page: "Page") -> list[str]:
    """What axe objects to; run beside the page, whose policy lets in no script of others."""
    page.evaluate(AXE)
    found = page.evaluate(
        "axe.run(document, {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})"
    )
    return [
        f"{one['id']}: {one['nodes'][0]['target']} {one['nodes'][0]['failureSummary']}"
        for one in found["violations"]
    ]


def fits(page: "Page", size: tuple[int, int]) -> None:
    wide, high = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert (wide, high) == size
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(CLIPPED) == []


def everywhere(page: "Page", expected: Callable[[str], str]) -> None:
    """Every scene, home and the wall at both sizes, without a reload; axe looks at one size."""
    for size in SIZES:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        for place in PLACES:
            page.evaluate(f"location.hash = '#/{place}'")
            page.wait_for_selector(expected(place))
            fits(page, size)
            assert size != SIZES[0] or violations(page) == []


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("scene", PLACES)
def test_scenes_fit_their_screen_and_are_accessible(
    page: "Page", served: Served, scene: str, size: tuple[int, int]
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    show(page, served, f"#/{scene}?mode=both&theme={'light' if size[0] > 1500 else 'dark'}")
    page.wait_for_timeout(300)
    assert page.evaluate("document.querySelectorAll('*').length") <= NODES
    fits(page, size)
    assert violations(page) == []


@pytest.mark.parametrize("width", [390, 360])
def test_a_phone_shows_every_scene_without_overprinted_or_cut_text(
    page: "Page", served: Served, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    for scene in PLACES:
        show(page, served, f"#/{scene}?t=30")
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, scene
        assert page.evaluate(OVERPRINTED) == [], scene
        assert width == 360 or violations(page) == []
    page.get_by_role("link", name="leave wall display").click()
    page.wait_for_selector("nav")


OVERPRINTED = """
(() => {
  const boxes = [...document.querySelectorAll('main *, header *')]
    .filter((one) => [...one.childNodes].some((part) => part.nodeType === 3 && part.data.trim()))
    .filter((one) => !one.closest('.hidden, svg, dialog, .scroll'))
    .filter((one) => getComputedStyle(one).position === 'static')
    .flatMap((one) => {
      const range = document.createRange();
      range.selectNodeContents(one);
      return [...range.getClientRects()].map((box) => ({ one, box }));
    })
    .filter(({ box }) => box.width > 1 && box.height > 1);
  const found = [];
  for (const [place, { one, box }] of boxes.entries()) {
    for (const { one: other, box: near } of boxes.slice(place + 1)) {
      if (one.contains(other) || other.contains(one)) continue;
      const wide = Math.min(box.right, near.right) - Math.max(box.left, near.left);
      const high = Math.min(box.bottom, near.bottom) - Math.max(box.top, near.top);
      if (wide > 3 && high > 4) found.push(`${one.textContent} / ${other.textContent}`);
    }
  }
  return found.slice(0, 5);
})()
"""
"""Texts that lie over each other."""


OUTSIDE = """
[...document.querySelectorAll('main figure, main .card, header > *')]
  .filter((one) => { const box = one.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.bottom > innerHeight + 1); })
  .map((one) => one.className || one.tagName)
"""


CLIPPED = """
[...document.querySelectorAll('nav a')]
  .filter((one) => { const box = one.closest('ul, nav').getBoundingClientRect();
    return one.getBoundingClientRect().left < box.left - 1; })
  .map((one) => one.textContent)
"""
"""Scenes that the header cuts off."""


def test_axe_detects_a_planted_violation(page: "Page", served: Served) -> None:
    show(page, served, "#/perf")
    page.evaluate("document.querySelector('main').append(document.createElement('img'))")
    assert any("image-alt" in one for one in violations(page))


def test_every_chart_has_its_table(page: "Page", served: Served) -> None:
    show(page, served, "#/investigate?t=30")
    buttons = page.get_by_role("button", name="table")
    assert buttons.count() == 3
    for place in range(3):
        buttons.nth(place).click()
    assert page.locator("figure table").count() == 3
    assert violations(page) == []


def test_the_projection_shows_the_windows_of_a_model(
    page: "Page", served: Served, given: ProducerContext
) -> None:
    show(page, served, "#/investigate?t=30&model=gbt.oracle&mode=oracle")
    windows = served.get(f"/api/episodes/{given.episodes[0]}/windows")
    calls = [one["models"]["gbt.oracle"] for one in windows if one["end_s"] <= 30]
    page.wait_for_selector(".plane canvas")
    page.locator(".plane").get_by_role("button", name="table").click()
    rows = page.locator(".plane tbody tr")
    until(lambda: rows.count() == len(calls))
    shown = [row.split("\t") for row in rows.all_inner_texts()]
    assert [row[0] for row in shown] == [one["label"] for one in calls]
    assert [[float(row[1]), float(row[2])] for row in shown] == [one["xy"] for one in calls]


def test_phases_of_another_schema_have_distinct_letters(
    page: "Page", served: Served, given: ProducerContext
) -> None:
    labels = ["benign", "install", "infect", "backup", "idle", "d", "dd"]
    episode_event = {
        **served.get(f"/api/episodes/{given.episodes[0]}"),
        "labels": labels,
        "phases": None,
    }
    data = json.dumps({"time": "2026-01-01T00:00:00Z", "data": episode_event})
    body = f"event: episode\ndata: {data}\n\n"
    page.route(
        "**/api/events*", lambda one: one.fulfill(content_type="text/event-stream", body=body)
    )
    page.goto(f"http://127.0.0.1:{served.port}/#/investigate")
    page.wait_for_selector(".legend li")
    letters = page.locator(".legend li span").all_inner_texts()
    assert letters == ["B", "I", "N", "A", "D", "6", "7"]


def test_a_prediction_has_its_attribution(
    page: "Page", served: Served, given: ProducerContext
) -> None:
    show(page, served, "#/investigate?t=30&model=gbt.oracle&mode=oracle")
    windows = served.get(f"/api/episodes/{given.episodes[0]}/windows")
    call = [w for w in windows if w["end_s"] <= 30][-1]["models"]["gbt.oracle"]
    page.wait_for_selector(".reasons")
    page.wait_for_selector(".time:has-text('00:30 /')")
    word = call["label"].replace("_", " ").replace(" and ", " & ")
    page.wait_for_selector(f".reasons p:has-text('{word} by gbt.oracle')")
    assert "your own playhead" in page.locator("[aria-label=Transport]").inner_text()


def state(one: Served) -> tuple[str, float]:
    clock = one.runtime.replay.playback.clock
    return clock.state, clock.position_s(1e9)


def test_the_keys_of_who_presents_move_the_servers_clock(page: "Page", served: Served) -> None:
    show(page, served, "#/investigate?present=1")
    served.turn("pause")
    served.turn("seek", 20.0)
    page.wait_for_selector(".time:has-text('00:20 /')")
    page.keyboard.press("ArrowRight")
    until(lambda: state(served) == ("paused", 25.0))
    page.wait_for_selector(".time:has-text('00:25 /')")
    page.keyboard.press("Space")
    until(lambda: state(served)[0] == "playing")
    page.wait_for_selector("[aria-label=Pause]")
    page.keyboard.press("Space")
    until(lambda: state(served)[0] == "paused")
    page.keyboard.press("Home")
    until(lambda: state(served)[1] == 0.0)
    page.wait_for_selector(".time:has-text('00:00 /')")
    page.keyboard.press("n")
    until(lambda: state(served)[1] > 0.0)
    for key, scene in zip("1234567", SCENES[1:], strict=True):
        page.keyboard.press(key)
        assert page.evaluate("location.hash").startswith(f"#/{scene}")


def test_the_theme_is_that_of_the_system_until_a_key_changes_it(
    page: "Page", served: Served
) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    show(page, served, "#/scoreboard")
    dark = page.evaluate(background)
    page.emulate_media(color_scheme="light")
    assert page.evaluate(background) != dark
    page.keyboard.press("t")
    assert "theme=dark" in page.evaluate("location.hash")
    assert page.evaluate(background) == dark


def test_a_late_viewer_sees_the_current_clock(page: "Page", served: Served) -> None:
    served.turn("seek", 0.0)
    served.turn("speed", 4)
    served.turn("play")
    until(lambda: state(served)[1] > 15)
    show(page, served, "#/investigate")
    page.wait_for_timeout(500)
    minutes, seconds = page.locator(".time").inner_text()[:5].split(":")
    assert int(minutes) * 60 + int(seconds) >= 15
    served.turn("pause")


def test_keys_jump_to_the_next_error_and_the_next_disagreement(
    page: "Page", served: Served, given: ProducerContext
) -> None:
    windows = served.get(f"/api/episodes/{given.episodes[0]}/windows")
    wrong = [w for w in windows if _realistic(w) != {w["truth"]}]
    assert wrong, "majority is wrong somewhere"
    show(page, served, "#/investigate?t=0")
    page.wait_for_timeout(800)
    page.keyboard.press("e")
    page.wait_for_function(f"location.hash.includes('t={wrong[0]['end_s']:.1f}')")


def _realistic(window: dict[str, Any]) -> set[str]:
    """What the models of that mode say."""
    return {call["label"] for key, call in window["models"].items() if key.endswith("realistic")}


def test_a_viewer_without_control_scrubs_locally(page: "Page", given: ProducerContext) -> None:
    with serving(given, Access()) as one:
        until(lambda: one.runtime.replay.playback.watched is not None, 60)
        show(page, one, "#/investigate")
        page.wait_for_selector(".time")
        before = one.runtime.replay.playback.clock.revision
        page.keyboard.press("End")
        page.wait_for_selector("text=your own playhead")
        assert one.runtime.replay.playback.clock.revision == before
        assert page.get_by_role("button", name="Present").count() == 0
        page.get_by_role("button", name="Follow").click()
        page.wait_for_selector("text=your own playhead", state="detached")


def test_an_empty_page_shows_the_command_that_fills_it(page: "Page") -> None:
    with serving(ProducerContext(None, None), Access()) as one:
        show(page, one, "#/")
        everywhere(page, lambda place: "main" if place == "perf" else "[data-state=awaiting]")
        for scene in SCENES[1:-1]:
            page.evaluate(f"location.hash = '#/{scene}'")
            page.wait_for_selector("main >> text=$ phasewatch")
        for size in SIZES:
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.evaluate("location.hash = '#/perf'")
            page.wait_for_selector("text=not available here: no sensor")
    everywhere(page, lambda place: "main" if place == "perf" else "[data-state=disconnected]")


def test_received_data_stay_visible_when_the_server_is_gone(
    page: "Page", given: ProducerContext
) -> None:
    with serving(given, Access()) as one:
        until(lambda: one.runtime.context.counters.value("windows_total") > 0, 60)
        until(lambda: one.runtime.broker.published("profile"))
        show(page, one, "#/investigate")
        page.wait_for_selector(".reasons")
    page.wait_for_selector("[role=alert]:text('does not answer')")

    def expected(place: str) -> str:
        # Episodes are asked for when the scene is entered; all other data were sent before.
        alone = "[data-state=disconnected]"
        return alone if place == "episodes" else "main figure"

    everywhere(page, expected)


def test_a_refusal_is_shown_on_every_scene(page: "Page", monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, stop: object) -> None:
        raise Refused("checkpoints", "were made for other data", "this schema", "Train again.")

    for kind in registry.find().values():
        monkeypatch.setattr(kind, "work", refuse)
    with serving(ProducerContext(None, None), Access()) as one:
        until(lambda: len(one.runtime.failures) == len(one.runtime.producers))
        show(page, one, "#/")
        everywhere(page, lambda place: "[data-state=refused]")
        page.evaluate("location.hash = '#/investigate'")
        page.wait_for_selector("text=were made for other data")


def test_a_refused_producer_shows_its_reason(
    page: "Page", tmp_path: Path, toy_store: Store
) -> None:
    (tmp_path / "report.json").write_text("[]")
    with serving(ProducerContext(Run(tmp_path), toy_store), Access()) as one:
        until(lambda: "metrics" in one.runtime.failures)
        show(page, one, "#/scoreboard")
        page.wait_for_selector("[data-state=refused]")
        assert "report.json" in page.locator("main").inner_text()
        assert violations(page) == []


def test_a_refused_checkpoint_is_shown(
    page: "Page", tmp_path: Path, given: ProducerContext, toy_out: Path
) -> None:
    shutil.copytree(toy_out / "checkpoints", tmp_path / "checkpoints")
    path = tmp_path / "checkpoints" / "gbt-realistic.ckpt.json"
    header = json.loads(path.read_bytes())
    header["opening_s"] = 7.0
    path.write_text(json.dumps(header))
    with serving(replace(given, run=Run(tmp_path)), Access()) as one:
        until(lambda: one.runtime.replay.playback.watched is not None, 60)
        show(page, one, "#/investigate")
        page.wait_for_selector("text=the header was changed after it was written")
        assert violations(page) == []


def test_figures_that_stop_are_marked_stale_and_stay_visible(
    page: "Page", monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    def once(self: perf.Producer, stop: object) -> None:
        self.publish(self.measure(psutil.Process(), 1.0))

    monkeypatch.setattr(perf.Producer, "work", once)
    with serving(ProducerContext(None, None), Access()) as one:
        show(page, one, "#/perf")
        page.wait_for_selector(".scene.stale", timeout=15000)
        assert "stale" in page.locator(".foot").inner_text()
        for size in SIZES:
            page.set_viewport_size({"width": size[0], "height": size[1]})
            for place, shown in STALE.items():
                page.evaluate(f"location.hash = '#/{place}'")
                page.wait_for_selector(shown)
                fits(page, size)
            assert violations(page) == []


STALE = {"tv?scenes=perf": ".scene.stale", "perf": ".scene.stale"}
"""Where figures are shown that should come steadily."""


def test_the_page_reconnects_when_the_server_returns(page: "Page") -> None:
    with serving(ProducerContext(None, None), Access()) as one:
        port = one.port
        show(page, one, "#/perf")
        page.wait_for_selector("text=Deadline")
    page.wait_for_selector("[role=alert]:text('does not answer')")
    assert page.locator("text=Deadline").count(), "received figures stay visible"
    with Runtime(ProducerContext(None, None)).running() as runtime:
        import threading

        sock = app.listen("127.0.0.1", port)
        server = app.server(app.application(runtime, Access()))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        page.wait_for_selector("[role=alert]", state="detached", timeout=20000)
        server.should_exit = True
        thread.join(20)
        sock.close()


def test_the_tv_mode_rotates_scenes_without_a_reload(page: "Page", served: Served) -> None:
    show(page, served, "#/tv?rotate=3&scenes=scoreboard,perf")
    page.evaluate("window.marked = true")
    page.wait_for_selector("text=Confusion")
    page.wait_for_selector("text=Deadline", timeout=8000)
    assert page.evaluate("window.marked") is True
    page.wait_for_selector("text=Confusion", timeout=8000)
    assert page.evaluate("window.marked") is True
