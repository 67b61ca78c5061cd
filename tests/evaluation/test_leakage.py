"""Every leakage check finds the leak planted for it, and none in a clean fold."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests import toy

from phasewatch import splits
from phasewatch.errors import Refused
from phasewatch.evaluation import leakage
from phasewatch.evaluation.leakage import AFTER_TRAINING, BEFORE_TRAINING, FoldData
from phasewatch.experiment.pipeline import RunResult
from phasewatch.features.normalizer import Normalizer
from phasewatch.splits import Split, divide_windows
from phasewatch.store.local import Store
from phasewatch.validation.sweep import validate_store
from phasewatch.windowing import Windows, concatenate, extract

RULES = {**BEFORE_TRAINING, **AFTER_TRAINING}
Plant = Callable[[FoldData], FoldData]


def evidence_of(store: Store, splitter: str, test: str, validation: str) -> FoldData:
    identities = {one.id: one.identity for one in validate_store(store)}
    (split,) = splits.find_splitter(splitter)(list(identities.values()), test, validation)
    complete = extract(store, list(identities), store.schema, 6.0)
    return FoldData(split, identities, store.schema, divide_windows(complete, split))


@pytest.fixture(scope="module")
def clean(toy_store: Store, toy_run: RunResult) -> FoldData:
    """One fold of the toy store, with the lenses of its checkpoints."""
    (fold,) = toy_run.trained.folds
    normalizers = {
        one.name: (one.normalizer, fold.windows[one.mode]["train"])
        for one in fold.checkpoints
        if one.model_name == "gbt"
    }
    return replace(
        evidence_of(toy_store, "held_out_host", "delta", "gamma"), normalizers=normalizers
    )


def of(evidence: FoldData, part: str) -> Windows:
    """The windows of a part, in memory."""
    return evidence.windows[part].read()


def put(evidence: FoldData, **parts: Windows) -> FoldData:
    return replace(evidence, windows={**evidence.windows, **parts})


def episode_on_two_sides(evidence: FoldData) -> FoldData:
    learned = of(evidence, "train")
    one = learned.take(learned.episode == learned.episode[0])
    return put(evidence, unseen=concatenate([of(evidence, "unseen"), one]))


def host_on_two_sides(evidence: FoldData) -> FoldData:
    """An episode of the held-out host is given to training."""
    split = evidence.split
    moved = replace(split, train=(*split.train, split.test[0]), test=split.test[1:])
    return replace(evidence, split=moved)


def re_recorded(evidence: FoldData) -> FoldData:
    """An evaluated episode is a training episode under another name, with a little noise."""
    learned, evaluated = of(evidence, "train"), of(evidence, "unseen")
    one = learned.take(learned.episode == learned.episode[0])
    noise = np.random.default_rng(0).normal(1.0, 0.01, one.x.shape).astype(np.float32)
    copy = replace(
        one,
        x=one.x * noise,
        episode=np.full(len(one), evaluated.episode[0]),
        host=np.full(len(one), "delta"),
    )
    return put(
        evidence,
        unseen=concatenate([evaluated.take(evaluated.episode != evaluated.episode[0]), copy]),
    )


def seconds_shared(evidence: FoldData) -> FoldData:
    """Windows between those of training, cut from the same samples under another name."""
    learned, evaluated = of(evidence, "train"), of(evidence, "unseen")
    one = learned.take(learned.episode == learned.episode[0])
    between = replace(one, t_ns=one.t_ns + 10**9, episode=np.full(len(one), evaluated.episode[0]))
    return put(evidence, unseen=concatenate([evaluated, between]))


def time_backwards(evidence: FoldData) -> FoldData:
    """Trained on the last campaign, evaluated on the first."""
    order = sorted(evidence.episodes, key=lambda id: evidence.episodes[id].start_ns)
    late, middle, early = (tuple(part) for part in np.array_split(np.array(order), 3)[::-1])
    return replace(evidence, split=Split("held_out_time", "c0", late, middle, (), early))


def episode_named_by_a_channel(evidence: FoldData) -> FoldData:
    """A channel stays at a value of its own through every training episode."""
    learned = of(evidence, "train")
    _, place = np.unique(learned.episode, return_inverse=True)
    x = learned.x.copy()
    x[:, 0] = place[:, None]
    return put(evidence, train=replace(learned, x=x))


def phases_by_host(evidence: FoldData) -> FoldData:
    """Every training host has a phase of its own, and a channel that names the host."""
    learned = of(evidence, "train")
    _, place = np.unique(learned.host, return_inverse=True)
    x = learned.x.copy()
    x[:, 0] = 1000.0 * place[:, None]
    return put(evidence, train=replace(learned, x=x, y=place.astype(np.int64)))


def evaluated_on_training(evidence: FoldData) -> FoldData:
    """Training windows are evaluated: their labels can be memorised, permuted or not."""
    return put(evidence, unseen=of(evidence, "train"))


def normalizer_of_everything(evidence: FoldData) -> FoldData:
    train = of(evidence, "train")
    complete = concatenate([train, of(evidence, "unseen")])
    return replace(evidence, normalizers={"x": (Normalizer.fit("summary", complete), train)})


PLANTS: dict[str, Plant] = {
    "same_episode": episode_on_two_sides,
    "same_key": host_on_two_sides,
    "near_duplicates": re_recorded,
    "overlapping_windows": seconds_shared,
    "time_running_back": time_backwards,
    "telling_channel": episode_named_by_a_channel,
    "host_tells_phase": phases_by_host,
    "permuted_labels": evaluated_on_training,
    "fitted_beyond_training": normalizer_of_everything,
}


def test_every_rule_has_a_planted_leak() -> None:
    assert set(PLANTS) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_clean_fold_passes(name: str, clean: FoldData) -> None:
    passed, finding = RULES[name](clean)
    assert passed, finding


@pytest.mark.parametrize("name", RULES)
def test_a_planted_leak_is_caught(name: str, clean: FoldData) -> None:
    passed, finding = RULES[name](PLANTS[name](clean))
    assert not passed and finding


@pytest.mark.parametrize(("splitter", "test"), [("held_out_sample", "0"), ("held_out_time", "")])
def test_other_splits_have_no_leakage(splitter: str, test: str, toy_store: Store) -> None:
    evidence = evidence_of(toy_store, splitter, test, "")
    for name in ("same_episode", "same_key", "time_running_back"):
        passed, finding = BEFORE_TRAINING[name](evidence)
        assert passed, finding


def test_a_leak_stops_the_run_unless_it_is_waived(clean: FoldData) -> None:
    leaking = replace(host_on_two_sides(clean), normalizers=None)
    leaking = put(leaking, train=of(clean, "train"))
    with pytest.raises(Refused, match=r"same_episode|same_key.*--waive"):
        leakage.check_leakage(leaking)
    checks = leakage.check_leakage(leaking, ["same_key", "same_episode"])
    assert [check.rule for check in checks] == list(BEFORE_TRAINING)
    assert {check.rule for check in checks if not check.passed} == {"same_key", "same_episode"}


def test_a_rule_that_does_not_exist_is_refused(clean: FoldData) -> None:
    with pytest.raises(Refused, match="nope is no rule; expected one of same_episode"):
        leakage.check_leakage(clean, ["nope"])


def test_every_run_stores_its_leakage_checks(toy_run: RunResult) -> None:
    assert [check.rule for check in toy_run.predictions.leakage_checks] == list(RULES)
    assert all(
        check.passed and check.fold == "delta" for check in toy_run.predictions.leakage_checks
    )
    assert toy.RECIPE.test == "delta"


def test_the_channel_check_is_skipped_with_one_window_per_episode(clean: FoldData) -> None:
    learned = of(clean, "train")
    _, first = np.unique(learned.episode, return_index=True)
    passed, finding = BEFORE_TRAINING["telling_channel"](put(clean, train=learned.take(first)))
    assert passed
    assert finding.startswith("not asked")


def exchangeable(
    evidence: FoldData, seed: int, cells: int = 6, each: int = 2, telling: bool = False
) -> FoldData:
    """Training episodes of some hosts and profiles that differ; which of a cell's is which is luck.

    With `telling`, the first channel also has a value of its own in every episode.
    """
    generator = np.random.default_rng(seed)
    learned = of(evidence, "train")
    count, halves = cells * each, 2
    some = learned.take(np.arange(count * halves) % len(learned))
    episode = np.repeat([f"e{number:02d}" for number in range(count)], halves)
    level = generator.normal(0, 100, (cells, learned.x.shape[1]))
    level = np.repeat(level, each * halves, axis=0) + generator.normal(0, 1, (len(some), 46))
    if telling:
        level[:, 0] = np.repeat(generator.permutation(count), halves)
    x = np.repeat(level[:, :, None], learned.x.shape[2], axis=2).astype(np.float32)
    t_ns = np.arange(len(some), dtype=np.int64)
    train = replace(some, x=x, episode=episode, t_ns=t_ns)
    anyone = next(iter(evidence.episodes.values()))
    episodes = {
        f"e{number:02d}": replace(anyone, id=f"e{number:02d}", host=f"h{number // each}")
        for number in range(count)
    }
    return replace(put(evidence, train=train), episodes=episodes)


def refusals(evidence: FoldData, times: int, cells: int, each: int, telling: bool = False) -> int:
    rule = BEFORE_TRAINING["telling_channel"]
    return sum(
        not rule(exchangeable(evidence, seed, cells, each, telling))[0] for seed in range(times)
    )


@pytest.mark.parametrize(("cells", "each"), [(6, 2), (4, 3), (2, 2), (30, 2)])
def test_a_dozen_clean_episodes_are_rarely_stopped_by_chance(
    clean: FoldData, monkeypatch: pytest.MonkeyPatch, cells: int, each: int
) -> None:
    monkeypatch.setattr(leakage, "PAIRINGS", 199)
    # 40 runs at 5 % have more than 6 refusals once in 300 times; the draws are fixed.
    assert refusals(clean, 40, cells, each) <= 6


def test_luck_alone_identifies_more_than_half_of_a_dozen_episodes(
    clean: FoldData, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the rule would say without the exchanged halves: the test above has teeth.
    monkeypatch.setattr(leakage, "PAIRING_ALPHA", 1.0)
    monkeypatch.setattr(leakage, "_least_share", lambda share, episodes: share)
    monkeypatch.setattr(leakage, "PAIRINGS", 1)
    assert refusals(clean, 40, 6, 2) > 20


@pytest.mark.parametrize(("cells", "each"), [(6, 2), (4, 3), (30, 2)])
def test_a_channel_that_names_a_dozen_recordings_is_found(
    clean: FoldData, cells: int, each: int
) -> None:
    assert refusals(clean, 5, cells, each, telling=True) == 5


def test_recordings_that_share_nothing_cannot_show_a_telling_channel(clean: FoldData) -> None:
    alone = exchangeable(clean, 0, 12, 1, telling=True)
    passed, told = BEFORE_TRAINING["telling_channel"](alone)
    assert passed and "100 % of 12 training episodes" in told and "p = 1.000" in told
    passed, told = BEFORE_TRAINING["telling_channel"](exchangeable(clean, 0, 2, 2, telling=True))
    assert passed and "of so few that is no evidence of more than half" in told


def test_hours_in_which_nothing_happens_are_no_copies(clean: FoldData) -> None:
    """A log of alerts is silent most of the time; without alerts, all machines are alike."""

    def silent(part: str, share: float) -> Windows:
        windows = clean.windows[part].read()
        x = windows.x.copy()
        x[: round(share * len(x))] = 0
        return replace(windows, x=x)

    check = RULES["near_duplicates"]
    quiet = {part: silent(part, 0.9) for part in clean.windows}
    passed, found = check(replace(clean, windows=quiet))
    assert passed
    assert "in which nothing happens left out" in found
    dead = {"validation": 1.0, "seen": 1.0, "unseen": 1.0}
    nothing = {part: silent(part, dead.get(part, 0)) for part in clean.windows}
    assert check(replace(clean, windows=nothing))[1].startswith("not asked")
    # A copy is found beside the silence.
    copied = re_recorded(clean)
    mixed = concatenate([copied.windows["unseen"].read(), silent("unseen", 1.0)])
    assert not check(put(copied, unseen=mixed))[0]
