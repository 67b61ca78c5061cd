import re
from pathlib import Path

import pytest

import toy
from phasewatch import report
from phasewatch.answers import Answers
from phasewatch.pipeline import Done
from phasewatch.store import Store


def drawn_of(done: Done, id: str) -> list[Answers]:
    """What boosted trees said of an episode, in both modes."""
    return [
        one
        for one in done.answered.answers
        if (one.model, one.part) == ("gbt", "unseen") and id in one.windows.episode
    ]


@pytest.fixture(scope="module")
def page(toy_run: Done, toy_store: Store, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    id = "delta.dig.s1"
    said = drawn_of(toy_run, id)
    drawn = report.picture(toy_store.read(id), toy_store.schema, said)
    report.write(toy_run.report, toy_run.trained.judgements, {"dig <&>": drawn}, path)
    return path.read_text(encoding="utf-8")


def test_it_needs_no_network(page: str) -> None:
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "<script" not in page and "@import" not in page and "url(" not in page


def test_every_score_and_interval_is_on_it(page: str, toy_run: Done) -> None:
    for row in toy_run.report.rows:
        assert f"{row.unseen.value:.3f}" in page
        assert row.unseen.low is None or f"[{row.unseen.low:.3f}, " in page
    for one in toy_run.report.comparisons:
        assert one.verdict in page


def test_untested_cells_are_hatched_and_carry_no_number(page: str) -> None:
    assert page.count('<td class="untested">untested') >= len(toy.HOSTS)
    assert "nothing can be said about hosts in general" in page


def test_names_are_escaped(page: str) -> None:
    assert "dig &lt;&amp;&gt;" in page and "dig <&>" not in page


def test_few_episodes_are_told_instead_of_an_interval(page: str) -> None:
    assert "no interval" in page


def test_a_picture_is_the_same_bytes_twice(toy_run: Done, toy_store: Store) -> None:
    id = "delta.leak.s1"
    said = drawn_of(toy_run, id)
    drawn = [report.picture(toy_store.read(id), toy_store.schema, said) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith("data:image/png;base64,")


def test_colours_differ() -> None:
    shades = report.colours([str(number) for number in range(6)])
    assert len(set(shades.values())) == 6


def test_the_template_ships_with_the_package() -> None:
    assert (Path(report.__file__).parent / "report.html.j2").is_file()
