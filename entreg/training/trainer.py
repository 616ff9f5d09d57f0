"""The state of one training: its model, its optimiser, its history, and the files that it writes into its folder."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from entreg.config import Config
from entreg.data.fingerprint import Fingerprint
from entreg.distributed.precision import precision_of
from entreg.distributed.ranks import Ranks
from entreg.distributed.threads import one_thread
from entreg.errors import DataError, NonFiniteLoss, UserError
from entreg.io import files
from entreg.io.sums import sums_of
from entreg.model import published_weights, step_library
from entreg.model.deepgaze3 import DeepGaze3, densities
from entreg.model.log_density import LogDensity
from entreg.model.per_set import PerSet
from entreg.report.panels import Prediction
from entreg.runs import checkpoint
from entreg.runs.folder import RunFolder, plain
from entreg.study import changed_sets
from entreg.study.pooled_split import PooledSplit
from entreg.study.split import UniformInputs
from entreg.training import training_figures
from entreg.training.optimizer import groups_of, optimizer_of
from entreg.training.progress_loggers import Reports
from entreg.training.schedule import schedule_of
from entreg.units import BITS_PER_NAT, Size

log = logging.getLogger(__name__)


class TrainableStudy(Protocol):
    """What a Trainer reads of a study, see `Study`."""

    @property
    def config(self) -> Config:
        """The settings of the run."""

    @property
    def ranks(self) -> Ranks:
        """This process among the processes of the run."""

    @property
    def training(self) -> PooledSplit:
        """The images that are trained on."""

    @property
    def validation(self) -> PooledSplit:
        """The images that are validated on."""

    @property
    def landscape(self) -> Size:
        """The (H, W) at which bias maps are reported."""

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprints of what is read, by name."""

    @property
    def sets(self) -> dict[str, Fingerprint]:
        """The fingerprint of each data set by its key."""

    @property
    def keeps_shapes(self) -> bool:
        """Whether images have any shape."""

    def uniform(self, size: Size) -> UniformInputs:
        """Return the uniform images of this size."""


