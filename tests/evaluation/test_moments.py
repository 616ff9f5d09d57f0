"""The sums over pixels that adapt a model: against float64, in every version that this machine has."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from entreg.evaluation.moments import moments
from entreg.model.step_library import TORCH, available

VERSIONS = [*available(), TORCH]
SCALE, WEIGHT = 1.3, 0.7


@pytest.fixture(params=[1, 5, 16, 17, 3000, 49152], ids=lambda n: f"{n} pixels")
def maps(request):
    """counts, b and c as of a foreign set: a readout of some nats, and a centre bias that is far below 0."""
    generator = torch.Generator().manual_seed(request.param)
    b, c = torch.randn(2, 3, request.param, generator=generator)
    return torch.randint(1, 30, (request.param,), generator=generator).float().log(), 2 * b + 1, 3 * c - 12


@pytest.mark.parametrize("version", VERSIONS)
def test_moments_are_float64s(maps, version):
    counts, b, c = (x.double().numpy() for x in maps)
    z = counts + SCALE * b + WEIGHT * c
    log_sum = logsumexp(z, axis=1)
    p = np.exp(z - log_sum[:, None])
    expected = [log_sum, *((p * x).sum(1) for x in (b, c, b * b, b * c, c * c))]
    found = moments(version, *maps, torch.arange(3), SCALE, WEIGHT).numpy()
    np.testing.assert_allclose(found, np.stack(expected, 1), rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_images_bits_do_not_depend_on_the_others(maps, version):
    """Images that are not asked for may hold what is no number, as the KDE of an image's own fold does."""
    counts, b, c = maps
    everything = moments(version, counts, b, c, torch.arange(3), SCALE, WEIGHT)
    c[1] = np.nan
    assert torch.equal(moments(version, counts, b, c, torch.tensor([2, 0]), SCALE, WEIGHT), everything[[2, 0]])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_large_and_a_small_exponential_do_not_overflow(version):
    counts, c = torch.zeros(40), torch.zeros(1, 40)
    b = torch.linspace(-1000, 1000, 40)[None]
    found = moments(version, counts, b, c, torch.zeros(1, dtype=torch.int64), 1.0, 0.0)[0]
    # the greatest is 51 nats above the next, so that it alone counts
    assert found.tolist() == pytest.approx([1000, 1000, 0, 1e6, 0, 0])


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_a_number_stays_so(version):
    b = torch.tensor([[0.0, float("nan"), 1.0]])
    found = moments(version, torch.zeros(3), b, torch.zeros(1, 3), torch.zeros(1, dtype=torch.int64), 1.0, 1.0)
    assert found[0, 0].isnan()
