import numpy as np
import pytest

from entreg.config import Uniform
from entreg.data.uniform_images import UniformImages, levels


def test_levels_are_evenly_spaced_over_0_to_1():
    assert levels(Uniform()) == pytest.approx(np.arange(16) / 15)
    for n in (3, 5, 7, 17, 51):
        assert {0, 0.5, 1} <= set(levels(Uniform(images=n)))
    assert levels(Uniform(images=2)) == [0, 1]
    assert levels(Uniform(images=1)) == [0.5]


def test_given_levels_are_taken_as_they_are():
    assert levels(Uniform(levels=[0.9, 0.1])) == [0.9, 0.1]


def test_images_are_constant_over_pixels_and_channels_in_0_to_255():
    images = UniformImages([0, 0.5, 1], (96, 128))
    assert len(images.names) == len(set(images.contents)) == 3
    for i, value in enumerate((0, 127.5, 255)):
        image = images.read(i)
        assert image.shape == (96, 128, 3) and image.dtype == np.float32
        assert np.all(image == value)
