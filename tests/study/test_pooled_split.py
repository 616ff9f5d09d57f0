"""Images of several sets behind one numbering: each keeps its set's size, pixels, features and centre bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from entreg.config import Prior
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from tests import several_sets

FIRST, SECOND = several_sets.NAMES


@pytest.fixture(scope="module")
def study(composed, store) -> Study:
    words = several_sets.words(several_sets.NAMES, f"sets.{FIRST}.images=15", "sets_weight=sets")
    return Study(resolved(composed(*words, f"paths.store={store}")), StudyCache(Ranks()))


def test_images_are_numbered_set_after_set(study):
    pooled = study.training
    assert len(pooled) == 12 + 8
    assert [name for name, _ in pooled.kinds] == [FIRST] * 12 + [SECOND] * 8
    assert pooled.sizes == pooled.parts[FIRST].sizes + pooled.parts[SECOND].sizes
    assert pooled.names[12] == f"{SECOND}/{pooled.parts[SECOND].names[0]}"
    assert torch.equal(pooled.counts[12:], pooled.parts[SECOND].counts)
    assert np.array_equal(pooled.read(13), pooled.parts[SECOND].read(1))
    assert all(torch.equal(*pair) for pair in zip(pooled.fixations[12], pooled.parts[SECOND].fixations[0], strict=True))
    priors = pooled.gaussian_log_priors(Prior())
    assert np.array_equal(priors[12], pooled.parts[SECOND].gaussian_log_priors(Prior())[0])


def test_a_batch_is_that_of_its_set(study):
    pooled, part = study.training, study.training.parts[SECOND]
    members = [i for i, kind in enumerate(pooled.kinds) if kind == (SECOND, (64, 96))]
    pooled.prefetch(members)
    pooled.prefetch([])
    found, expected = pooled.batch(members), part.batch([i - 12 for i in members])
    for name in ("center_bias", "image", "y", "x"):
        assert torch.equal(getattr(found, name), getattr(expected, name))
    assert all(torch.equal(*pair) for pair in zip(found.features, expected.features, strict=True))
    assert pooled.rows_read()[part.store] == part.rows


def test_sets_of_the_same_weight_have_images_of_another(study):
    """Twelve images and eight: 20 / (2 * 12) and 20 / (2 * 8)."""
    assert study.training.weight([0]) == pytest.approx(20 / 24)
    assert study.training.weight([13]) == pytest.approx(20 / 16)


def test_a_sets_images_have_its_own_centre_bias_and_new_images_that_of_all(study):
    own = study.validation.parts[SECOND]
    alone = study.validation.parts[FIRST].center_biases[0]
    kdes = [part.resized.pooled(part.items) for part in study.training.parts.values()]
    assert sum(map(len, kdes)) == len(study.center_bias.kde.fixations[0])
    size = own.sizes[0]
    new = study.center_bias.map(size)
    assert not torch.equal(own.center_biases[0], new) and not torch.equal(own.center_biases[0], alone)
    # both sets have as many fixations on an image, so that the mean weighs them by their images
    each = [part.center_biases[part.sizes.index(size)].exp() for part in study.validation.parts.values()]
    torch.testing.assert_close(new.exp(), (12 * each[0] + 8 * each[1]) / 20, rtol=0.02, atol=0)
