"""Each optimiser of PyTorch's takes steps to the same bits beside others and after an interruption."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from entreg.config import PER_SET, Optim
from entreg.config.settings import resolved
from entreg.distributed.ranks import Stopped
from entreg.errors import SettingError
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.per_set import PerSet
from entreg.runs.folder import RunFolder
from entreg.study.study import Study
from entreg.training.optimizer import groups_of, optimizer_of, optimizers
from entreg.training.optimizer_check import check
from entreg.training.schedule import schedule_of
from entreg.training.trainer import Trainer
from entreg.training.training_group import TrainingGroup
from tests.miniature import TRAIN
from tests.training.test_trainer import AskedToStop, history, parameters

SMALLEST = [word for word in TRAIN if not word.startswith(("paths.", "study="))]
pytestmark = pytest.mark.usefixtures("one_thread")


def suits(name: str) -> bool:
    try:
        check(Optim(name=name), 1)
    except SettingError:
        return False
    return True


SUITABLE = [name for name in optimizers() if suits(name)]


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_adam_steps_all_parameters_by_one_function_unless_something_else_is_set(name: str):
    """The first step is lr * g / (|g| + eps) whatever g is, 0.1 here, beside a decay of lr * 0.01 of AdamW's."""
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = optimizer_of([parameter], Optim(name=name, lr=0.1))
    parameter.grad = torch.tensor([2.0, -3.0, 0.5])
    optimizer.step()
    decayed = 1.0 if name == "Adam" else 1 - 0.1 * 0.01
    torch.testing.assert_close(parameter.detach(), decayed - 0.1 * torch.tensor([1.0, -1.0, 1.0]))
    assert optimizer.param_groups[0]["fused"]
    for settings in ({"fused": False}, {"foreach": True}):
        other = optimizer_of([parameter], Optim(name=name, lr=0.1, settings=settings))
        assert not other.param_groups[0]["fused"] and other.param_groups[0].items() >= settings.items()


def test_an_optimiser_steps_and_is_hooked_as_pytorchs_own():
    parameters = [torch.nn.Parameter(torch.tensor([1.0, 2.0])) for _ in range(2)]
    ours = optimizer_of([parameters[0]], Optim(name="SGD", lr=0.1, settings={"momentum": 0.9}))
    theirs = torch.optim.SGD([parameters[1]], 0.1, momentum=0.9)
    seen = []
    for optimizer, parameter in zip((ours, theirs), parameters, strict=True):
        optimizer.register_step_post_hook(lambda optimizer, *_: seen.append(type(optimizer).__name__))
        for gradient in (1.0, -2.0):
            parameter.grad = torch.full((2,), gradient)
            optimizer.step()
    # 1 - 0.1 - 0.1 * (0.9 - 2)
    assert torch.equal(*parameters) and parameters[0].tolist() == pytest.approx([1.01, 2.01])
    assert seen == ["SGD"] * 4 and str(ours.state_dict()) == str(theirs.state_dict())


@pytest.fixture
def started(composed, store, cache, tmp_path):
    """started(place, *names): a trainer by each of these optimisers."""

    def trainer(folder: Path, name: str) -> Trainer:
        config = resolved(composed(*SMALLEST, f"paths.store={store}"))
        config.optim = Optim(name=name)
        return Trainer(Study(config, cache), RunFolder(folder / name))

    return lambda place, *names: {name: trainer(tmp_path / place, name) for name in names}


def trained(trainers: dict[str, Trainer]) -> dict[str, Trainer]:
    for _ in TrainingGroup([*trainers.values()]).run():
        pass
    return trainers


def assert_same(found: Trainer, expected: Trainer) -> None:
    ours, theirs = parameters(found), parameters(expected)
    assert [name for name, value in theirs.items() if not torch.equal(ours[name], value)] == []
    assert found.steps == expected.steps and history(found) == history(expected)


def test_each_trains_beside_others_and_goes_on_after_a_stop_to_the_bits_that_it_has_alone(started):
    assert {"Adam", "AdamW", "SGD", "NAdam", "RMSprop", "Adagrad"} <= {*SUITABLE}
    alone = {name: trained(started("alone", name))[name] for name in SUITABLE}
    for name, trainer in alone.items():
        assert type(trainer.optimizer).__base__ is optimizers()[name] and trainer.epoch == 2
    # they did not all do the same; without weight decay, AdamW is Adam
    assert len({trainer.steps[-1]["nll_nats"] for trainer in alone.values()}) >= len(SUITABLE) - 1

    steps = len(alone["Adam"].steps)
    group = TrainingGroup([*started("beside", *SUITABLE).values()])
    group.ranks = dataclasses.replace(group.ranks, stop=AskedToStop(steps // 2 + 1))  # within the second epoch
    with pytest.raises(Stopped):
        next(group.run())
    resumed = started("beside", *SUITABLE)
    trained(resumed)
    for name, trainer in resumed.items():
        assert_same(trainer, alone[name])


def test_a_schedule_of_pytorchs_goes_on_after_a_stop_to_the_same_bits(trainer_of):
    """Cosine annealing from lr to a tenth of it in two epochs is at their mean after the first one."""
    settings = "+optim.schedule_settings={T_max:2,eta_min:0.01}"
    words = (*SMALLEST, "optim=sgd", "optim.schedule=CosineAnnealingLR", settings)
    alone = trained({"alone": trainer_of(*words, folder="alone")})["alone"]
    assert [row["lr"] for row in alone.history] == pytest.approx([0.1, 0.055])
    group = TrainingGroup([trainer_of(*words, folder="stopped")])
    group.ranks = dataclasses.replace(group.ranks, stop=AskedToStop(len(alone.steps) // 2 + 1))
    with pytest.raises(Stopped):
        next(group.run())
    assert_same(trained({"on": trainer_of(*words, folder="stopped")})["on"], alone)


def test_settings_reach_the_optimiser():
    """SGD with momentum 0.5: gradients of 1 move by lr, then by 1.5 lr."""
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimizer = optimizer_of([parameter], Optim(name="SGD", lr=0.1, settings={"momentum": 0.5}))
    for expected in (-0.1, -0.25):
        parameter.grad = torch.ones(())
        optimizer.step()
        assert float(parameter.detach()) == pytest.approx(expected)


def test_sets_own_numbers_learn_ten_times_as_fast_as_the_networks():
    """A step of plain gradient descent, and half of it after the rate was halved."""
    model = DeepGaze3(3, 2.0, 0, PerSet(("a", "b"), PER_SET))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optim = Optim(name="SGD", lr=0.5, lr_final=0.25, milestones=[0.5])
    optimizer = optimizer_of(groups_of(model, optim.lr), optim)
    schedule = schedule_of(optimizer, optim, 2)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for _ in range(2):
        optimizer.step()
        schedule.step()
    for name, parameter in model.named_parameters():
        moved = before[name] - parameter.detach()
        expected = torch.full_like(moved, 7.5 if name.startswith("per_set.") else 0.75)
        torch.testing.assert_close(moved, expected, rtol=1e-5, atol=1e-5)


def test_without_own_numbers_there_is_one_group_as_before():
    model = DeepGaze3(3, 2.0, 0)
    (group,) = groups_of(model, 0.1)
    assert [*map(id, group["params"])] == [*map(id, model.parameters())] and {*group} == {"params"}
