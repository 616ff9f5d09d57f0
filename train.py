"""Compose a config and run its task.

python train.py loss=nll_entropy                                            one run, here
python train.py -m loss=nll,nll_entropy hydra/launcher=submitit_slurm       both arms, on the cluster
python train.py task=evaluate                                               what did the last sweep show?
"""

from typing import Any

import hydra
from omegaconf import DictConfig

from entreg.run import jobs


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> Any:
    """One job."""
    return jobs.job(cfg)


if __name__ == "__main__":
    with jobs.summary():
        main()
