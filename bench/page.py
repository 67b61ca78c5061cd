"""Cost of the page in a browser: `python bench/page.py --run RUN --store STORE [--fleet 50]`.

A server replays at 10 times the pace, two windows a second where a real machine has one in five
seconds, in front of Debian's headless chromium. Last, a stored episode is given to the server row
by row as if its machine ran now, and the page is watched frame by frame. Server, browser and this
script share the machine. `--minutes` is how long the heap is watched; `--fleet` measures a fleet
and nothing else.
"""

import argparse
import gzip
import sys
import tempfile
import threading
import time
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from phasewatch.cli.commands.serve import context_of
from phasewatch.episode import Samples
from phasewatch.io.trust import ANY
from phasewatch.live.buffer import select_rows
from phasewatch.live.machine import WindowPrediction
from phasewatch.serve import app
from phasewatch.serve.access import Access
from phasewatch.serve.fleet.observed import Observed
from phasewatch.serve.runtime import Runtime
from phasewatch.store.local import Store

CHROMIUM = "/usr/bin/chromium"
SCENES = ("", "investigate?mode=both&fold=0", "episodes", "scoreboard", "comparison", "profiles")
SPEED, THROTTLE, MEASURED_S = 10.0, 6, 20.0

WATCH = """
window.painted = [];
let last = "";
const look = () => {
  const now = document.querySelector(".now")?.dataset.window ?? "";
  // What has changed is painted after this frame's callbacks: the next frame's come after that.
  const note = () => painted.push([now, performance.timeOrigin + performance.now()]);
  if (now !== last) requestAnimationFrame(note);
  last = now;
  requestAnimationFrame(look);
};
look();
"""


