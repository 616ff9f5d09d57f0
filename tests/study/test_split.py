"""What a batch holds: the images that were asked for, each with its own fixations, features and centre bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from entreg.config import Prior
from entreg.config.settings import resolved
from entreg.data.dataset import DataSet, Fixations, Stimulus
from entreg.data.geometry import Geometry, resize
from entreg.distributed.ranks import Ranks
from entreg.features.rectified import full
from entreg.priors.gaussian import gaussian_log_prior
from entreg.study.split import ImageSubset
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from tests.conftest import SMALL

# by image, in pixels of the stored ones; image 2 has none
X = [[1.5, 3.0], [7.25], [], [0.0, 2.0, 11.9]]
Y = [[0.5, 5.0], [2.0], [], [9.9, 1.0, 3.5]]


@pytest.fixture
def resized(tmp_path):
    """Four images of 12x6, 12x8, 12x8 and 12x12 pixels, seen at 6x4 and, the square, at 4x6; image i is grey 50 i."""
    stimuli = []
    for i, (height, width) in enumerate([(6, 12), (8, 12), (8, 12), (12, 12)]):
        path = tmp_path / f"{i}.png"
        Image.fromarray(np.full((height, width, 3), 50 * i, dtype=np.uint8)).save(path)
        stimuli.append(Stimulus(path.name, path, height, width))
    image = np.repeat(np.arange(4), [len(xs) for xs in X])
    fixations = Fixations(image, np.array(sum(X, [])), np.array(sum(Y, [])), subject=np.arange(6))
    return resize(DataSet("four", tuple(stimuli), fixations, {}), Geometry("stretch", 6, 4))


@pytest.fixture
def subset(resized):
    return ImageSubset(resized, [3, 0, 1])


@pytest.fixture
def study(composed, store):
    return Study(resolved(composed(*SMALL, f"paths.store={store}")), StudyCache(Ranks()))


def test_it_is_its_images_in_the_order_of_its_items(subset):
    assert len(subset) == 3
    assert subset.names == ["3.png", "0.png", "1.png"] == [stimulus.name for stimulus in subset.stimuli]
    assert subset.sizes == [(6, 4), (4, 6), (4, 6)]
    for i, grey in enumerate([150, 0, 50]):
        np.testing.assert_array_equal(subset.read(i), np.full((*subset.sizes[i], 3), grey))


def test_every_images_fixations_are_pixels_of_the_image_that_the_model_sees(subset):
    """Image 3, 12x12, is seen at 4x6, image 0, 12x6, and image 1, 12x8, at 6x4."""
    assert [(y.tolist(), x.tolist()) for y, x in subset.fixations] == [
        ([4, 0, 1], [0, 0, 3]),
        ([0, 3], [0, 1]),
        ([1], [3]),
    ]
    assert subset.counts.tolist() == [3, 2, 1]


def test_pooled_fixations_know_their_image_by_its_number_in_the_subset(subset):
    pooled = subset.pooled
    assert pooled.image.tolist() == [0, 0, 0, 1, 1, 2]
    assert pooled.subject.tolist() == [3, 4, 5, 0, 1, 2]
    assert pooled.x.tolist() == pytest.approx([0, 2 / 3, 11.9 / 3, 0.75, 1.5, 3.625])


def test_pooled_fixations_of_a_whole_data_set_are_not_copied(resized):
    whole = ImageSubset(resized, list(range(len(resized))))
    assert whole.pooled.image.tolist() == [i for i, count in enumerate(resized.counts) for _ in range(count)]
    assert np.shares_memory(whole.pooled.image, resized.fixations.image)


def test_values_of_pooled_fixations_are_cut_into_images(resized, subset):
    assert [part.tolist() for part in subset.cut(np.arange(6))] == [[0, 1, 2], [3, 4], [5]]
    with_an_empty_one = ImageSubset(resized, [0, 2, 3])
    assert [part.tolist() for part in with_an_empty_one.cut(np.arange(5))] == [[0, 1], [], [2, 3, 4]]


def test_the_gaussian_prior_at_fixations_is_that_of_the_stored_image(subset):
    prior = Prior(gaussian_variance=0.3, gaussian_nu=0.6)
    log_priors = subset.gaussian_log_priors(prior)
    # images 0 and 1 have the same size as the model sees them, and not as they are stored
    for values, size, stored, (y, x) in zip(
        log_priors, [(6, 4), (4, 6), (4, 6)], [(12, 12), (6, 12), (8, 12)], subset.fixations, strict=True
    ):
        np.testing.assert_array_equal(values, gaussian_log_prior(*size, *stored, 0.3, 0.6)[y, x])


def test_a_cropped_images_prior_is_that_of_what_is_left(resized):
    """12x12 is cropped to 8x12 for 4x6: two thirds of the width are seen, and the fixations at x 0 and 11.9 are not."""
    cropped = ImageSubset(resize(resized.dataset, Geometry("crop", 6, 4)), [3])
    ((y, x),) = cropped.fixations
    assert (y.tolist(), x.tolist()) == ([0], [0])
    expected = gaussian_log_prior(6, 4, 12, 12, 0.22, 0.45, seen=(1.0, 2 / 3))[0, 0]
    assert cropped.gaussian_log_priors(Prior())[0].tolist() == pytest.approx([expected])


def test_a_batch_holds_what_belongs_to_its_images(study):
    """Portraits of the training part, in an order of their own."""
    part = study.training.parts["synthetic"]
    members = [i for i, size in enumerate(part.sizes) if size == (192, 144)][::-1]
    assert len(members) >= 2
    batch = part.batch(members)
    assert batch.grid is part.store.recipe.grid((192, 144))
    pooled = part.pooled
    y, x = pooled.pixels
    for number, i in enumerate(members):
        row = part.rows[i]
        assert part.store.names[row] == part.names[i]
        assert torch.equal(full(batch.features[number]), part.store[row])
        assert torch.equal(batch.center_bias[number], part.center_biases[i])
        own = batch.image == number
        assert batch.y[own].tolist() == y[pooled.image == i].tolist()
        assert batch.x[own].tolist() == x[pooled.image == i].tolist()
    assert len(batch.image) == part.counts[members].sum()


def test_features_are_those_of_the_image(study):
    """Stored as float16, which rounds by 2^-11 of a value; neighbours in the store are far from it."""
    part = study.validation.parts["synthetic"]
    for i in range(2):
        (features,) = part.batch([i]).features
        expected = part.store.recipe.row(part.read(i), torch.device("cpu"))
        torch.testing.assert_close(full(features), expected, rtol=1e-2, atol=1e-2)
        assert (full(part.batch([1 - i]).features[0]).float() - expected.float()).abs().max() > 1


def test_uniform_images_have_the_models_centre_bias_and_their_own_features(study):
    uniform = study.uniform((144, 192))
    assert len(uniform) == 4
    features, center_bias, grid = uniform.inputs([3, 1])
    assert all(torch.equal(full(features[k]), uniform.store[i]) for k, i in enumerate((3, 1)))
    assert grid is uniform.store.recipe.grid((144, 192))
    validation = study.validation.parts["synthetic"]
    expected = validation.center_biases[validation.sizes.index((144, 192))]
    assert center_bias.shape == (2, 36, 48) and all(torch.equal(one, expected) for one in center_bias)
