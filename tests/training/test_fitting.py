"""A fitted model is the normalizer, the model and the projection of the same training windows."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from phasewatch.errors import Refused
from phasewatch.features.normalizer import Normalizer
from phasewatch.features.projection import Projection
from phasewatch.features.views import NEWEST, OLDEST, PREFERRED
from phasewatch.models import _network, base
from phasewatch.models._trainer import Schedule
from phasewatch.models.base import find
from phasewatch.store.local import Store
from phasewatch.training import fitting
from phasewatch.training.fitting import FitOptions, FittedModel, fit_model
from phasewatch.windowing import Windows, extract


@pytest.fixture(scope="module")
def parts(toy_store: Store) -> tuple[Windows, Windows]:
    ids = toy_store.ids()
    return (
        extract(toy_store, ids[:9], toy_store.schema, 6.0),
        extract(toy_store, ids[9:18], toy_store.schema, 6.0),
    )


@pytest.fixture(scope="module")
def fitted(parts: tuple[Windows, Windows], toy_store: Store) -> FittedModel:
    options = FitOptions(view_version=NEWEST)
    return fit_model("logistic", toy_store.schema, 0, parts, options)


def test_the_normalizer_is_fitted_on_training_windows_alone(
    fitted: FittedModel, parts: tuple[Windows, Windows], toy_store: Store
) -> None:
    expected = Normalizer.fit("summary", parts[0], NEWEST, toy_store.schema).arrays()
    assert fitted.normalizer.arrays().keys() == expected.keys()
    for name, values in fitted.normalizer.arrays().items():
        np.testing.assert_array_equal(values, expected[name])


def test_the_version_of_the_view_is_chosen(
    parts: tuple[Windows, Windows], toy_store: Store
) -> None:
    old = fit_model("majority", toy_store.schema, 0, parts, FitOptions(view_version=OLDEST))
    expected = Normalizer.fit("summary", parts[0])
    np.testing.assert_array_equal(old.normalizer.mean, expected.mean)
    assert old.normalizer.limits is None


@pytest.mark.parametrize("name", ["gbt", "logistic", "mlp"])
def test_classes_are_weighed_as_far_alike_as_told(
    parts: tuple[Windows, Windows], toy_store: Store, name: str
) -> None:
    train, validation = parts
    most = int(np.bincount(train.y).argmax())

    def common(balance: float | None) -> float:
        options = FitOptions(view_version=OLDEST, balance=balance)
        fitted = fit_model(name, toy_store.schema, 0, parts, options)
        return float(softmax(fitted.logits(validation), axis=1)[:, most].mean())

    assert common(0.0) > common(1.0)
    assert common(None) == common(find(name).balance)


def test_a_fitted_model_predicts_through_its_normalizer(
    fitted: FittedModel, parts: tuple[Windows, Windows]
) -> None:
    windows = parts[1]
    z = fitted.normalizer.apply(windows.x, windows.opening, windows.past)
    np.testing.assert_array_equal(fitted.logits(windows), fitted.model.logits(z))
    predicted = fitted.predict(windows)
    np.testing.assert_array_equal(predicted, fitted.model.logits(z).argmax(axis=1))
    assert (predicted == windows.y).mean() > 0.5
    expected = Projection.fit(z)
    np.testing.assert_array_equal(fitted.project(windows).axes, expected.axes)


def test_an_unknown_model_is_refused_in_one_line(
    parts: tuple[Windows, Windows], toy_store: Store
) -> None:
    with pytest.raises(Refused, match="model 'nonsense': is unknown"):
        fit_model("nonsense", toy_store.schema, 0, parts)


@pytest.mark.parametrize("name", ["majority", "cnn"])
def test_a_model_takes_the_version_that_its_view_prefers(
    parts: tuple[Windows, Windows], toy_store: Store, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = find(name)
    monkeypatch.setattr(kind, "fit", lambda *parts: None)
    fitted = fit_model(name, toy_store.schema, 0, parts)
    assert fitted.normalizer.version == PREFERRED[kind.view]
    assert fitted.normalizer.view == kind.view


@pytest.mark.parametrize("name", ["logistic", "majority"])
def test_the_labels_of_ambiguous_windows_are_not_learned(
    name: str, parts: tuple[Windows, Windows], toy_store: Store
) -> None:
    def fitted_with(label: int) -> FittedModel:
        wrong = []
        for part in parts:
            mask = np.arange(len(part)) % 3 == 0
            y = np.where(mask, label, part.y)
            wrong.append(replace(part, ambiguous=mask, y=y, x=part.x * (1 + mask[:, None, None])))
        return fit_model(name, toy_store.schema, 0, (wrong[0], wrong[1]))

    one, two = fitted_with(0), fitted_with(5)
    assert one.model.save() == two.model.save()
    clear = [part.take(np.arange(len(part)) % 3 != 0) for part in parts]
    alone = fit_model(name, toy_store.schema, 0, (clear[0], clear[1]))
    assert one.model.save() == alone.model.save()
    assert one.model.save() != fit_model(name, toy_store.schema, 0, parts).model.save()


@pytest.mark.parametrize("name", ["majority", "logistic", "mlp", "gru"])
def test_windows_that_do_not_fit_into_memory_give_the_same_model(
    parts: tuple[Windows, Windows],
    toy_store: Store,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fitted() -> FittedModel:
        return fit_model(name, toy_store.schema, 0, parts)

    schedule = replace(Schedule(), epochs=2)
    monkeypatch.setattr(_network, "Schedule", lambda: schedule)
    before = fitted()
    monkeypatch.setattr(fitting, "MOST_BYTES", 0)
    monkeypatch.setattr(base.Data, "whole", property(in_blocks_alone))
    assert fitted().model.save() == before.model.save()


def in_blocks_alone(data: base.Data) -> None:
    """Stand for `Data.whole`, and fail where windows are in memory after all."""
    assert data.stored is not None and not len(data.z)


def test_the_projection_of_very_many_windows_is_of_some(
    fitted: FittedModel, parts: tuple[Windows, Windows], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "PROJECTED", 20)
    few = parts[0].take(np.arange(0, len(parts[0]), -(-len(parts[0]) // 20)))
    assert 10 < len(few) <= 20 < len(parts[0])
    z = fitted.normalizer.apply(few.x, few.opening, few.past)
    np.testing.assert_array_equal(fitted.project(parts[0]).axes, Projection.fit(z).axes)