def say(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def scripts() -> int:
    """Return the size of all scripts in bytes, gzipped."""
    folder = resources.files("phasewatch") / "serve" / "page" / "assets"
    files = [one for one in folder.iterdir() if one.name.endswith(".js")]
    return sum(len(gzip.compress(one.read_bytes(), 9)) for one in files)


def opened(browser: Browser, address: str) -> Page:
    """Return a page that is connected to its server."""
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    page.goto(address)
    page.wait_for_selector("[role=status]:text('connected')")
    page.wait_for_timeout(1500)
    return page


def nodes(browser: Browser, base: str) -> int:
    """Return the largest number of nodes of any scene."""
    found: list[int] = []
    for scene in SCENES:
        page = opened(browser, f"{base}#/{scene}")
        found.append(page.evaluate("document.querySelectorAll('*').length"))
        page.close()
    return max(found)


def figures(link: CDPSession) -> dict[str, float]:
    """Return Chromium's performance metrics by name."""
    link.send("Performance.enable")
    return {one["name"]: one["value"] for one in link.send("Performance.getMetrics")["metrics"]}


def busy(browser: Browser, address: str) -> float:
    """Return the share of time that the throttled main thread is busy."""
    page = opened(browser, address)
    link = page.context.new_cdp_session(page)
    link.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
    page.wait_for_timeout(3000)
    before, began = figures(link)["TaskDuration"], time.monotonic()
    page.wait_for_timeout(1000 * MEASURED_S)
    share = (figures(link)["TaskDuration"] - before) / (time.monotonic() - began)
    page.close()
    return share


def heap(browser: Browser, address: str, minutes: float) -> list[float]:
    """Return ten measurements of the heap after a collection, in MiB."""
    page = opened(browser, address)
    link = page.context.new_cdp_session(page)
    page.wait_for_timeout(20_000)
    sizes = []
    for _ in range(10):
        page.wait_for_timeout(6000 * minutes)
        link.send("HeapProfiler.collectGarbage")
        sizes.append(figures(link)["JSHeapUsedSize"] / 2**20)
    page.close()
    return sizes


class Pretended(threading.Thread):
    """Stored episodes, one after the other, whose samples come as if they were taken now.

    `entered` are windows, as the page names them, with the moment of the sample that made them due.
    """

    def __init__(self, runtime: Runtime, store: Store, seconds: float) -> None:
        super().__init__(daemon=True)
        self.runtime, self.store, self.until = runtime, store, time.monotonic() + seconds
        self.entered: list[tuple[str, float]] = []

    def run(self) -> None:
        """Play until the time is over."""
        for id in self.runtime.context.episodes * 10:
            if time.monotonic() > self.until:
                return
            self._play(id)

    def _play(self, id: str) -> None:
        episode = self.store.read(id)
        late = time.time_ns() - episode.start_ns
        moved = tuple(replace(one, t_wall_ns=one.t_wall_ns + late) for one in episode.labels)
        now = episode.start_ns + late
        given = dict.fromkeys(episode.sources, 0)
        self.runtime.replay.playback.begin(
            replace(episode, id=f"now.{id}", start_ns=now, end_ns=now, sources={}, labels=moved)
        )
        while time.time_ns() < episode.end_ns + late and time.monotonic() < self.until:
            for source, samples in episode.sources.items():
                end = int(np.searchsorted(samples.t_wall_ns, time.time_ns() - late, side="right"))
                if end > given[source]:
                    rows = select_rows(samples, np.arange(given[source], end))
                    self._take(source, replace(rows, t_wall_ns=rows.t_wall_ns + late))
                    given[source] = end
            time.sleep(0.01)
        self.runtime.replay.playback.end(time.time_ns())

    def _take(self, source: str, samples: Samples) -> None:
        watched = self.runtime.replay.playback.watched
        assert watched is not None
        machine = watched.machine
        known, now = set(machine.predictions), time.time()
        self.runtime.replay.playback.add(source, samples)
        grid = machine.ensemble.schema.grid
        for end in set(machine.predictions) - known:
            self.entered.append((f"{end * grid.step_s:g}", now))


def lags(
    browser: Browser, base: str, runtime: Runtime, store: Store, minutes: float
) -> list[float]:
    """Return milliseconds from the sample that completed a window to the frame that shows it."""
    page = opened(browser, f"{base}#/investigate")
    page.evaluate(f"() => {{{WATCH}}}")
    recorder = Pretended(runtime, store, 60 * minutes)
    recorder.start()
    page.wait_for_timeout(60_000 * minutes + 2000)
    recorder.join()
    painted: list[tuple[str, float]] = page.evaluate("painted")
    page.close()
    found = []
    for name, at in painted:
        before = [now for other, now in recorder.entered if other == name and 1000 * now < at]
        if before:
            found.append(at - 1000 * before[-1])
    return found


TILES = """
window.painted = [];
const ends = {};
const look = () => {
  for (const tile of document.querySelectorAll("[data-machine]")) {
    const { machine, end } = tile.dataset;
    if (ends[machine] === end) continue;
    ends[machine] = end;
    const name = `${machine} ${end}`;
    requestAnimationFrame(() => painted.push([name, performance.timeOrigin + performance.now()]));
  }
  requestAnimationFrame(look);
};
look();
"""


def fleet(browser: Browser, options: argparse.Namespace) -> None:
    """Measure a fleet: lag of predictions, the page's main thread, and from sample to pixel."""
    count, entered, lags_s = options.fleet, {}, []
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "bench.incidents.sqlite"
        context = replace(
            context_of(options.run, options.store, [], ANY), fleet=count, ledger=ledger
        )
        runtime = Runtime(context)
        predicted = runtime.fleet.predicted

        def note(observed: Observed, window: WindowPrediction | None) -> None:
            if window is not None:
                began_s = time.time() - sum(window.latency_s.values())
                entered[f"{observed.name} {window.end_ns}"] = began_s
                lags_s.append(window.lag_s)
            predicted(observed, window)

        runtime.fleet.predicted = note  # type: ignore[method-assign]
        with runtime.running():
            sock = app.listen("127.0.0.1", 0)
            server = app.server(app.application(runtime, Access()))
            threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True).start()
            base = f"http://127.0.0.1:{sock.getsockname()[1]}/"
            while len({name.split()[0] for name in entered}) < count:
                time.sleep(0.5)
            share = busy(browser, f"{base}#/")
            say(f"main thread, watch of {count} machines: {100 * share:.1f} % at {THROTTLE} x")
            page = opened(browser, f"{base}#/")
            page.evaluate(f"() => {{{TILES}}}")
            del lags_s[:]
            skipped = context.counters.value("windows_skipped_total")
            page.wait_for_timeout(60_000 * min(options.minutes, 2.0))
            painted: list[tuple[str, float]] = page.evaluate("painted")
            page.close()
            server.should_exit = True
    shown = [at - 1000 * entered[name] for name, at in painted if name in entered]
    skipped = context.counters.value("windows_skipped_total") - skipped
    print_quantiles("lag of predictions", [1000 * one for one in lags_s])
    print_quantiles("sample to pixel", [one for one in shown if one > 0][count:])
    say(f"windows skipped: {skipped} of {len(lags_s)}")


