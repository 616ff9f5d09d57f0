"""What the judged images are held against: priors and fixations of the whole data set, not of the images judged."""
from types import SimpleNamespace

import numpy as np
import pytest

from entreg.config import resolved
from entreg.data.kde import FixationKde
from entreg.engine.ranks import Ranks
from entreg.engine.study import Study
from entreg.evaluate.domain import domains_of
from entreg.evaluate.judgement import by_center_bias, model_of, per_image
from entreg.model.deepgaze3 import DeepGaze3
from tests.conftest import SMALL


@pytest.fixture
def study(composed, store):
    return Study(resolved(composed(*SMALL, "data.limit=8", "ood.sample=3", f"paths.store={store}")), Ranks())


@pytest.mark.parametrize("name, all_images, judged", [("in_domain", 20, 2), ("ood", 6, 3)])
def test_the_kde_prior_is_of_all_images_but_the_one_judged(study, caplog, name, all_images, judged):
    domain = domains_of(study)[name]
    resized, part = domain.part.resized, domain.part
    assert len(part) == judged and len(resized.sizes) == all_images == domain.kde_images
    assert f"built from {all_images} images only (fewer than 200)" in caplog.text
    image = np.repeat(np.arange(all_images), np.diff(resized.offsets))
    sides = np.array(resized.sizes)[image]
    for i, item in enumerate(part.items):
        others, (height, width) = image != item, part.sizes[i]
        kde = FixationKde(resized.y[others] / sides[others, 0], resized.x[others] / sides[others, 1], image[others],
                          study.config.prior.kde_bandwidth, study.config.prior.kde_regularisation)
        y, x = (axis.numpy() for axis in part.fixations[i])
        np.testing.assert_allclose(domain.log_kde[i], kde.log_density(height, width)[y, x], atol=1e-5)
        assert len(domain.elsewhere(i)[0]) == others.sum()


def test_other_centre_biases_are_the_models_input(study):
    """Another input, another gain; and with what `per_image` gives the model, the gain that it finds."""
    domain = domains_of(study)["ood"]
    state = DeepGaze3(study.recipe.backbone.channels(), study.config.model.sigma_px, 3).state_dict()
    model = model_of(SimpleNamespace(config=study.config, state={"model": state}), study)
    known = [row["ig_bits_per_fixation"] for row in per_image(model, domain)]

    def found(kind: str) -> list[float]:
        return [row[f"ig_{kind}_center_bias_bits_per_fixation"] for row in by_center_bias(model, domain)]

    assert np.abs(np.subtract(found("own"), known)).min() > 1e-3
    assert np.abs(np.subtract(found("uniform"), known)).min() > 1e-3
    given = dict(zip(domain.part.items, domain.part.center_biases))
    vars(domain)["kde"] = SimpleNamespace(leave_one_out=lambda items, *_, step: [given[i].numpy() for i in items])
    assert found("own") == pytest.approx(known, abs=1e-9)
