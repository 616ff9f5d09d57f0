"""Trainings that are disturbed on purpose. They stand in a module, since ranks are new processes that import them.

Those that are tasks stand in broken_tasks/: task.name=fail_on_last_rank where PYTHONPATH holds that folder.
"""

import os
import time
from dataclasses import replace
from pathlib import Path

import torch

from entreg.features.recipe import Recipe
from entreg.runs.folder import RunFolder
from entreg.tasks import train as training
from entreg.training.training_group import TrainingGroup

TASKS = Path(__file__).parent / "broken_tasks"


def several(plan, ranks, config, folder):
    """Trains several configs, {subfolder: changed loss settings}, one after the other in the same ranks."""
    for name, loss in plan.items():
        own = RunFolder(folder.path / name)
        own.path.mkdir(exist_ok=True)
        training.run(ranks, replace(config, loss=replace(config.loss, **loss)), own)


def at_step(step, rank, act, ranks, config, folder):
    """A training in which one rank calls `act` on its trainer before it computes the given global step."""
    take_step = TrainingGroup.step

    def disturbed(group, members, number):
        trainer, *_ = group.active
        if trainer.step == step and ranks.rank == rank:
            act(trainer)
        return take_step(group, members, number)

    TrainingGroup.step = disturbed
    try:
        return training.run(ranks, config, folder)
    finally:  # the next run of a sweep may be in this process
        TrainingGroup.step = take_step


def signal_itself(number, _):
    os.kill(os.getpid(), number)


def spoil_parameters(trainer):
    """What a bad update leaves behind."""
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(float("nan"))


def break_(_):
    raise ValueError("this rank broke")


def break_once(trainer):
    """Fails the first time that this run comes here."""
    mark = trainer.folder.path / "broken_before"
    if not mark.exists():
        mark.touch()
        raise ValueError("this rank broke")


def wait_once(folder, ranks):
    """The first time that this run comes here, wait until it is asked to stop."""
    mark = folder.path / "waits"
    if not mark.exists():
        mark.touch()
        while not ranks.is_asked_to_stop:
            time.sleep(0.1)


def wait_in_step(trainer):
    """Wait, the first time, until this run is asked to stop."""
    wait_once(trainer.folder, trainer.ranks)


def with_a_wait_in_the_build(ranks, config, folder):
    """A training whose first rank waits once, before its second image, while it builds the features."""
    row, built = Recipe.row, []

    def waiting(recipe, image, device):
        if built and ranks.is_first:
            wait_once(folder, ranks)
        built.append(1)
        return row(recipe, image, device)

    Recipe.row = waiting
    return training.run(ranks, config, folder)
