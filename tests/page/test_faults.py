"""What the page once got wrong: each fault as a test that drives the page into it."""

import csv
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import toy
from tests.served import Served, serving, show, until

from phasewatch.experiment.run import Run
from phasewatch.live import playback as live_playback
from phasewatch.live.playback import SampleStream
from phasewatch.schema import NS
from phasewatch.serve import broker
from phasewatch.serve.access import Access
from phasewatch.serve.events import Event, ProducerContext
from phasewatch.store.local import Store

if TYPE_CHECKING:
    from playwright.sync_api import Page

STRIDE_S = 5.0
LABELS = ["benign", "execution", "discovery", "command_and_control", "exfiltration", "impact"]


# ---------------------------------------------------------------- events of our own making


def stream(page: "Page", *events: tuple[str, Any]) -> None:
    """Let the page receive these events, and no other."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lines: list[tuple[str, Any]] = [("hello", {"time_ms": time.time_ns() // 1_000_000})]
    lines += [(kind, {"time": now, "data": data}) for kind, data in events]
    body = "".join(f"event: {kind}\ndata: {json.dumps(value)}\n\n" for kind, value in lines)
    page.route(
        "**/api/events*", lambda one: one.fulfill(content_type="text/event-stream", body=body)
    )
    page.route("**/windows", lambda one: one.fulfill(json=[]))


def call(p: list[float]) -> dict[str, Any]:
    label = LABELS[max(range(len(p)), key=lambda place: p[place])]
    return {"p": p, "label": label, "entropy_bits": 1.0, "latency_s": 0.001, "xy": None}


def made_up(
    one: Served, id: str, calls: dict[str, list[float]], chosen: str, truth: str = "benign"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """An episode event of models of our own, and the event of one window that they predicted."""
    episode = one.get(f"/api/episodes/{id}")
    window = one.get(f"/api/episodes/{id}/windows")[0]
    facts = episode["models"][0]
    models = [
        {**facts, "key": f"{name}.realistic", "model": name, "mode": "realistic"} for name in calls
    ]
    models = [{**model, "chosen": model["model"] == chosen} for model in models]
    transport = {**episode["transport"], "state": "paused", "position_s": window["end_s"]}
    predicted = {f"{name}.realistic": call(p) for name, p in calls.items()}
    return (
        {**episode, "models": models, "transport": transport},
        {**window, "models": predicted, "truth": truth},
    )


BENIGN = [0.92, 0.0, 0.0, 0.0, 0.0, 0.08]
IMPACT = [0.1, 0.0, 0.0, 0.0, 0.0, 0.9]


def test_the_headline_is_the_model_chosen_on_validation_and_no_vote(
    page: "Page", served: Served, given: ProducerContext
) -> None:
    calls = {"gbt": IMPACT, "mlp": IMPACT, "cnn": IMPACT, "gru": BENIGN}
    episode, window = made_up(served, given.episodes[0], calls, "gru")
    stream(page, ("episode", episode), ("window", window))
    page.goto(f"http://127.0.0.1:{served.port}/#/investigate?t={window['end_s']}")
    page.wait_for_selector(".headline:text-is('benign')")
    assert "3 of 3 other models dissent" in page.locator(".sentence").inner_text()
    assert "✓ agrees" in page.locator(".truth").inner_text()


def test_a_tie_is_undecided_between_two_phases(
    page: "Page", served: Served, given: ProducerContext
) -> None:
    tie = [0.46, 0.0, 0.0, 0.0, 0.06, 0.48]
    episode, window = made_up(served, given.episodes[0], {"gbt": tie, "mlp": BENIGN}, "gbt")
    stream(page, ("episode", episode), ("window", window))
    page.goto(f"http://127.0.0.1:{served.port}/#/investigate?t={window['end_s']}")
    page.wait_for_selector(".headline:text-is('undecided: impact or benign')")
    told = page.locator(".truth").inner_text()
    assert "undecided" in told and "agrees" not in told


# ---------------------------------------------------------------- why


def test_an_explanation_of_another_window_is_not_shown(
    page: "Page", served: Served, given: ProducerContext
) -> None:
    answer = served.get(f"/api/episodes/{given.episodes[0]}/windows/2/why?model=gbt.realistic")
    page.route("**/why*", lambda one: one.fulfill(json={**answer, "index": answer["index"] + 1}))
    show(page, served, "#/investigate?t=20")
    page.wait_for_selector(".headline")
    page.wait_for_selector("[data-why=none]")
    page.wait_for_timeout(800)
    assert page.locator(".reasons").count() == 0


def test_the_explanation_goes_with_the_server(page: "Page", given: ProducerContext) -> None:
    with serving(given, Access()) as one:
        until(lambda: one.runtime.context.counters.value("windows_total") > 0, 60)
        show(page, one, "#/investigate?t=30")
        page.wait_for_selector(".reasons")
    page.wait_for_selector("[role=alert]:text('does not answer')")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(".time:has-text('00:25 /')")
    page.wait_for_selector("[data-why=none]:has-text('has no explanation')")
    assert page.locator(".reasons").count() == 0


def test_who_dissents_is_explained_beside_the_headline(page: "Page", served: Served) -> None:
    windows = served.get(f"/api/episodes/{served.runtime.context.episodes[0]}/windows")
    keys = [key for key in windows[0]["models"] if key.endswith("realistic")]
    split = [w for w in windows if len({w["models"][key]["label"] for key in keys}) > 1]
    assert split, "models disagree somewhere"
    show(page, served, f"#/investigate?t={split[0]['end_s']}")
    page.get_by_role("button", name="dissents").click()
    until(lambda: page.locator(".reasons").count() == 2)
    models = page.locator(".reasons").evaluate_all("all => all.map((one) => one.dataset.model)")
    labels = [split[0]["models"][key]["label"] for key in models]
    assert labels[0] != labels[1]


# ---------------------------------------------------------------- one time


def frozen(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes a server fall silent whose connections stay open."""
    silent, publish = [False], broker.Broker.publish

    def sent(self: broker.Broker, event: Event) -> None:
        if not silent[0]:
            publish(self, event)

    def freeze() -> None:
        silent[0] = True
        monkeypatch.setattr(broker, "PING_S", 1e6)

    monkeypatch.setattr(broker.Broker, "publish", sent)
    return freeze


