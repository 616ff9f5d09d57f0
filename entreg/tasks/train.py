"""task=train: trains one model. `entreg/train/together.py` trains several of a sweep side by side."""

from __future__ import annotations

from entreg import losses
from entreg.config import Config
from entreg.evaluate.metrics import primary_metric
from entreg.features import backbone
from entreg.model import published
from entreg.ranks import Ranks
from entreg.run.folder import RunFolder
from entreg.run.hardware import compute_deterministically, keep_freed_memory
from entreg.run.launch import launch
from entreg.study.study import Stages, Study
from entreg.train import board
from entreg.train.company import Company
from entreg.train.trainer import Trainer, finished_before, record_start, seed_everything


def check(config: Config) -> None:
    """Check what can be said before the data are read. SettingError where a training would end with one."""
    backbone.check(config.model.backbone)
    backbone.check_convolution(config.model.backbone, config.hardware)
    published.check(config.model)
    # what the study is for is recorded when a run is first started
    primary_metric(config.evaluation.primary)
    losses.check(config)
    if config.logger.name == "tensorboard":
        board.check()


def train(config: Config, folder: RunFolder) -> float | None:
    """Train one model in `folder` on the configured devices; return its last validation IG.

    The IG is over the Gaussian prior, bit/fixation. A finished run returns at once; an unfinished one goes on from its
    last checkpoint. None where it stopped to be requeued.
    """
    return folder.last_ig_bits() if finished_before(folder) else launch(run, config, folder)


def run(ranks: Ranks, config: Config, folder: RunFolder) -> float:
    """Train on one rank. Stopped where the run was asked to stop; it has saved."""
    compute_deterministically()
    keep_freed_memory()
    seed_everything(config.seed)
    study = Study(config, Stages(ranks))
    trainer = Trainer(study, folder)
    if ranks.is_first:
        record_start(trainer, study)
    for trained, bias_map in Company([trainer]).run():
        trained.finish(bias_map)
    return trainer.history[-1]["validation_ig_bits_per_fixation"]
