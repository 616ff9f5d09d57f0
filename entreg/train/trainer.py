"""One training: its model, its optimiser, its history, what it leaves in its folder. `company.py` takes its steps."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor

from entreg import files
from entreg.config import Config
from entreg.errors import DataError, NonFiniteLoss, UserError
from entreg.model import published
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity
from entreg.numerics import BITS_PER_NAT
from entreg.prior import kept
from entreg.ranks import Ranks
from entreg.report.panels import Prediction
from entreg.run import checkpoint, migrations
from entreg.run.folder import RunFolder, plain
from entreg.run.hardware import precision_of
from entreg.run.provenance import provenance
from entreg.study.part import Part, Size, UniformPart
from entreg.study.study import Study
from entreg.train import board, figures
from entreg.train.schedule import adam
from entreg.version import VERSION

log = logging.getLogger(__name__)


def finished_before(folder: RunFolder) -> bool:
    """Whether the run has finished. A final checkpoint that is damaged is set aside."""
    if not (folder.is_trained and checkpoint.newest([folder.final])):
        return False
    log.info("finished before: %s", folder.final)
    folder.last.unlink(missing_ok=True)  # it may have been killed between its last two steps
    return True


def seed_everything(seed: int) -> None:
    """The generators of Python, numpy and PyTorch."""
    for seeded in (random.seed, np.random.seed, torch.manual_seed):
        seeded(seed)


def record_start(trainer: Trainer, study: Study) -> None:
    """Write config, plan, centre bias and where the run comes from into its folder; log what changed since it began."""
    config, folder = study.config, trainer.folder
    before = folder.starts()
    folder.write_config(config)
    if not before:
        folder.write_plan(config)
    seeds = {
        "run": config.seed,
        "order": config.order_seed,
        "split": config.data.split_seed,
        "sample": config.data.sample_seed,
    }
    start = provenance(
        study.ranks.device.type,
        seeds,
        fingerprints=trainer.fingerprints,
        features=trainer.training.store.recipe.describe(trainer.training.sizes),
    )
    if before and before[-1].get("code", start["code"]) != start["code"]:
        then, now = before[-1]["code"], start["code"]
        log.warning("the code changed since this run was last started: then %s, now %s", then, now)
    begun_by = before[0].get("version", migrations.UNRECORDED) if before else VERSION
    if begun_by != VERSION:
        log.warning(
            "%s was begun by version %s; this is version %s, so that its last digits may differ",
            folder,
            begun_by,
            VERSION,
        )
    folder.add_start(start)
    kept.write(folder.center_bias, study.center_bias)


class TrainableStudy(Protocol):
    """What a Trainer reads of a study."""

    @property
    def config(self) -> Config: ...
    @property
    def ranks(self) -> Ranks: ...
    @property
    def training(self) -> Part: ...
    @property
    def validation(self) -> Part: ...
    @property
    def landscape(self) -> Size: ...
    @property
    def fingerprints(self) -> dict[str, str]: ...
    def uniform(self, size: Size) -> UniformPart: ...


class Trainer:
    """Model, optimiser and the run's history so far."""

    def __init__(self, study: TrainableStudy, folder: RunFolder) -> None:
        config = study.config
        self.study, self.config, self.ranks, self.folder = study, config, study.ranks, folder
        # read before hours of features: it may not fit
        start = published.start_of(config.model)
        self.training, self.validation = study.training, study.validation
        self.fingerprints = study.fingerprints | {"features": self.training.store.folder.name}
        device = self.ranks.device
        self.precision = precision_of(config.hardware, device.type)
        channels = self.training.store.recipe.channels
        self.model = DeepGaze3(channels, config.model.sigma_px, config.seed).to(device)
        if start is not None:
            start.start(self.model, config.model, self.training.store.recipe.backbone.state_dict())
            self.fingerprints |= {"init_from": start.sha256}
        self.optimizer, self.scheduler = adam(self.model.parameters(), config.optim, config.trainer.epochs)
        self.epoch, self.step = 0, 0
        self.sum_nll_nats, self.images_seen = 0.0, 0  # of this epoch so far; the NLL is weighted by images
        self.history: list[dict[str, Any]] = []  # a row for each epoch
        self.steps: list[dict[str, Any]] = []  # a row for each step
        self.board: board.Board | None = None
        # images of any shape would need uniform ones of each
        shapes = {study.landscape} if config.data.geometry == "degrees" else {*self.training.sizes, study.landscape}
        self.uniform = {size: study.uniform(size) for size in sorted(shapes)}
        priors = self.validation.gaussian_log_priors(config.prior)
        self.prior_nats = torch.tensor([p.mean() for p in priors], dtype=torch.float64)
        remark = config.loss.remark()
        if remark is not None:
            log.warning("%s", remark)
        if self.ranks.is_first:
            log.info(
                "%s on %d %s rank(s), %s, global batch %d, seed %d",
                config.loss.name,
                self.ranks.count,
                device.type,
                self.precision,
                config.trainer.batch_size,
                config.seed,
            )

    def finish(self, bias_map: LogDensity) -> None:
        """Draw the figures and write final.pt, last of all: where it is, the run is complete.

        bias_map: the mean density on the uniform images, at the study's landscape size
        """
        if self.ranks.is_first:
            figures.loss_curves(self.folder.loss_curves, {self.config.loss.name: self.history})
            figures.bias_map(self.folder.bias_map, bias_map.full()[0].cpu().numpy())
            figures.predictions(self.folder.predictions, self._examples())
            if self.board is not None:
                self.board.finish({"bias_map": self.folder.bias_map, "predictions": self.folder.predictions})
            self.save(self.folder.final)
            self.folder.last.unlink(missing_ok=True)
        self.ranks.barrier()

    @torch.no_grad()
    def _examples(self) -> list[Prediction]:
        validation, examples = self.validation, []
        for i in range(min(4, len(validation))):
            batch = validation.batch([i])
            density = self.model(batch.features, batch.center_bias, batch.grid, self.precision)
            y, x = (t.numpy() for t in validation.fixations[i])
            ig = float(density.at(batch.image, batch.y, batch.x).mean() - self.prior_nats[i]) * BITS_PER_NAT
            image = validation.read(i)
            map_nats = density.full()[0].cpu().numpy()
            examples.append(Prediction(validation.names[i], f"{ig:.2f} bit/fixation", image, map_nats, y, x))
        return examples

    def add_step(self, nll_nats: float, of_bias_map: float | None, images: int) -> None:
        """Takes a step with the gradients that the model has, and notes what was minimised."""
        self.optimizer.step()
        self.sum_nll_nats += nll_nats * images
        self.images_seen += images
        self.steps.append(
            {
                "step": self.step,
                "epoch": self.epoch + 1,
                "nll_nats": nll_nats,
                self.config.loss.column: of_bias_map,
            }
        )
        self.step += 1

    def finish_epoch(self, validation: tuple[float, float], bias_map: LogDensity, rate: float, started: float) -> None:
        """Ends an epoch whose steps are taken: falls in the learning rate, notes, saves.

        validation: NLL (nats) and IG (bit/fixation); bias_map: the mean one; rate: images/s; started: the epoch
        """
        lr = float(self.scheduler.get_last_lr()[0])
        self.scheduler.step()
        self.epoch += 1
        validation_nll, validation_ig = validation
        if not math.isfinite(validation_nll):
            raise NonFiniteLoss(f"validation NLL is {validation_nll} after epoch {self.epoch}; {self._last_good()}")
        finalizer = self.model.finalizer
        row = {
            "epoch": self.epoch,
            "lr": lr,
            "train_nll_nats": self.sum_nll_nats / self.images_seen,
            "validation_nll_nats": validation_nll,
            "validation_ig_bits_per_fixation": validation_ig,
            "bias_entropy_nats": float(bias_map.entropy_nats()),
            "center_bias_weight": float(finalizer.center_bias_weight.detach()),
            "sigma_px": float(finalizer.gauss.sigma.detach()),
            "images_per_s": rate,
            "seconds": time.perf_counter() - started,
        }
        self.history.append(row)
        self.sum_nll_nats, self.images_seen = 0.0, 0
        if self.ranks.is_first:
            log.info(
                "epoch %d/%d: train %.4f nats, validation %.4f nats, IG %.4f bit/fixation, bias entropy %.4f nats, "
                "centre-bias weight %.3f, sigma %.2f px, %.0f images/s",
                self.epoch,
                self.config.trainer.epochs,
                row["train_nll_nats"],
                validation_nll,
                validation_ig,
                row["bias_entropy_nats"],
                row["center_bias_weight"],
                row["sigma_px"],
                rate,
            )
            # a kill between any two of these loses nothing: a run goes on from last.pt, which comes after the
            # checkpoint that is kept of the same epoch, and the tables are written again from it
            if self.epoch % self.config.trainer.checkpoint_every == 0:
                self.save(self.folder.numbered(self.epoch))
            self.save(self.folder.last)
            self._write_tables()

    def _write_tables(self) -> None:
        files.write_csv(self.folder.metrics, self.history)
        files.write_csv(self.folder.steps, self.steps)
        if self.board is not None:
            self.board.tell(self.history, self.steps)

    def save(self, path: Path) -> None:
        """Writes a checkpoint; the first rank does."""
        if self.ranks.is_first:
            checkpoint.write(
                path,
                {
                    "model": self.model.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "scheduler": self.scheduler.state_dict(),
                    "random_state": checkpoint.random_state(),
                    "epoch": self.epoch,
                    "step": self.step,
                    "sums": [self.sum_nll_nats, self.images_seen],
                    "history": self.history,
                    "steps": self.steps,
                    "config": plain(self.config),
                    "fingerprints": self.fingerprints,
                },
            )

    def begin(self) -> None:
        """Goes on from the newest checkpoint, where there is one; from here on the board is told, where there is one.

        DataError where the checkpoint is another training's.
        """
        self._resume()
        if self.ranks.is_first and self.config.logger.name == "tensorboard":
            self.board = board.Board(self.folder.board, OmegaConf.to_yaml(OmegaConf.structured(self.config)))
            self.board.tell(self.history, self.steps)

    def _resume(self) -> None:
        """Goes on from the newest checkpoint, where there is one. DataError where it is another training's."""
        # the first rank's finding counts, since it sets damaged files aside; what it refuses all of them refuse
        path, error = self.ranks.gather(self._newest() if self.ranks.is_first else (None, None))[0]
        if error is not None:
            raise error
        if path is None:
            return
        state = checkpoint.read(path)
        try:
            changed = [k for k, v in self.fingerprints.items() if state["fingerprints"].get(k, v) != v]
            if changed:
                what = ", ".join(changed)
                raise DataError(
                    f"{path} was trained on other contents than are there now: {what} changed; bring those back, or "
                    "train anew in another folder (hydra.run.dir=FOLDER, of a sweep hydra.sweep.dir=FOLDER)"
                )
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scheduler.load_state_dict(state["scheduler"])
            checkpoint.restore_random_state(state["random_state"])
            self.epoch, self.step = state["epoch"], state["step"]
            self.sum_nll_nats, self.images_seen = state["sums"]
            self.history, self.steps = state["history"], state["steps"]
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"{path} holds something else than this training's state ({reason}); remove it to begin anew"
            ) from error
        log.info("resumed from %s: epoch %d, step %d", path, self.epoch + 1, self.step)
        if self.ranks.is_first and self.history:
            self._write_tables()

    def refuse_non_finite(self, number: int, mine: Sequence[int], own: Tensor) -> None:
        """NonFiniteLoss that says where; every rank has seen the same sum, so every rank comes here.

        number: of the batch; mine: this rank's images of it; own: what each of them adds to the NLL
        """
        values = zip(mine, own.tolist(), strict=True)
        names = [self.training.names[i] for i, value in values if not math.isfinite(value)]
        names = sorted(name for rank in self.ranks.gather(names) for name in rank)
        where = f"images {', '.join(names)}" if names else self.config.loss.column
        raise NonFiniteLoss(
            f"the loss is not finite in epoch {self.epoch + 1}, batch {number + 1} (step {self.step}): {where}; "
            + self._last_good()
        )

    def _newest(self) -> tuple[Path | None, UserError | None]:
        try:
            return checkpoint.newest(self.folder.unfinished()), None
        except UserError as error:
            return None, error

    def _last_good(self) -> str:
        path = self.folder.last
        return f"the last good state is in {path}" if path.is_file() else "there is no earlier checkpoint"
