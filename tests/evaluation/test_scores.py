"""What models are worth, image by image; several at once as one by one."""

from types import SimpleNamespace

import numpy as np
import pytest

from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.evaluation.evaluated_runs import load_model
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.evaluation.metrics import METRICS
from entreg.evaluation.scores import score
from entreg.model.deepgaze3 import DeepGaze3
from entreg.study.study import Study
from tests.conftest import SMALL


@pytest.fixture
def cache():
    return EvaluationCache(Ranks())


@pytest.fixture
def study(composed, store, cache):
    words = *SMALL, "data.limit=8", "ood.synthetic_ood.sample=3", f"paths.store={store}"
    return Study(resolved(composed(*words)), cache)


def model_of(study, seed):
    state = DeepGaze3(study.recipe.channels, study.config.model.sigma_px, seed).state_dict()
    return load_model(SimpleNamespace(config=study.config, state={"model": state}, fixed=None), study)


def test_other_centre_biases_are_the_models_input(study, cache):
    """Another input, another gain; and with what is given to the model otherwise, the gain that it finds then."""
    domain = cache.domain(study.config.ood["synthetic_ood"], "all", study.config.prior)
    part = study.foreign("synthetic_ood")
    model = model_of(study, 3)

    def gains(domain, kind: str = "") -> list[float]:
        return [row[f"ig_{kind}bits_per_fixation"] for row in score([(model, part)], domain, step=4)[0].rows]

    known = gains(domain)
    assert np.abs(np.subtract(gains(domain, "own_center_bias_"), known)).min() > 1e-3
    assert np.abs(np.subtract(gains(domain, "uniform_center_bias_"), known)).min() > 1e-3
    given = dict(zip(part.items, part.center_biases, strict=True))
    vars(domain)["kde"] = SimpleNamespace(leave_one_out=lambda items, *_, step: [given[i].numpy() for i in items])
    assert gains(domain, "own_center_bias_") == pytest.approx(known, abs=1e-9)


def test_several_models_are_scored_as_each_alone(study, cache):
    domain, part = (
        cache.domain(study.config.data, "validation", study.config.prior),
        study.validation.parts["synthetic"],
    )
    models = [(model_of(study, seed), part) for seed in (0, 1)]
    told = []
    both = score(models, domain, after_image=lambda: told.append(1))
    assert [one.rows for one in both] == [score([one], domain)[0].rows for one in models]
    assert both[0].rows != both[1].rows
    assert len(told) == len(part) == len(both[0].rows)
    known = {metric.key for metric in METRICS}
    for row in both[0].rows:
        assert {key for key in row if key not in ("image", "category", "fixations")} <= known
        assert all(np.isfinite(row[key]) for key in row.keys() & known)
        assert row["ig_bits_per_fixation"] == pytest.approx(row["kl_gaussian_prior_bits"] - row["kl_bits"])
        assert row["oracle_ig_bits_per_fixation"] > row["ig_bits_per_fixation"]
