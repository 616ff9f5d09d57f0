"""Compose a config and run its task.

python train.py loss=nll_entropy                                            one run, here
python train.py -m loss=nll,nll_entropy hydra/launcher=submitit_slurm       both arms, on the cluster
python train.py task=evaluate                                               what did the last sweep show?
"""

from entreg.cli import main

if __name__ == "__main__":
    main()
