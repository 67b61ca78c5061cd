from dataclasses import replace
from xml.etree import ElementTree

import pytest
from tests import toy

from phasewatch.evaluation import evaluate
from phasewatch.evaluation.evaluate import Report
from phasewatch.experiment.pipeline import RunResult
from phasewatch.reports.figures import FIGURES


@pytest.fixture(scope="module")
def report(toy_run: RunResult) -> Report:
    return evaluate.evaluate(toy.scattered(toy_run.predictions, 5))


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_is_one_element_with_reproducible_bytes(name: str, report: Report) -> None:
    drawn = FIGURES[name](report)
    assert drawn == FIGURES[name](report)
    root = ElementTree.fromstring(drawn)
    assert root.tag.endswith("svg") and "viewBox" in root.attrib and "width" not in root.attrib


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_depends_on_the_report(name: str, report: Report) -> None:
    """A figure that does not change with its numbers shows nothing."""
    other = replace(report, rows=[report.rows[2], *report.rows[1:2]])
    assert FIGURES[name](report) != FIGURES[name](other)


def test_every_model_is_named_in_the_forest_plot(report: Report) -> None:
    drawn = FIGURES["forest"](report)
    for row in [*report.rows, *report.baselines]:
        assert f"{row.model}, {row.mode}" in drawn


@pytest.mark.parametrize("name", FIGURES)
def test_no_line_of_text_is_wider_than_its_figure(name: str, report: Report) -> None:
    """Texts are drawn by the browser, in fonts of its own: 9 inches have room for 75 letters."""
    root = ElementTree.fromstring(FIGURES[name](report))
    lines = [line.text or "" for line in root.iter() if line.tag.endswith(("}text", "}tspan"))]
    assert lines and max(map(len, lines)) <= 75


def test_a_phase_that_was_not_tested_is_hatched(report: Report) -> None:
    assert "untested" in FIGURES["delays"](report)
