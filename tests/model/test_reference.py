"""The plain computation's own parts, by hand; golden vectors of the whole are in test_golden.py."""

import math

import pytest
import torch

from entreg.model import reference
from entreg.model.deepgaze3 import DeepGaze3


def test_the_nll_of_a_known_map():
    """The first image's fixations lie on probabilities of 1, 1 and 3 bits, the second image's single one on 2 bits."""
    log_density = torch.tensor([[0.5, 0.25], [0.125, 0.125]]).log().expand(2, 2, 2)
    fixations = [
        (torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1])),
        (torch.tensor([0]), torch.tensor([1])),
    ]
    expected = ((1 + 1 + 3) / 3 + 2) / 2 * math.log(2)
    assert reference.nll_nats(log_density, fixations).item() == pytest.approx(expected, rel=1e-6)


def test_the_entropy_of_a_uniform_and_of_a_known_map():
    """1/2 * 1 + 1/4 * 2 + 2 * 1/8 * 3 bits of four pixels, of which a uniform map has 2."""
    maps = torch.stack([torch.full((2, 2), 0.25), torch.tensor([[0.5, 0.25], [0.125, 0.125]])]).log()
    assert reference.entropy_nats(maps).tolist() == pytest.approx([2 * math.log(2), 1.75 * math.log(2)], rel=1e-6)


def test_a_readout_that_knows_nothing_leaves_the_centre_bias():
    """With a last convolution of 0 the density is the centre bias at every fourth pixel, for 4 x 4 pixels each."""
    parameters = DeepGaze3(6, 2.0, 0).double().state_dict()
    parameters["fixation_selection_network.conv2.weight"].zero_()
    generator = torch.Generator().manual_seed(1)
    taps = [torch.randn(1, 6, 2, 3, dtype=torch.float64, generator=generator)]
    center_bias = torch.randn(1, 64, 96, dtype=torch.float64, generator=generator)
    density = reference.log_density(parameters, taps, center_bias, 2, 4, 4)
    blocks = center_bias[:, ::4, ::4].repeat_interleave(4, 1).repeat_interleave(4, 2)
    torch.testing.assert_close(density, blocks - blocks.flatten(1).logsumexp(1)[:, None, None])
    assert density.exp().sum().item() == pytest.approx(1)
