"""What the project's files say of each other: one version, and hooks that exist."""

import re
import tomllib

from tests.paths import ROOT

from phasewatch import __version__


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert project["version"] == __version__
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [__version__]


def test_the_citation_and_the_changelog_have_one_date() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    date = re.findall(rf"^## \[{re.escape(__version__)}\] - (\d{{4}}-\d\d-\d\d)$", changelog, re.M)
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert date == re.findall(r"^date-released: (.*)$", citation, re.MULTILINE)


def test_every_extra_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.M))
    wanted = [one for extra in project["optional-dependencies"].values() for one in extra]
    names = {re.split(r"[<>=!~;\[ ]", one, maxsplit=1)[0] for one in wanted}
    # setup installs torch by itself, from the index of its CPU builds
    assert names - locked == {"torch"}
