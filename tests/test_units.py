"""Sizes, nats and bits."""

from __future__ import annotations

import math

import pytest

from entreg.units import BITS_PER_NAT, uniform_log_density_nats


def test_the_uniform_density_of_eight_pixels_is_three_bits_below_one():
    assert uniform_log_density_nats((2, 4)) * BITS_PER_NAT == pytest.approx(-3, abs=1e-12)
    assert math.exp(uniform_log_density_nats((48, 64))) * 48 * 64 == pytest.approx(1)
