from __future__ import annotations

import re
from contextlib import nullcontext

import pytest

from entreg.config import Optim
from entreg.config.settings import resolved
from entreg.errors import SettingError
from entreg.training.optimizer_check import check
from tests.conftest import ROOT


@pytest.mark.parametrize("option", sorted(path.stem for path in (ROOT / "conf/optim").glob("*.yaml")))
def test_every_option_can_train(composed, option):
    check(resolved(composed(f"optim={option}")).optim, 25)


@pytest.mark.parametrize(
    "name, said",
    [
        ("LBFGS", "optim.name=LBFGS cannot train the model: PyTorch says: .*closure"),
        ("SparseAdam", "optim.name=SparseAdam cannot train the model: PyTorch says: .*dense gradients"),
        ("Muon", "optim.name=Muon cannot train the model: PyTorch says: .*2D"),
        (
            "Rprop",
            "optim.name=Rprop cannot train the model: its steps do not follow the learning rate",
        ),
        ("nadam", "optim.name=nadam: torch.optim has no such optimiser; near it is NAdam"),
        ("Optimizer", "optim.name=Optimizer: torch.optim has no such optimiser; "),
        ("lr_scheduler", "optim.name=lr_scheduler: torch.optim has no such optimiser; "),
    ],
)
def test_what_cannot_take_the_steps_is_refused_by_name(name, said):
    with pytest.raises(SettingError, match=said):
        check(Optim(name=name), 3)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"momentun": 0.9}, "optim.settings.momentun: SGD has no such setting; near it is momentum"),
        ({"params": []}, "optim.settings.params: SGD has no such setting; there are dampening, "),
        ({"lr": 1.0}, "optim.settings.lr: the learning rate has a setting of its own, optim.lr"),
        ({"momentum": "much"}, "optim.settings={'momentum': 'much'} cannot train the model: PyTorch says: "),
        ({"weight_decay": -1.0}, "optim.settings={'weight_decay': -1.0} cannot train the model: PyTorch says: "),
        ({"weight_decay": float("nan")}, "optim.settings={'weight_decay': nan} cannot train the model: a step with"),
        ({"maximize": True}, "optim.settings={'maximize': True} cannot train the model: a step with a gradient of 1"),
    ],
)
def test_a_setting_that_it_does_not_know_or_cannot_use_is_refused(settings, said):
    with pytest.raises(SettingError, match=re.escape(said)):
        check(Optim(name="SGD", settings=settings), 3)


@pytest.mark.parametrize(
    "schedule, settings, said",
    [
        ("Cosine", {}, "optim.schedule=Cosine: torch.optim.lr_scheduler has no such schedule; "),
        ("LambdaLR", {}, "optim.schedule=LambdaLR cannot be used here: it is made of functions"),
        ("SequentialLR", {}, "optim.schedule=SequentialLR cannot be used here: it is made of other schedules"),
        ("ReduceLROnPlateau", {}, "optim.schedule=ReduceLROnPlateau cannot be used here: it needs a validation loss"),
        ("StepLR", {"step": 2}, "optim.schedule_settings.step: StepLR has no such setting; near it is step_size"),
        ("StepLR", {}, "optim.schedule=StepLR with optim.schedule_settings={} cannot train the model: PyTorch says: "),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 4}, "cannot train the model: PyTorch says: Tried to step 5"),
        ("ExponentialLR", {"gamma": -1.0}, "after epoch 1 the learning rate is -0.1"),
    ],
)
def test_a_schedule_that_cannot_step_after_each_epoch_is_refused(schedule, settings, said):
    with pytest.raises(SettingError, match=re.escape(said)):
        check(Optim(name="SGD", lr=0.1, schedule=schedule, schedule_settings=settings), 5)


@pytest.mark.parametrize(
    "words, said",
    [
        (("optim.schedule=StepLR", "optim.lr_final=1e-6"), "optim.lr_final=1e-06 is out of range: optim.schedule=St"),
        (("+optim.schedule_settings.T_max=2",), "optim.schedule_settings={'T_max': 2} is out of range: they need"),
    ],
)
def test_a_setting_that_the_schedule_does_not_use_is_refused(composed, words, said):
    with pytest.raises(SettingError, match=re.escape(said)):
        resolved(composed(*words))


@pytest.mark.parametrize(
    "schedule, settings, said",
    [
        ("OneCycleLR", {"max_lr": 0.01, "total_steps": 3}, "it sets one rate for all, and sets' own numbers"),
        ("CosineAnnealingLR", {"T_max": 3}, None),
    ],
)
def test_a_schedule_that_sets_one_rate_for_all_is_refused_where_sets_have_numbers_of_their_own(
    schedule, settings, said
):
    optim = Optim(schedule=schedule, schedule_settings=settings)
    check(optim, 3)
    with nullcontext() if said is None else pytest.raises(SettingError, match=said):
        check(optim, 3, per_set=True)