def test_a_frozen_server_stops_the_clock_and_greys_every_panel(
    page: "Page", given: ProducerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze = frozen(monkeypatch)
    with serving(given, Access()) as one:
        until(lambda: one.runtime.context.counters.value("windows_total") > 0, 60)
        show(page, one, "#/investigate")
        page.wait_for_selector("[data-fresh=current]")
        freeze()
        page.wait_for_selector("[role=status]:has-text('silent')", timeout=15000)
        stood = page.locator(".time").inner_text()
        page.wait_for_selector("[data-fresh=stale]", timeout=15000)
        assert page.locator(".time").inner_text() == stood
        assert "connected" not in page.locator("[role=status]").inner_text()
        assert page.locator(".old figure").count() == page.locator("main figure").count() == 5
        assert "as of" in page.locator(".sentence").inner_text().lower()


def test_an_ended_recording_says_that_the_machine_stopped(
    page: "Page", given: ProducerContext
) -> None:
    with serving(replace(given, episodes=()), Access()) as one:
        playback = one.runtime.replay.playback
        one.runtime.replay.open()
        episode = toy.episode("delta", seed=2)
        start_ns = time.time_ns() - 41 * NS
        late = start_ns - episode.start_ns
        moved = tuple(replace(label, t_wall_ns=label.t_wall_ns + late) for label in episode.labels)
        sources = {
            name: replace(samples, t_wall_ns=samples.t_wall_ns + late)
            for name, samples in episode.sources.items()
        }
        now = replace(episode, start_ns=start_ns, end_ns=start_ns + 40 * NS, labels=moved)
        playback.begin(replace(now, sources={}))
        samples = SampleStream(replace(now, sources=sources))
        show(page, one, "#/investigate")
        samples.advance(now.end_ns, playback)  # type: ignore[arg-type]
        playback.end(now.end_ns)
        page.wait_for_selector("[data-fresh=stopped]")
        told = page.locator(".sentence").inner_text()
        assert re.search(r"Machine stopped \d\d?:\d\d:\d\d.*last prediction .* ago", told), told
        assert "live" not in page.locator(".facts .chip").first.inner_text()
        assert "machine stopped" in page.locator("[aria-label=Transport]").inner_text()


# ---------------------------------------------------------------- loading, failure, absence


def test_a_deep_link_shows_how_far_its_models_are(
    page: "Page", given: ProducerContext, monkeypatch: pytest.MonkeyPatch, toy_store: Store
) -> None:
    replay = live_playback.replay

    def slow(
        episode: Any, ensemble: Any, past: Any, known: Any, progress: Callable[[float], None]
    ) -> Any:
        for share in (0.1, 0.2, 0.3, 0.4):
            progress(share)
            time.sleep(0.7)
        return replay(episode, ensemble, past, known, progress)

    monkeypatch.setattr(live_playback, "replay", slow)
    other = next(id for id in toy_store.ids() if id not in given.episodes)
    with serving(given, Access()) as one:
        until(lambda: one.runtime.replay.playback.watched is not None, 60)
        page.goto(f"http://127.0.0.1:{one.port}/#/investigate?ep={other}")
        page.wait_for_selector(r"text=/judging \d+ models, \d+ %/i")
        assert "No machine is watched" not in page.locator("main").inner_text()
        page.wait_for_selector(".reasons", timeout=30000)


def test_a_wrong_id_says_that_there_is_no_such_episode(page: "Page", served: Served) -> None:
    show(page, served, "#/investigate?ep=nobody")
    page.wait_for_selector("[data-state=unknown]:has-text('There is no such episode')")
    page.get_by_role("link", name="All episodes of the store").click()
    page.wait_for_selector("#episodes")
    assert "nobody" not in page.evaluate("location.hash")


def test_a_server_that_loads_says_so(page: "Page", given: ProducerContext) -> None:
    with serving(replace(given, episodes=()), Access()) as one:
        one.runtime.replay.playback.progress = "pc-small: booting the guest"
        show(page, one, "#/investigate")
        page.wait_for_selector("[data-state=loading]:has-text('booting the guest')")


# ---------------------------------------------------------------- honest figures


def test_the_headline_has_its_models_record_on_unseen_hosts(page: "Page", served: Served) -> None:
    run = served.runtime.context.run
    assert run is not None
    rows = [row for row in run.report.rows if row.mode == "realistic"]
    best = max(rows, key=lambda row: row.validation.value)
    right = sum(best.confusion[place][place] for place in range(len(best.confusion)))
    wrong = round(100 * (1 - right / sum(map(sum, best.confusion))))
    show(page, served, "#/investigate?t=30")
    line = page.locator(f"[data-trust='{best.model}.realistic']")
    line.wait_for()
    text = " ".join(line.inner_text().split())
    assert f"wrong in {wrong} of 100 windows" in text
    assert f"{best.timeline.false_alarms.rate:.0f} false alarms an hour" in text
    assert "hostile onsets" in text


def test_without_a_report_the_page_says_that_nothing_is_known(
    page: "Page", given: ProducerContext, tmp_path: Any
) -> None:
    import shutil

    assert given.run is not None
    shutil.copytree(given.run.path / "checkpoints", tmp_path / "checkpoints")
    with serving(replace(given, run=Run(tmp_path)), Access()) as one:
        until(lambda: one.runtime.context.counters.value("windows_total") > 0, 60)
        show(page, one, "#/investigate?t=30")
        page.wait_for_selector("[data-trust]:has-text('is not known')")


# ---------------------------------------------------------------- what is drawn, and when


def hover(page: "Page", panel: str, at: float, duration: float = 40.0, height: float = 0.9) -> str:
    """Point at a second in a panel and return what it says."""
    box = page.locator(f"{panel} .timed").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * at / duration, box["y"] + box["height"] * height)
    tooltip = page.locator(f"{panel} [role=tooltip]")
    tooltip.wait_for()
    return tooltip.inner_text()


