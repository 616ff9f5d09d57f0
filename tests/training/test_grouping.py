"""Which runs of a sweep can be trained together."""

from __future__ import annotations

from entreg.config.settings import resolved
from entreg.training.grouping import groups
from tests import several_sets


def test_runs_that_read_the_same_images_in_the_same_order_form_a_group(composed):
    words = [
        ("seed=0", "loss=nll"),
        ("seed=1", "loss=nll"),
        ("seed=0", "loss=nll_entropy", "optim.lr=0.01"),
        ("seed=0", "trainer.batch_size=4"),
        ("seed=3", "trainer.order_seed=0", "trainer.epochs=3"),
        ("seed=0", "model.center_bias=uniform"),
        ("seed=1", "model.sigma_px=4"),
        ("seed=0", "hardware.devices=2"),
    ]
    configs = [resolved(composed("study=x", "hardware=cpu", *job)) for job in words]
    assert groups(configs) == [[0, 2, 4], [1, 6], [3], [5], [7]]
    assert groups(configs, most=2)[:3] == [[0, 2], [4], [1, 6]]


def test_runs_of_several_sets_form_a_group_whichever_numbers_sets_have_of_their_own(composed):
    numbers = ("[]", "[scale]", "[center_bias,scale,spread]")
    configs = [resolved(composed(*several_sets.words(), "study=x", f"model.per_set={own}")) for own in numbers]
    assert groups(configs) == [[0, 1, 2]]
