"""Trainings that call another package: a regulariser and a backbone, by the compiled step and by PyTorch."""

from __future__ import annotations

import logging
import re

import pytest

from entreg.config.settings import resolved
from entreg.errors import SettingError
from entreg.model.step_library import available
from entreg.runs.foreign_code import TARGET
from entreg.tasks import train
from entreg.training.start import record_start
from entreg.training.training_group import TrainingGroup
from tests.miniature import TRAIN

pytestmark = pytest.mark.usefixtures("one_thread")
REGULARISED = (
    *(word for word in TRAIN if not word.startswith(("paths.", "study=", "loss="))),
    "loss=nll_regulariser",
    "loss.every=2",
    f"+loss.regulariser={{{TARGET}:tests.losses.test_nll_regulariser.negative_entropy}}",
)
NETWORK = (
    "model.backbone.name=standin",
    f"+model.backbone.module={{{TARGET}:tests.features.test_module_backbone.Transformer}}",
    "model.backbone.patch_px=14",
    "model.backbone.taps=[blocks.0]",
    "model.downsample=1",
)
ALLOWED = "allow=[tests]"


def steps_of(trainer) -> list[dict[str, float]]:
    for _ in TrainingGroup([trainer]).run():
        pass
    return trainer.steps


@pytest.mark.parametrize("step", ["auto", "plain"])
def test_negative_entropy_as_a_regulariser_is_the_regularised_arm(trainer_of, caplog, step):
    """It is the same function: NLL + 1 * -H is NLL - 1 * H, by whatever computes the steps, which the log names."""
    with caplog.at_level(logging.INFO):
        found = steps_of(trainer_of(*REGULARISED, ALLOWED, f"hardware.step={step}", folder="found"))
    fast = step == "auto" and available()
    assert ("steps are computed by torch: " in caplog.text) is not bool(fast)
    words = (*REGULARISED[:-3], "loss=nll_entropy", "loss.every=2", f"hardware.step={step}")
    expected = steps_of(trainer_of(*words, folder="expected"))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["nll_nats"] == pytest.approx(theirs["nll_nats"], abs=1e-5)
        if ours["regulariser"] is not None:
            assert ours["regulariser"] == pytest.approx(-theirs["bias_entropy_nats"], abs=1e-5)
    assert sum(row["regulariser"] is not None for row in found) == len(found) / 2


def test_a_vision_transformer_trains_by_both_steps_and_the_package_is_recorded(trainer_of):
    """By gradient descent in small steps, which amplify no rounding, as Adam does where gradients nearly cancel."""
    found = []
    for step in ("auto", "plain"):
        trainer = trainer_of(
            *REGULARISED, *NETWORK, ALLOWED, "optim=sgd", "optim.lr=0.001", f"hardware.step={step}", folder=step
        )
        record_start(trainer, trainer.study)
        found.append([row["nll_nats"] for row in steps_of(trainer)])
        assert trainer.folder.starts()[-1]["called_packages"] == {"tests": "unknown"}
        assert trainer.folder.starts()[-1]["features"]["backbone"] == "standin"
        assert sum(found[-1][3:]) < sum(found[-1][:3])  # the same images once more, in the second epoch
    assert found[0] == pytest.approx(found[1], abs=1e-5)


@pytest.mark.parametrize("padding, warned", [(0, True), (1, False)])
def test_a_network_that_sees_no_place_in_a_uniform_image_is_named(trainer_of, caplog, padding, warned):
    """Every cell then has the same features, and the readout, the same everywhere, cancels in the density."""
    module = f"{{{TARGET}:tests.features.test_module_backbone.Convolutional,padding:{padding}}}"
    words = (*REGULARISED[:-3], "loss=nll_entropy", "loss.every=1", ALLOWED, "hardware.step=plain")
    network = (f"+model.backbone.module={module}", "model.backbone.name=standin", "model.backbone.taps=[second]")
    trainer = trainer_of(*words, *network, folder="flat")
    said = "the backbone's features of a uniform image are the same everywhere"
    assert (said in caplog.text) is warned
    assert bool(trainer.uniform[trainer.study.landscape].look_alike) is warned


@pytest.mark.parametrize("words", [REGULARISED, NETWORK])
def test_what_is_not_allowed_is_refused_before_anything_starts_or_goes_on(composed, words):
    train.check(resolved(composed(*words, ALLOWED)))
    with pytest.raises(SettingError, match=re.escape("is code of the package tests, which is called only where")):
        train.check(resolved(composed(*words)))