def test_a_prediction_lies_over_the_span_that_was_judged(page: "Page", served: Served) -> None:
    id = served.runtime.context.episodes[0]
    windows = served.get(f"/api/episodes/{id}/windows")
    show(page, served, "#/investigate?t=40")
    page.wait_for_selector("[aria-busy=false]")
    wrong = [w for w in windows if w["models"]["gbt.realistic"]["label"] != w["truth"]]
    for window in wrong[:2] or windows[:2]:
        for at in (window["end_s"] - 0.9 * STRIDE_S, window["end_s"] - 0.1):
            told = hover(page, ".rows", at)
            label = window["models"]["gbt.realistic"]["label"].replace("_", " ")
            assert f"gbt: {label}" in told, (at, told)


def test_a_replay_hides_what_has_not_happened(page: "Page", served: Served) -> None:
    show(page, served, "#/investigate?t=20")
    page.wait_for_selector(".track rect")
    ends = "all => Math.max(...all.map((one) => one.x.baseVal.value + one.width.baseVal.value))"
    rects = page.locator(".track rect")
    assert rects.evaluate_all(ends) <= 501
    assert "has not happened yet" in hover(page, ".rows", 35)
    page.get_by_role("button", name="Reveal").click()
    until(lambda: rects.evaluate_all(ends) > 990)
    assert "truth:" in hover(page, ".rows", 35)


