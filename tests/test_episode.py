import numpy as np
import pytest

from phasewatch.episode import Samples


def test_samples_refuse_shapes_that_disagree() -> None:
    times = np.arange(3, dtype=np.int64)
    with pytest.raises(ValueError, match="shape"):
        Samples(("a.b",), times, times, np.zeros((2, 1)), 1.0)
    with pytest.raises(ValueError, match="shape"):
        Samples(("a.b", "a.c"), times, times, np.zeros((3, 1)), 1.0)
    with pytest.raises(ValueError, match="mono"):
        Samples(("a.b",), times, times[:2], np.zeros((3, 1)), 1.0)
