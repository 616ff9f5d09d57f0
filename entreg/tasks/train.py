"""task=train: train one model. `entreg/training/train_together.py` trains several runs of a sweep side by side."""

from __future__ import annotations

from pathlib import Path

from entreg import losses
from entreg.config import Config
from entreg.data.image_hashes import KnownHashes
from entreg.distributed.hardware import compute_deterministically, keep_freed_memory
from entreg.distributed.launch import launch
from entreg.distributed.ranks import Ranks
from entreg.evaluation.metrics import primary_metric
from entreg.features import backbone
from entreg.model import published_weights
from entreg.runs.folder import RunFolder
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from entreg.training import optimizer_check, progress_loggers
from entreg.training.start import advise_a_look, finished_before, record_start, seed_everything
from entreg.training.trainer import Trainer
from entreg.training.training_group import TrainingGroup


def check(config: Config) -> None:
    """Raise a SettingError before any data are read, where a training with these settings would end with one."""
    backbone.check(config.model.backbone)
    backbone.refuse_unallowed(config.model.backbone, config.allow)
    backbone.check_convolution(config.model.backbone, config.hardware)
    published_weights.check(config.model)
    # the first start of a run records the primary outcome of the study
    primary_metric(config.evaluation.primary)
    losses.check(config)
    config.loss.ready(config.allow)
    optimizer_check.check(config.optim, config.trainer.epochs, bool(config.model.per_set))
    progress_loggers.check(config.loggers)


def train(config: Config, folder: RunFolder) -> float | None:
    """Train one model in `folder` on the configured devices; return its last validation IG.

    The IG is over the Gaussian prior, bit/fixation. A finished run returns at once; an unfinished one resumes from its
    last checkpoint. Returns None where the training was stopped in order to be requeued.
    """
    if finished_before(folder):
        return folder.last_ig_bits()
    ig_bits: float | None = launch(run, config, folder)
    return ig_bits


def run(ranks: Ranks, config: Config, folder: RunFolder) -> float:
    """Train on one rank. Raises Stopped where a rank was asked to stop, after the training was saved."""
    compute_deterministically()
    keep_freed_memory()
    seed_everything(config.seed)
    hashes = KnownHashes(Path(config.paths.store), writes=ranks.is_first)
    study = Study(config, StudyCache(ranks, hashes))
    if ranks.is_first:
        advise_a_look(study, folder)
    trainer = Trainer(study, folder)
    if ranks.is_first:
        record_start(trainer, study)
    for trained, bias_map in TrainingGroup([trainer]).run():
        trained.finish(bias_map)
    return float(trainer.history[-1]["validation_ig_bits_per_fixation"])
