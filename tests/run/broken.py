"""Trainings that are disturbed on purpose. They stand in a module, since ranks are new processes that import them.

As a task: task._target_=tests.run.broken.fail_on_last_rank
"""
import functools
import os
from dataclasses import replace

import torch

from entreg.run.folder import RunFolder
from entreg.run.launch import launch
from entreg.train import trainer as training
from entreg.train.company import Company


def several(plan, ranks, config, folder):
    """Trains several configs, {subfolder: changed loss settings}, one after the other in the same ranks."""
    for name, loss in plan.items():
        own = RunFolder(folder.path / name)
        own.path.mkdir(exist_ok=True)
        training.run(ranks, replace(config, loss=replace(config.loss, **loss)), own)


def at_step(step, rank, act, ranks, config, folder):
    """A training in which one rank calls `act` on its trainer before it computes the given global step."""
    take_step = Company.step

    def disturbed(company, members, number):
        trainer, *_ = company.working
        if trainer.step == step and ranks.rank == rank:
            act(trainer)
        return take_step(company, members, number)

    Company.step = disturbed
    try:
        return training.run(ranks, config, folder)
    finally:  # the next run of a sweep may be in this process
        Company.step = take_step


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


def fail_on_last_rank(config, folder):
    """A task whose last rank fails at the second step."""
    return launch(functools.partial(at_step, 1, config.hardware.devices - 1, break_), config, folder)


def fail_once(config, folder):
    """A task that fails in its second epoch; the second time it goes on."""
    return launch(functools.partial(at_step, 4, 0, break_once), config, folder)
