"""Columns of labels, and columns that hold the answer."""

import pytest

from phasewatch.adapters.suggest.columns import labels


@pytest.mark.parametrize(
    "name",
    ["label", " Label", "attack", "attack_P1", "anomaly", "changepoint", "is_anomaly", "attack_cat",
     "anomaly_score", "time_label", "ATT_FLAG", "malicious", "class", "ground_truth", "evil"],
)  # fmt: skip
def test_names_of_the_answer(name: str) -> None:
    assert labels.holds_answer(name)


@pytest.mark.parametrize(
    "name",
    ["cpu", "state", "status", "page_faults", "phase_current", "classes_loaded", "target_cpu",
     "Destination Port", "threads"],
)  # fmt: skip
def test_names_of_channels(name: str) -> None:
    assert not labels.holds_answer(name)


def test_the_surest_column_states_the_phase() -> None:
    found = labels.of_columns(
        {"changepoint": ["0.0", "1.0"], "anomaly": ["0.0", "1.0"], "state": ["on", "off"]}
    )
    assert found is not None
    assert (found.column, found.classes) == ("anomaly", ("0.0", "1.0"))


def test_a_kind_of_attack_says_more_than_that_there_is_one() -> None:
    texts = {"label": ["0", "1"], "attack_type": ["dos", "normal", "scan"]}
    found = labels.of_columns({"label": texts["label"], "phase": texts["attack_type"]})
    assert found is not None
    assert (found.column, found.classes) == ("phase", ("normal", "dos", "scan"))


def test_a_column_with_gaps_comes_last() -> None:
    found = labels.of_columns({"attack": ["", "dos", "scan"], "label": ["0", "1"]})
    assert found is not None
    assert found.column == "label"


def test_a_weak_name_needs_words_of_both_sides() -> None:
    assert labels.of_columns({"state": ["S0", "SF"]}) is None
    found = labels.of_columns({"state": ["Normal", "Attack"]})
    assert found is not None
    assert found.classes == ("Normal", "Attack")


def test_many_labels_are_sorted_by_their_words() -> None:
    texts = [f"flow=Background-{n}" for n in range(30)] + ["flow=From-Botnet-V4", "flow=To-Normal"]
    found = labels.of_columns({"Label": texts})
    assert found is not None
    assert found.classes == ("Background", "Normal", "Botnet")
    assert found.fields[1].startswith("rules = [[")
    assert labels.of_columns({"Label": [f"x{n}" for n in range(30)]}) is None


def test_the_only_word_of_a_column_gets_a_second_class() -> None:
    benign = labels.of_columns({"label": ["benign"]})
    other = labels.of_columns({"label": ["scan"]})
    assert benign is not None and benign.classes == ("benign", "other")
    assert other is not None and other.classes == ("benign", "scan")


@pytest.mark.parametrize(
    ("word", "benign"),
    [("BenignTraffic", True), ("No Attack", True), ("0", True), ("abnormal", False),
     ("restore", False), ("attack", False)],
)  # fmt: skip
def test_words_that_mean_benign(word: str, benign: bool) -> None:
    assert bool(labels.BENIGN.search(word)) is benign


def test_folders_state_the_phase_only_with_a_benign_one() -> None:
    patterns = (r"^([^/]+)/",)
    assert labels.of_paths(["web1/a.csv", "web2/a.csv"], patterns) is None
    found = labels.of_paths(["mine/a.csv", "idle/a.csv"], patterns)
    assert found is not None
    assert found.classes == ("idle", "mine")


def test_no_word_for_benign_is_told() -> None:
    found = labels.of_columns({"label": ["a", "b"]})
    assert found is not None
    assert not found.certain


def test_what_a_model_said_is_neither_phase_nor_channel() -> None:
    texts = {"y_pred": ["0", "1"], "anomaly_score": ["0", "1"], "y_true": ["0", "1"]}
    found = labels.of_columns(texts)
    assert found is not None and found.column == "y_true"
    assert all(map(labels.holds_answer, texts))


def test_numbers_between_whole_ones_are_no_classes() -> None:
    assert labels.of_columns({"attack": ["0", "0.25", "0.5"]}) is None
    assert labels.of_columns({"attack": ["0.0", "1.0"]}) is not None


def test_names_of_single_files_state_a_phase_for_certain_where_one_is_an_attack() -> None:
    first = (r"([^/_.-]+)[^/]*$",)
    for names, doubt in (
        (["normal.csv", "ok.csv", "t.csv"], True),
        (["normal.csv", "mining.csv"], False),
        (["normal_0.csv", "normal_1.csv", "bdvl_0.csv"], False),
    ):
        found = labels.of_paths(names, first)
        assert found is not None and found.doubt is doubt
