"""NLL against its closed form."""

from __future__ import annotations

import pytest
import torch

from entreg.losses import nll


def test_nll_is_the_mean_over_images_of_the_mean_over_fixations(two):
    image, y, x = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 3, 2])
    found = nll.nll_nats(two, image, y, x, nll.fixation_weights(torch.tensor([3.0, 1.0]), "images"))
    first = -(two.grid[0, 0, 0] + two.grid[0, 1, 1] + two.grid[0, 2, 3]) / 3
    assert found.sum().item() == pytest.approx(((first - two.grid[1, 0, 2]) / 2).item(), rel=1e-7)


def test_nll_over_fixations_weighs_every_fixation_alike(two):
    image, y, x = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 3, 2])
    found = nll.nll_nats(two, image, y, x, nll.fixation_weights(torch.tensor([3.0, 1.0]), "fixations"))
    assert found.sum().item() == pytest.approx(-two.at(image, y, x).mean().item(), rel=1e-7)


def test_it_makes_nothing_of_the_bias_map():
    loss = nll.Settings(lambda_entropy=3.0)
    assert loss.weight == 0 and not loss.regularises and "lambda_entropy" in loss.unused
    assert loss.remark() == "loss=nll ignores loss.lambda_entropy=3; the regularised arm is loss=nll_entropy"
    assert nll.Settings().remark() is None
