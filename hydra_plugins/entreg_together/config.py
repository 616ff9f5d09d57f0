"""The settings of both launchers, made known to Hydra.

Annotations are not postponed: Hydra executes this module where dataclasses cannot look them up.
"""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf


@dataclass
class TogetherConf:
    """The groups of a sweep, one after the other, in this process."""

    _target_: str = "hydra_plugins.entreg_together.launcher.Together"
    runs_per_job: int | None = None  # at most so many runs of a group; null: all


@dataclass
class TogetherSlurmConf(SlurmQueueConf):
    """The groups of a sweep, each as a job of SLURM."""

    _target_: str = "hydra_plugins.entreg_together.launcher.TogetherSlurm"
    runs_per_job: int | None = None


store = ConfigStore.instance()
store.store(group="hydra/launcher", name="together", node=TogetherConf, provider="entreg")
store.store(group="hydra/launcher", name="together_slurm", node=TogetherSlurmConf, provider="entreg")