def print_quantiles(what: str, found_ms: list[float]) -> None:
    """Print the median and two upper percentiles, in milliseconds."""
    p50, p95, p99 = np.percentile(found_ms, [50, 95, 99])
    say(f"{what}: p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, {len(found_ms)} windows")


def main() -> None:
    """Parse the command line and print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0, help="Of the heap.")
    parser.add_argument("--fleet", type=int, default=0, help="Measure this many machines alone.")
    options = parser.parse_args()
    if options.fleet:
        with sync_playwright() as works:
            browser = works.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            fleet(browser, options)
            browser.close()
        return
    say(f"scripts: {scripts():,} bytes gzipped")
    with Runtime(context_of(options.run, options.store, [], ANY)).running() as runtime:
        while runtime.replay.playback.watched is None or not runtime.broker.published("profile"):
            time.sleep(0.1)
        sock = app.listen("127.0.0.1", 0)
        server = app.server(app.application(runtime, Access()))
        threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True).start()
        base = f"http://127.0.0.1:{sock.getsockname()[1]}/"
        runtime.replay.playback.operate("speed", 1, None)
        with sync_playwright() as works:
            browser = works.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            measure(browser, base, runtime, options.minutes)
            browser.close()
        server.should_exit = True


def pace(runtime: Runtime, speed: float) -> None:
    """Set any speed, not only those that the page offers."""
    runtime.replay.playback.clock.speed = speed
    runtime.replay.playback.operate("play", None, None)


def measure(browser: Browser, base: str, runtime: Runtime, minutes: float) -> None:
    """Measure with a server that plays."""
    say(f"nodes: {nodes(browser, base)} at most, of {len(SCENES)} scenes")
    assert runtime.replay.playback.watched is not None
    runtime.replay.playback.operate(
        "loop", (20.0, runtime.replay.playback.watched.episode.seconds - 1), None
    )
    pace(runtime, SPEED)
    for scene in ("investigate", "investigate?mode=both&fold=0", "perf"):
        share = busy(browser, f"{base}#/{scene}")
        say(f"main thread, {scene}: {100 * share:.1f} % at {THROTTLE} x throttle, {SPEED:g} x pace")
    pace(runtime, 1.0)
    share = busy(browser, f"{base}#/investigate")
    say(f"main thread, investigate: {100 * share:.1f} % at {THROTTLE} x throttle, as fast as life")
    runtime.replay.playback.operate("loop", None, None)
    pace(runtime, SPEED)
    sizes = heap(browser, f"{base}#/investigate?mode=both&fold=0", minutes)
    say(f"heap over {minutes:g} min: {', '.join(f'{one:.2f}' for one in sizes)} MiB")
    assert runtime.context.store is not None
    found = lags(browser, base, runtime, runtime.context.store, max(1.0, min(minutes, 4.0)))
    p50, p95 = np.percentile(found, [50, 95])
    say(f"sample to pixel: p50 {p50:.0f} ms, p95 {p95:.0f} ms, {len(found)} windows")


if __name__ == "__main__":
    main()
