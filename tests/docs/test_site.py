"""The documentation as a site: links that lead somewhere, and nothing loaded from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.paths import ROOT

LINK = re.compile(r"\]\(([^)\s]+)\)")
LOADING = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "modulepreload"}
"""Relations of a link that a browser follows by itself."""

WORDS = 600
"""The most words of the README."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, with every warning as an error."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir"]
    done = subprocess.run(
        [*words, str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


class Loads(HTMLParser):
    """The addresses that a browser loads by itself when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and LOADING & set((given.get("rel") or "").split()):
            self.found.append(given.get("href") or "")
        elif tag != "a":
            self.found += [given.get(name) or "" for name in ("src", "srcset", "data", "poster")]


def loaded(text: str) -> list[str]:
    """Addresses on other servers that a page loads."""
    parser = Loads()
    parser.feed(text)
    return [one for one in parser.found if urlsplit(one).netloc]


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    assert {page.name: found for page in pages if (found := loaded(page.read_text("utf-8")))} == {}
    for sheet in site.rglob("*.css"):
        text = sheet.read_text("utf-8")
        assert not re.search(r"(url\(|@import\s+)[\"']?(https?:)?//", text), sheet.name


def test_a_load_from_elsewhere_is_noticed() -> None:
    assert loaded('<link rel="stylesheet" href="https://fonts.example/x.css">')
    assert loaded('<script src="//cdn.example/x.js"></script>')
    assert not loaded('<a href="https://example.org">x</a><img src="images/x.png">')


def test_a_dead_link_stops_the_build(tmp_path: Path) -> None:
    config = (ROOT / "mkdocs.yml").read_text("utf-8").split("nav:\n  - Home")[0]
    (tmp_path / "docs").mkdir()
    (tmp_path / "mkdocs.yml").write_text(config)
    (tmp_path / "docs" / "index.md").write_text("# Home\n\n[gone](nowhere.md)\n")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "nowhere.md" in done.stderr


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_beside_the_site_lead_to_files(name: str) -> None:
    links = LINK.findall((ROOT / name).read_text("utf-8"))
    assert links
    gone = [one for one in links if "://" not in one and not (ROOT / one.split("#")[0]).exists()]
    assert gone == []


def test_pages_that_the_source_names_exist() -> None:
    named = {
        match
        for folder in ("src", "tests", "bench")
        for path in (ROOT / folder).rglob("*.py")
        for match in re.findall(r"docs/[\w/-]+\.(?:md|csv)", path.read_text("utf-8"))
    }
    assert len(named) > 5
    assert sorted(one for one in named if not (ROOT / one).exists()) == []


def test_the_readme_is_short() -> None:
    text = re.sub(r"<!--.*?-->|\]\([^)]*\)|[|#*`-]", " ", (ROOT / "README.md").read_text("utf-8"))
    assert len(text.split()) < WORDS
