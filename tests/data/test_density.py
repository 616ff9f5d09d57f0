import numpy as np
import pytest

from entreg.data.density import density_map


def test_one_fixation_becomes_a_gaussian():
    p = density_map(np.array([40]), np.array([60]), 96, 128, sigma_px=5.0)
    assert p.shape == (96, 128)
    assert p.sum() == pytest.approx(1)
    rows, columns = np.arange(96) - 40, np.arange(128) - 60
    assert p.sum(1) @ rows == pytest.approx(0, abs=1e-9)
    assert p.sum(1) @ rows**2 == pytest.approx(25, rel=0.01)  # the variance, less what lies beyond 4 sigma
    assert p.sum(0) @ columns**2 == pytest.approx(25, rel=0.01)
    assert p[40, 65] / p[40, 60] == pytest.approx(np.exp(-0.5))


def test_two_fixations_on_a_pixel_count_twice():
    p = density_map(np.array([10, 10, 10]), np.array([20, 20, 100]), 96, 128, sigma_px=2.0)
    assert p[10, 20] / p[10, 100] == pytest.approx(2)


def test_nothing_is_reflected_at_the_border():
    p = density_map(np.array([0]), np.array([0]), 96, 128, sigma_px=4.0)
    assert p[0, 4] / p[0, 0] == pytest.approx(np.exp(-0.5))
    assert p.sum() == pytest.approx(1)


def test_no_fixation_or_one_outside_is_an_error():
    none = np.array([], dtype=np.int64)
    with pytest.raises(ValueError, match="at least one fixation"):
        density_map(none, none, 96, 128, sigma_px=4.0)
    with pytest.raises(ValueError):
        density_map(np.array([96]), np.array([0]), 96, 128, sigma_px=4.0)
