"""The projection: two axes of largest variance, with a sign that does not depend on the library."""

import numpy as np

from phasewatch.features.projection import Projection

GENERATOR = np.random.default_rng(0)
MIXED = np.linalg.qr(GENERATOR.normal(size=(5, 5)))[0]
Z = (GENERATOR.normal(size=(400, 5)) * [9.0, 4.0, 1.0, 0.5, 0.1]) @ MIXED.T + 3.0


def test_axes_are_the_directions_of_largest_variance() -> None:
    found = Projection.fit(Z)
    _, singular, directions = np.linalg.svd(Z - Z.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(found.centre, Z.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(np.abs(found.axes @ directions[:2].T), np.eye(2), atol=1e-4)
    spread = found.apply(Z).std(axis=0)
    np.testing.assert_allclose(spread, singular[:2] / np.sqrt(len(Z)), rtol=1e-3)


def test_the_largest_entry_of_an_axis_is_positive() -> None:
    for z in (Z, -Z):
        axes = Projection.fit(z).axes
        assert (axes[np.arange(2), np.abs(axes).argmax(axis=1)] > 0).all()


def test_missing_values_are_the_training_mean_and_steps_are_averaged() -> None:
    tensor = np.repeat(Z[:, :, None], 4, axis=2)
    np.testing.assert_allclose(Projection.fit(tensor).axes, Projection.fit(Z).axes, atol=1e-6)
    gap = Z[:1].copy()
    gap[0, 2] = np.nan
    found = Projection.fit(Z)
    np.testing.assert_allclose(found.apply(gap), found.apply(np.nan_to_num(gap)), atol=1e-9)
