"""The assembled model: initial weights, published parameter names, and bits that do not depend on the batch."""

import math

import pytest
import torch

from entreg.features.grid import grid_of
from entreg.model.deepgaze3 import DeepGaze3

CHANNELS = 64
# 32 cells: as many as fill vector registers, since PyTorch rounds what is left over otherwise
GRID = grid_of((128, 256), ((4, 8),), 2, 4, 4)

# the paper's model: published checkpoints have these names
NAMES = {
    "saliency_network.layernorm0.weight",
    "saliency_network.layernorm0.bias",
    "saliency_network.conv0.weight",
    "saliency_network.bias0.bias",
    "saliency_network.layernorm1.weight",
    "saliency_network.layernorm1.bias",
    "saliency_network.conv1.weight",
    "saliency_network.bias1.bias",
    "saliency_network.layernorm2.weight",
    "saliency_network.layernorm2.bias",
    "saliency_network.conv2.weight",
    "saliency_network.bias2.bias",
    "fixation_selection_network.layernorm0.layernorm_part0.weight",
    "fixation_selection_network.layernorm0.layernorm_part0.bias",
    "fixation_selection_network.conv0.conv_part0.weight",
    "fixation_selection_network.bias0.bias",
    "fixation_selection_network.layernorm1.weight",
    "fixation_selection_network.layernorm1.bias",
    "fixation_selection_network.conv1.weight",
    "fixation_selection_network.bias1.bias",
    "fixation_selection_network.conv2.weight",
    "finalizer.gauss.sigma",
    "finalizer.center_bias_weight",
}


@pytest.fixture(scope="module")
def inputs():
    """(features, centre bias) of three images."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, GRID.cells, CHANNELS, generator=generator), torch.randn(3, 32, 64, generator=generator)


def test_the_state_dict_has_the_published_names():
    assert DeepGaze3(CHANNELS, 8.0, 0).state_dict().keys() == NAMES


def test_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = DeepGaze3(CHANNELS, 8.0, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second, other = (DeepGaze3(CHANNELS, 8.0, seed).state_dict() for seed in (5, 6))
    assert all(torch.equal(first[name], second[name]) for name in NAMES)
    assert not any(torch.equal(first[name], other[name]) for name in NAMES if "conv" in name)


def test_convolutions_begin_uniform_within_one_over_the_root_of_their_inputs():
    state = DeepGaze3(2560, 8.0, 0).state_dict()
    for name in (name for name in NAMES if "conv" in name):
        share = state[name].flatten() * math.sqrt(state[name].shape[1])
        assert share.abs().max() <= 1
        if len(share) >= 1000:  # then both ends are nearly reached, mean and variance are next to 0 and a third
            assert share.min() < -0.99 and share.max() > 0.99
            assert share.mean().item() == pytest.approx(0, abs=0.1)
            assert share.square().mean().item() == pytest.approx(1 / 3, rel=0.1)


def test_everything_else_begins_without_an_effect():
    state = DeepGaze3(CHANNELS, 6.5, 0).state_dict()
    for name in (name for name in NAMES if name.startswith(("saliency", "fixation")) and "conv" not in name):
        assert (state[name] == (1 if name.endswith("weight") else 0)).all(), name
    assert state["finalizer.gauss.sigma"].item() == 6.5
    assert state["finalizer.center_bias_weight"].tolist() == [1]


@torch.no_grad()
def test_an_image_has_the_same_bits_alone_in_a_pair_and_among_three(inputs):
    features, center_bias = inputs
    model = DeepGaze3(CHANNELS, 8.0, 0)
    among_three = model(features, center_bias, GRID).grid
    assert torch.equal(model(features[:2], center_bias[:2], GRID).grid, among_three[:2])
    alone = model(features[:1], center_bias[:1], GRID)
    assert alone.grid.shape == (1, 32, 64) and alone.size == (128, 256)
    assert torch.equal(alone.grid, among_three[:1])


@torch.no_grad()
@pytest.mark.parametrize("images", [1, 3])
def test_a_batch_as_a_list_of_tensors_equals_one_as_a_tensor(inputs, images):
    features, center_bias = (values[:images] for values in inputs)
    model = DeepGaze3(CHANNELS, 8.0, 0)
    assert torch.equal(model(list(features), center_bias, GRID).grid, model(features, center_bias, GRID).grid)


def test_a_model_computes_the_same_where_no_gradients_can_be(inputs):
    """Under inference_mode its parameters still ask for gradients."""
    model = DeepGaze3(CHANNELS, 8.0, 0)
    with torch.inference_mode():
        density = model(*inputs, GRID)
    assert torch.equal(density.grid, model(*inputs, GRID).grid.detach()) and not density.grid.requires_grad
