import pytest
import torch

from entreg.config import Optim
from entreg.training.optimizer import optimizer_of
from entreg.training.schedule import milestones, schedule_of


def rates(optim: Optim, epochs: int) -> list[float]:
    optimizer = optimizer_of([torch.nn.Parameter(torch.zeros(1))], optim)
    schedule = schedule_of(optimizer, optim, epochs)
    learning_rates = []
    for _ in range(epochs):
        learning_rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return learning_rates


def test_the_study_falls_by_ten_after_5_10_15_and_20_of_25_epochs():
    learning_rates = rates(Optim(), 25)
    assert learning_rates[0] == 0.001585 and learning_rates[-1] == pytest.approx(1.5e-7, rel=1e-12)
    falls = [epoch for epoch in range(1, 25) if learning_rates[epoch] < learning_rates[epoch - 1]]
    assert falls == [5, 10, 15, 20]


def test_floating_point_does_not_move_a_milestone():
    assert 0.28 * 25 > 7
    assert milestones([0.28], 25) == [7]


def test_coinciding_milestones_multiply_so_that_both_ends_are_met():
    assert milestones([0.2, 0.4, 0.6, 0.8], 2) == [1, 1, 1, 1]
    assert rates(Optim(), 2) == pytest.approx([0.001585, 1.5e-7], rel=1e-12)


def test_any_number_of_milestones_meets_both_ends():
    assert rates(Optim(lr=1.0, lr_final=1e-4, milestones=[0.5, 0.75]), 4) == pytest.approx([1, 1, 1e-2, 1e-4])


def test_a_single_epoch_stays_at_the_first_rate():
    assert rates(Optim(), 1) == [0.001585]


def test_a_schedule_of_pytorchs_starts_at_lr():
    """StepLR multiplies by gamma after every second epoch."""
    optim = Optim(lr=1.0, schedule="StepLR", schedule_settings={"step_size": 2, "gamma": 0.1})
    assert rates(optim, 5) == pytest.approx([1, 1, 0.1, 0.1, 0.01])
