"""A browser, a page that reports its faults, and a server on the toy run."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.served import Served, serving, until

from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.serve.access import Access
from phasewatch.serve.events import ProducerContext
from phasewatch.store.local import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium")
    library = pytest.importorskip("playwright.sync_api")
    with library.sync_playwright() as works:
        opened = works.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    opened = browser.new_page(viewport={"width": 1280, "height": 720})
    messages: list[str] = []
    opened.on("pageerror", lambda error: messages.append(str(error)))
    opened.on("console", lambda line: messages.append(line.text) if _bad(line) else None)
    yield opened
    opened.close()
    assert not messages


def _bad(line: Any) -> bool:
    """Return whether a console message is a fault; the browser itself reports an absent server."""
    return line.type in ("error", "warning") and "Failed to load resource" not in line.text


@pytest.fixture(scope="module")
def given(toy_store: Store, toy_out: Path, toy_run: RunResult) -> ProducerContext:
    ids = [id for id in toy_run.predictions.folds[0].split.test if "dig" in id]
    return ProducerContext(Run(toy_out), toy_store, tuple(ids[:1]))


@pytest.fixture(scope="module")
def served(given: ProducerContext) -> Iterator[Served]:
    with serving(given, Access(control=True)) as one:
        until(lambda: one.runtime.context.counters.value("windows_total") > 0, 60)
        until(lambda: one.runtime.broker.published("profile"))
        one.turn("pause")
        one.turn("seek", 25.0)
        yield one
