"""A regulariser of another package against the entropy, which it computes here by its formula."""

from __future__ import annotations

import re
import sys

import pytest
import torch
from torch import Tensor

from entreg.config.settings import check
from entreg.distributed.ranks import Ranks
from entreg.errors import SettingError
from entreg.losses.nll_regulariser import Settings
from entreg.model.log_density import LogDensity

PACKAGE = __name__.partition(".")[0]


def negative_entropy(log_density: Tensor, factor: float = 1.0) -> Tensor:
    """What loss=nll_entropy subtracts, of the full maps."""
    return factor * (log_density.exp() * log_density).sum((1, 2))


def one_for_all(log_density: Tensor) -> Tensor:
    return log_density.mean()


def named(function: str, **settings: object) -> Settings:
    return Settings(regulariser={"_target_": f"{__name__}.{function}", **settings})


def test_it_is_the_mean_over_the_uniform_images_of_all_ranks(two):
    share = named("negative_entropy", factor=0.5).ready([PACKAGE])
    assert share(two, 2, Ranks()).item() == pytest.approx(-two.entropy_nats().mean().item() / 2)
    assert share(two, 6, Ranks()).item() == pytest.approx(-two.entropy_nats().sum().item() / 12)


def test_a_map_weighs_by_its_pixels(two):
    """Each cell of a map covers several pixels, which the regulariser sees."""
    wide = LogDensity.normalised(two.grid, torch.tensor([1, 2, 1]), torch.tensor([3, 1, 1, 1]))
    share = named("negative_entropy").ready([PACKAGE])
    assert share(wide, 2, Ranks()).item() == pytest.approx(-wide.entropy_nats().mean().item())


def test_a_rank_without_uniform_images_adds_nothing(two):
    none = LogDensity(two.grid[:0].requires_grad_(), two.rows, two.columns)
    share = named("one_for_all").ready([PACKAGE])(none, 2, Ranks())
    assert share.item() == 0 and share.requires_grad


def test_what_is_not_a_value_for_each_map_is_refused(two):
    with pytest.raises(SettingError, match=r"one_for_all returned \(\), not a tensor \(2,\), a value for each map"):
        named("one_for_all").ready([PACKAGE])(two, 2, Ranks())


def test_its_package_has_to_be_allowed():
    with pytest.raises(SettingError, match=re.escape(f"loss.regulariser: {__name__}.negative_entropy is code of")):
        named("negative_entropy").ready([])


@pytest.mark.parametrize("word", ["loss.normalisation=minmax", "loss.aggregation=entropy_of_mean"])
def test_what_belongs_to_the_entropy_is_refused(composed, word):
    with pytest.raises(SettingError, match="is out of range: it belongs to loss=nll_entropy"):
        check(composed("loss=nll_regulariser", word))


def test_nothing_is_called_before_a_training():
    assert named("negative_entropy").weight == 1.0 and "loss.regulariser" not in sys.modules
