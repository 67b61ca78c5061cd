"""`make tour`: plays one episode of each profile, and takes a picture of every scene on the way.

Needs Debian's chromium. Nobody touches a key: the replay goes through its list by itself.
"""

import argparse
import sys
import threading
import time
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from phasewatch.cli.commands.serve import context_of
from phasewatch.io.trust import ANY
from phasewatch.serve import app
from phasewatch.serve.access import Access
from phasewatch.serve.runtime import Runtime

CHROMIUM = "/usr/bin/chromium"
SPEED = 4.0
SIZE: ViewportSize = {"width": 1920, "height": 1080}
SCENES = {
    "investigate": "#/investigate?mode=both&fold=0",
    "episodes": "#/episodes",
    "scoreboard": "#/scoreboard",
    "comparison": "#/comparison",
    "profiles": "#/profiles",
    "perf": "#/perf",
    "watch": "#/",
}


def tour(runtime: Runtime, page: Page, server: str, out: Path) -> None:
    """A scene a profile, each at the middle of its episode; then what is left."""
    left = dict(SCENES)
    for id in runtime.context.episodes:
        while runtime.replay.queries.current() != id:
            time.sleep(0.05)
        duration_s = runtime.replay.queries.episode(id).duration_s or 0.0
        while runtime.replay.queries.episode(id).transport.position_s < 0.6 * duration_s:
            time.sleep(0.05)
        name = next(iter(left), "")
        if name:
            picture(page, f"{server}{left.pop(name)}", out / f"page-{name}.png")
        sys.stdout.write(f"{id}: {name or 'played'}\n")


def picture(page: Page, address: str, path: Path) -> None:
    """One scene as it stands."""
    page.goto(address)
    page.reload()
    page.wait_for_selector("[role=status]:text('connected')")
    if "investigate" in address:
        page.wait_for_selector(".reasons")
    page.wait_for_timeout(1500)
    page.screenshot(path=path)


def main() -> None:
    """Serve, look, and leave."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with Runtime(context_of(options.run, options.store, [], ANY)).running() as runtime:
        while runtime.replay.playback.watched is None or not runtime.broker.published("profile"):
            time.sleep(0.1)
        sock = app.listen("127.0.0.1", 0)
        server = app.server(app.application(runtime, Access()))
        threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True).start()
        runtime.replay.playback.operate("load", runtime.context.episodes[0], None)
        runtime.replay.playback.operate("speed", SPEED, None)
        with sync_playwright() as works:
            browser = works.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE, color_scheme="dark")
            tour(runtime, page, f"http://127.0.0.1:{sock.getsockname()[1]}/", options.out)
            browser.close()
        server.should_exit = True


if __name__ == "__main__":
    main()