class Trainer:
    """A model, its optimiser and the history of its training so far. `TrainingGroup` takes the steps.

    share: what the loss computes from bias maps, see `Loss.share`
    history, steps: a row for each epoch and for each step
    sum_nll_nats, images_seen: of the current epoch; the sum is weighted by images
    """

    def __init__(self, study: TrainableStudy, folder: RunFolder) -> None:
        config = study.config
        self.study, self.config, self.ranks, self.folder = study, config, study.ranks, folder
        self.share = config.loss.ready(config.allow)
        # this file is read before hours of features are built, since it may not fit
        start = published_weights.start_of(config.model)
        self.training, self.validation = study.training, study.validation
        self.fingerprints = study.fingerprints | {"features": self.training.stores}
        device = self.ranks.device
        self.precision = precision_of(config.hardware, device.type)
        channels = self.training.recipe.channels
        own = PerSet([*self.training.parts], config.model.per_set) if config.model.per_set else None
        self.model = DeepGaze3(channels, config.model.sigma_px, config.seed, own).to(device)
        if start is not None:
            start.start(self.model, config.model, self.training.recipe.backbone.state_dict())
            self.fingerprints |= {"init_from": start.sha256}
        stored = self.training.recipe.dtype
        self._steps, self._why_plain = step_library.candidates(config.hardware, device.type, self.precision, stored)
        self.model.step = self._steps[0]
        self.optimizer = optimizer_of(groups_of(self.model, config.optim.lr), config.optim)
        self.schedule = schedule_of(self.optimizer, config.optim, config.trainer.epochs)
        self.epoch, self.step = 0, 0
        self.sum_nll_nats, self.images_seen = 0.0, 0
        self.history: list[dict[str, Any]] = []
        self.steps: list[dict[str, Any]] = []
        self.reports: Reports | None = None
        # images of any shape would need uniform images of each shape
        shapes = {study.landscape} if study.keeps_shapes else {*self.training.sizes, study.landscape}
        self.uniform = {size: study.uniform(size) for size in sorted(shapes)}
        priors = self.validation.gaussian_log_priors(config.prior)
        self.prior_nats = torch.tensor([p.mean() for p in priors], dtype=torch.float64)
        remark = config.loss.remark()
        if remark is not None:
            log.warning("%s", remark)
        if config.loss.regularises and self.uniform[study.landscape].look_alike:
            log.warning(
                "the backbone's features of a uniform image are the same everywhere, as without padding, so that "
                "the bias map shows nothing of the networks, and loss=%s changes nothing of them",
                config.loss.name,
            )
        if self.ranks.is_first:
            log.info(
                "%s on %d %s rank(s), %s, global batch %d, seed %d",
                config.loss.name,
                self.ranks.world_size,
                device.type,
                self.precision,
                config.trainer.batch_size,
                config.seed,
            )

    def finish(self, bias_map: LogDensity) -> None:
        """Draw the figures, then write final.pt: where it exists, the run is trained.

        A figure that cannot be written, on a disk that is full, does not undo a training: it is owed.

        bias_map: see `bias_map.bias_map`, at the study's landscape size
        """
        if self.ranks.is_first:
            for of_set, numbers in self.model.own_numbers().items():
                log.info("%s: %s", of_set, ", ".join(f"{number} {value:.3f}" for number, value in numbers.items()))
            try:
                self._draw(bias_map)
            except DataError as error:
                log.warning(
                    "%s; %s is trained, and its pictures are owed: the same command draws them", error, self.folder
                )
            self.save(self.folder.final, file_sums=sums_of(self.folder.path, self.folder.sealed))
            if not self.folder.owes_pictures:  # they are drawn from there
                self.folder.last.unlink(missing_ok=True)
        self.ranks.barrier()

    def _draw(self, bias_map: LogDensity) -> None:
        """Draw the figures. Raises a DataError where one cannot be written."""
        training_figures.loss_curves(self.folder.loss_curves, {self.config.loss.name: self.history})
        training_figures.bias_map(self.folder.bias_map, bias_map.full()[0].cpu().numpy())
        training_figures.predictions(self.folder.predictions, self._examples())
        if self.reports is not None:
            self.reports.finish({"bias_map": self.folder.bias_map, "predictions": self.folder.predictions})

    @torch.no_grad()
    def _examples(self) -> list[Prediction]:
        """Return what the model predicts for the first validation images."""
        validation, examples = self.validation, []
        for i in range(min(4, len(validation))):
            batch = validation.batch([i])
            model = self.model.on(validation.set_of([i]))
            density = densities([model], batch.features, [batch.center_bias], batch.grid, self.precision)[0]
            y, x = (axis.numpy() for axis in validation.fixations[i])
            ig = float(density.at(batch.image, batch.y, batch.x).mean() - self.prior_nats[i]) * BITS_PER_NAT
            image = validation.read(i)
            map_nats = density.full()[0].cpu().numpy()
            examples.append(Prediction(validation.names[i], f"{ig:.2f} bit/fixation", image, map_nats, y, x))
        return examples

    def add_step(self, nll_nats: float, regulariser: float | None, images: int) -> None:
        """Take a step with the gradients that the model has, and record what was minimised.

        regulariser: what the loss computed from the bias map; None where it computed nothing in this step
        images: the size of the global batch
        """
        with one_thread():  # a few thousand numbers: threads would mostly wait for each other
            self.optimizer.step()
        self.sum_nll_nats += nll_nats * images
        self.images_seen += images
        self.steps.append(
            {
                "step": self.step,
                "epoch": self.epoch + 1,
                "nll_nats": nll_nats,
                self.config.loss.column: regulariser,
            }
        )
        self.step += 1

    def finish_epoch(self, validation: tuple[float, float], bias_map: LogDensity, rate: float, started: float) -> None:
        """End an epoch after its last step: adjust the learning rate, record the epoch, save.

        validation: NLL (nats) and IG (bit/fixation); bias_map: at the landscape size; rate: images/s; started: when the
            epoch started, by `time.perf_counter`
        """
        lr = float(self.schedule.get_last_lr()[0])
        self.schedule.step()
        self.epoch += 1
        validation_nll, validation_ig = validation
        if not math.isfinite(validation_nll):
            raise NonFiniteLoss(f"the validation NLL is {validation_nll} after epoch {self.epoch}; {self._last_good()}")
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
        } | {
            f"{number}.{of_set}": value
            for of_set, numbers in self.model.own_numbers().items()
            for number, value in numbers.items()
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
            # A kill between any two of these writes loses nothing: a run resumes from last.pt, which is written after
            # the numbered checkpoint of the same epoch, and writes the tables again from it.
            if self.epoch % self.config.trainer.checkpoint_every == 0:
                self.save(self.folder.numbered(self.epoch))
            self.save(self.folder.last)
            self._write_tables()

    def _write_tables(self) -> None:
        """Write metrics.csv and steps.csv, and what the loggers do not have yet."""
        files.write_csv(self.folder.metrics, self.history)
        files.write_csv(self.folder.steps, self.steps)
        if self.reports is not None:
            self.reports.tell(self.history, self.steps)

    def save(self, path: Path, **more: Any) -> None:
        """Write a checkpoint, on the first rank alone. more: what it holds beside the state of the training."""
        if self.ranks.is_first:
            checkpoint.write(
                path,
                {
                    "model": self.model.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "scheduler": self.schedule.state_dict(),
                    "random_state": checkpoint.random_state(),
                    "epoch": self.epoch,
                    "step": self.step,
                    "sums": [self.sum_nll_nats, self.images_seen],
                    "history": self.history,
                    "steps": self.steps,
                    "config": plain(self.config),
                    "fingerprints": self.fingerprints,
                    "step_version": step_library.description(self.model.step),
                    "sets": [*self.training.parts],  # in the order of the numbers that each has of its own
                    **more,
                },
            )

    def begin(self) -> None:
        """Resume from the newest checkpoint, where there is one, and begin to report to the loggers that are chosen.

        Raises a DataError where the checkpoint belongs to another training.
        """
        self._resume()
        if self.ranks.is_first:
            version = step_library.description(self.model.step)
            log.info("steps are computed by %s", version if self._why_plain is None else f"torch: {self._why_plain}")
            self.folder.amend_start(step_version=version)
            self.reports = Reports(self.config, self.folder)
            self.reports.tell(self.history, self.steps)

    def _resume(self) -> None:
        """Resume from the newest checkpoint; see `begin`."""
        # the first rank alone looks for it, since it sets damaged files aside; where it refuses, all ranks refuse
        path, error = self.ranks.gather(self._newest() if self.ranks.is_first else (None, None))[0]
        if error is not None:
            raise error
        if path is None:
            return
        state = checkpoint.read(path)
        try:
            before = state["fingerprints"]
            foreign = {name: digest for name, digest in before.items() if name.startswith("ood.")}
            changed = [name for name, value in self.fingerprints.items() if before.get(name, value) != value]
            recorded = changed_sets.recorded(self.folder, before) if changed else {}
            sets = changed_sets.since(recorded, self.study.sets)
            # another choice of foreign images is no change of a foreign set
            changed = [name for name in changed if name not in foreign] + [
                key for key in sets if not changed_sets.is_trained_on(key)
            ]
            if changed:
                what = changed_sets.in_words(sets)
                raise DataError(
                    f"{path} was trained on other contents than are there now: {', '.join(changed)} changed"
                    f"{what and f' ({what})'}; bring those back, or train anew in another folder "
                    "(hydra.run.dir=FOLDER, for a sweep hydra.sweep.dir=FOLDER)"
                )
            self.fingerprints |= foreign  # as they were when the training began
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["scheduler"])
            checkpoint.restore_random_state(state["random_state"])
            self.epoch, self.step = state["epoch"], state["step"]
            self.sum_nll_nats, self.images_seen = state["sums"]
            self.history, self.steps = state["history"], state["steps"]
            # before this was recorded, PyTorch computed all steps
            self._go_on_with(state.get("step_version", step_library.TORCH))
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"{path} does not hold the state of this training ({reason}); remove it to begin anew"
            ) from error
        log.info("resumed from %s: epoch %d, step %d", path, self.epoch + 1, self.step)
        if self.ranks.is_first and self.history:
            self._write_tables()

    def _go_on_with(self, saved: str) -> None:
        """Compute steps by the version that the training began with, where this machine and the settings allow it."""
        name = saved.partition(" ")[0]
        if name in self._steps:
            self.model.step = name
        now = step_library.description(self.model.step)
        if now != saved:
            log.warning(
                "steps were computed by %s so far and are now by %s, so that the last digits will differ from those of "
                "a training without interruption",
                saved,
                now,
            )

    def refuse_non_finite(self, number: int, items: Sequence[int], image_nlls: Tensor) -> None:
        """Raise a NonFiniteLoss that names the images. All ranks have seen the same sum, so all of them call this.

        number: that of the batch; items: this rank's images of it; image_nlls: what each of these adds to the NLL
        """
        values = zip(items, image_nlls.tolist(), strict=True)
        names = [self.training.names[i] for i, value in values if not math.isfinite(value)]
        names = sorted(name for rank in self.ranks.gather(names) for name in rank)
        where = f"images {', '.join(names)}" if names else self.config.loss.column
        raise NonFiniteLoss(
            f"the loss is not finite in epoch {self.epoch + 1}, batch {number + 1} (step {self.step}): {where}; "
            + self._last_good()
        )

    def _newest(self) -> tuple[Path | None, UserError | None]:
        """Return the newest checkpoint that can be read, or why it is refused."""
        try:
            return checkpoint.newest(self.folder.unfinished()), None
        except UserError as error:
            return None, error

    def _last_good(self) -> str:
        """Say which checkpoint the training can resume from."""
        path = self.folder.last
        return f"the last good state is in {path}" if path.is_file() else "there is no earlier checkpoint"