def test_every_panel_can_be_pointed_at(page: "Page", served: Served) -> None:
    show(page, served, "#/investigate?t=40")
    page.wait_for_selector(".reasons")
    assert "truth:" in hover(page, ".rows", 25)
    assert page.locator(".timed .hover").count() == 2, "one crosshair through both panels"
    assert "standard deviations from baseline" in hover(page, ".strip", 25)
    page.mouse.click(*middle(page, ".strip"))
    page.wait_for_function("location.hash.match(/t=(19|20)\\./)")
    page.wait_for_selector(".time:has-text('00:20 /'), .time:has-text('00:19 /')")
    page.mouse.wheel(0, -300)
    page.wait_for_function("location.hash.includes('from=')")
    page.get_by_role("button", name="whole episode").click()
    page.wait_for_function("!location.hash.includes('from=')")
    x, y = middle(page, ".rows")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 300, y, steps=4)
    page.mouse.up()
    page.wait_for_function("location.hash.includes('from=2')")


def middle(page: "Page", panel: str) -> tuple[float, float]:
    box = page.locator(f"{panel} .timed").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_cell_of_the_confusion_matrix_leads_to_its_windows(page: "Page", served: Served) -> None:
    show(page, served, "#/scoreboard")
    cell = page.locator(".confusion td button:enabled").first
    count = int(cell.inner_text())
    cell.click()
    until(lambda: page.locator(".windows tbody tr").count() == count)
    row = page.locator(".windows tbody tr").first
    id, end = row.locator("button").inner_text(), row.locator("td").nth(1).inner_text()
    row.locator("button").click()
    page.wait_for_selector(f".time:has-text('{end} /')")
    assert id in page.locator("main").inner_text()


