"""The settings of the task."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from entreg.config.settings import setting


@dataclass
class Task:
    """The task of a job."""

    name: str = setting(MISSING, "task: the name of a module in entreg/tasks/", affects="replicate")
    devices: int | None = setting(
        None, "number of devices that the task can use; null: all of hardware's", affects="replicate", at_least=1
    )
