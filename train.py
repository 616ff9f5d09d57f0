"""Compose a config and run its task.

    python train.py loss=nll_entropy                                            one run, here
    python train.py -m loss=nll,nll_entropy hydra/launcher=submitit_slurm       both arms, on the cluster
    python train.py task=evaluate                                               what did the last sweep show?
"""
import hydra

from entreg.config import register
from entreg.engine import sweep

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg):
    return sweep.job(cfg)


if __name__ == "__main__":
    with sweep.summary():
        main()
