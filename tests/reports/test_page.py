import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests import toy

from phasewatch.evaluation.predictions import Predictions
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.reports import figures
from phasewatch.reports import page as report_page
from phasewatch.store.local import Store


def drawn_of(done: RunResult, id: str) -> list[Predictions]:
    """Predictions of boosted trees on an episode, in both modes."""
    return [
        one
        for one in done.predictions.predictions
        if (one.model, one.subset) == ("gbt", "unseen") and id in one.windows.episode
    ]


@pytest.fixture(scope="module")
def folder(toy_run: RunResult, toy_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages on one run, whose profiles have names that HTML would stumble over."""
    out = tmp_path_factory.mktemp("page")
    report = replace(toy_run.report, profiles=["calm", "dig <&>", "leak"])
    report_page.write_report(report, toy_run.predictions, Run(out), toy_store)
    return out


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def card(folder: Path) -> str:
    return (folder / "report.md").read_text(encoding="utf-8")


def test_the_report_page_loads_nothing_from_the_network(page: str) -> None:
    assert not re.findall(r"(?:src|href)=[\"'](?!data:|#)", page)
    assert not re.findall(r"url\((?!#)", page)
    assert "<script" not in page and "@import" not in page


def test_every_score_and_interval_is_on_the_report_page(page: str, toy_run: RunResult) -> None:
    for row in toy_run.report.rows:
        assert f"{row.unseen.value:.3f}" in page
        assert row.unseen.low is None or f"[{row.unseen.low:.3f}, " in page
    for one in toy_run.report.comparisons:
        assert one.outcome in page


def test_untested_cells_are_hatched_and_have_no_number(page: str) -> None:
    assert page.count('<td class="untested">untested') >= len(toy.HOSTS)
    assert "nothing can be said about hosts in general" in page


def test_every_figure_is_on_the_report_page(page: str) -> None:
    assert page.count("<svg") == page.count('<figure class="wide"') == len(figures.FIGURES)
    assert page.count("data:image/png;base64,") == len(toy.PROFILES)


def test_every_leakage_check_is_on_the_report_page(
    page: str, card: str, toy_run: RunResult
) -> None:
    for check in toy_run.predictions.leakage_checks:
        assert check.rule.replace("_", " ") in page
    assert "Every leakage check passed." in card


def test_the_markdown_report_has_the_same_numbers(card: str, toy_run: RunResult) -> None:
    for row in toy_run.report.rows:
        assert f"| {row.model} | {row.mode} | {row.seen.value:.3f}" in card
        assert f"{row.unseen.value:.3f}" in card
    for line in card.split("\n\n"):
        if line.startswith("|"):
            widths = {row.count("|") for row in line.strip().splitlines()}
            assert len(widths) == 1, line


def test_a_page_without_the_store_has_no_episode(toy_run: RunResult, tmp_path: Path) -> None:
    report_page.write_report(toy_run.report, toy_run.predictions, Run(tmp_path), None)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "One episode of each profile" not in page and "<svg" in page


def test_names_are_escaped(page: str) -> None:
    assert "dig &lt;&amp;&gt;" in page and "dig <&>" not in page


def test_too_few_episodes_are_stated_instead_of_an_interval(page: str) -> None:
    assert "no interval" in page


def test_a_figure_has_the_same_bytes_when_drawn_again(toy_run: RunResult, toy_store: Store) -> None:
    id = "delta.leak.s1"
    predictions = drawn_of(toy_run, id)
    drawn = [
        report_page.picture(toy_store.read(id), toy_store.schema, predictions) for _ in range(2)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith("data:image/png;base64,")


def test_colours_differ() -> None:
    shades = report_page.colours([str(number) for number in range(6)])
    assert len(set(shades.values())) == 6


@pytest.mark.parametrize("name", ["report.html.j2", "report.md.j2"])
def test_templates_ship_with_the_package(name: str) -> None:
    assert (Path(report_page.__file__).parent / name).is_file()