def test_every_episode_is_found_and_opened_by_keyboard(
    page: "Page", served: Served, toy_store: Store
) -> None:
    show(page, served, "#/episodes")
    page.wait_for_selector("#episodes")
    assert page.locator("#episodes tbody tr").count() == len(toy_store.ids())
    page.keyboard.press("/")
    page.wait_for_selector("input[type=search]:focus")
    page.keyboard.type("delta leak test")
    wanted = sorted(id for id in toy_store.ids() if id.startswith("delta.leak"))
    until(lambda: page.locator("#episodes tbody tr").count() == len(wanted))
    row = page.locator("#episodes tbody tr.chosen").inner_text()
    assert re.search(r"\d+ of \d+", row), row
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("h2:has-text('leak on delta')")
    page.wait_for_function("location.hash.includes('ep=delta.leak')")


# ---------------------------------------------------------------- two viewers


# ---------------------------------------------------------------- words


def test_labels_are_whole_words_and_a_verdict_says_why(
    page: "Page", served: Served, given: ProducerContext
) -> None:
    episode = {
        **served.get(f"/api/episodes/{given.episodes[0]}"),
        "acceptance": "degraded",
        "findings": ["contention: its vCPUs waited for a core", "gap: 2 s are missing"],
    }
    stream(page, ("episode", episode))
    page.goto(f"http://127.0.0.1:{served.port}/#/investigate")
    page.wait_for_selector(".chip:has-text('degraded: contention: its vCPUs waited')")
    text = page.locator("body").inner_text()
    assert "exfiltration" in text and "exfi." not in text
    assert "baseline" in text and "benign level" not in text


def test_models_are_folded_until_they_are_asked_for(page: "Page", served: Served) -> None:
    show(page, served, "#/investigate?t=30&mode=both")
    page.wait_for_selector(".reasons")
    assert page.locator(".rows canvas").count() == 2
    page.keyboard.press("u")
    models = len(served.get(f"/api/episodes/{served.runtime.context.episodes[0]}")["models"])
    until(lambda: page.locator(".rows canvas").count() == 1 + models)


# ---------------------------------------------------------------- beside, and to take away


def test_two_models_stand_side_by_side_on_one_axis(page: "Page", served: Served) -> None:
    id = served.runtime.context.episodes[0]
    windows = served.get(f"/api/episodes/{id}/windows")
    show(page, served, f"#/beside?a={id}&model_a=gbt.realistic&model_b=gbt.oracle")
    until(lambda: page.locator(".pair canvas").count() == 4)
    calls = [(w["models"]["gbt.realistic"], w["models"]["gbt.oracle"]) for w in windows]
    apart = sum(a["label"] != b["label"] for a, b in calls)
    page.wait_for_selector(f"text=different phases in {apart} of {len(windows)} windows")
    box = page.locator(".pair .rows").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
    until(lambda: all("truth" in one for one in page.locator(".told").all_inner_texts()))


def test_what_is_shown_is_exported(page: "Page", served: Served) -> None:
    id = served.runtime.context.episodes[0]
    windows = served.get(f"/api/episodes/{id}/windows")
    show(page, served, "#/investigate?t=30")
    page.wait_for_selector(".reasons")
    page.wait_for_selector(".scene[aria-busy=false]")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    shown = [w for w in windows if w["end_s"] <= 30]
    assert [float(row["window_end_s"]) for row in rows] == [w["end_s"] for w in shown]
    labels = [w["models"]["gbt.realistic"]["label"] for w in shown]
    assert [row["gbt.realistic phase"] for row in rows] == labels
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_a_tour_is_offered_once(page: "Page", served: Served) -> None:
    show(page, served, "#/")
    page.get_by_role("button", name="a tour of a minute").click()
    for _ in range(5):
        page.get_by_role("button", name="Next").click()
    assert page.evaluate("location.hash").startswith("#/scoreboard")
    page.get_by_role("button", name="Done").click()
    show(page, served, "#/")
    assert page.locator("aside").count() == 0
