"""What conf/ computes, and what of it reaches SLURM."""

from __future__ import annotations

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from entreg.distributed.launch import new_study

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # see composition.run


def test_what_sbatch_is_asked_can_be_typed(start):
    """The examples in conf/hydra/launcher/submitit_slurm.yaml."""
    config = GlobalHydra.instance().hydra.compose_config(
        "config",
        [
            "hydra/launcher=submitit_slurm",
            "hardware.partition=gpu",
            "hardware.account=lab",
            "hardware.constraint=a100",
            "hardware.gpus=null",
            "hydra.launcher.gres=gpu:a100:4",
            "hydra.launcher.qos=high",
            "hydra.launcher.setup=[module load cuda, source venv/bin/activate]",
            "+hydra.launcher.additional_parameters.reservation=course",
        ],
        RunMode.MULTIRUN,
    )
    launcher = config.hydra.launcher
    assert (launcher.partition, launcher.account, launcher.constraint) == ("gpu", "lab", "a100")
    assert (launcher.gpus_per_node, launcher.gres, launcher.qos) == (None, "gpu:a100:4", "high")
    assert list(launcher.setup) == ["module load cuda", "source venv/bin/activate"]
    assert launcher.additional_parameters == {"requeue": True, "reservation": "course"}
    assert launcher.max_num_timeout > 0 and launcher.signal_delay_s >= 60


@pytest.mark.parametrize(
    "words, expected",
    [
        (["hardware=gpu4"], (4, 32, 128)),
        (["hardware=gpu4", "task=evaluate"], (1, 8, 32)),
        (["hardware=gpu", "task=evaluate"], (1, 8, 32)),
        (["hardware=cpu", "task=evaluate"], (None, 8, 16)),
        (["hardware=auto", "hardware.gpus=8", "task=evaluate"], (1, 2, 8)),
    ],
    ids=str,
)
def test_of_slurm_is_asked_what_the_task_can_use(start, words, expected):
    config = GlobalHydra.instance().hydra.compose_config(
        "config", ["hydra/launcher=submitit_slurm", *words], RunMode.MULTIRUN
    )
    launcher = config.hydra.launcher
    assert (launcher.gpus_per_node, launcher.cpus_per_task, launcher.mem_gb) == expected


def test_sweeps_of_one_second_have_folders_of_their_own(start):
    names = {new_study() for _ in range(3)}
    assert len(names) == 3 and len({name.rsplit("-", 1)[0] for name in names}) <= 2
