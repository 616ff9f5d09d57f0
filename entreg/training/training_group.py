"""Run the training steps of one model, or of several that read the same images in the same order, on every rank.

Each rank takes its share of every global batch. Features are read and cast once for all trainings, and the sums over
ranks are computed once for each step. The trainings share nothing else: every number of a training is computed in the
same shapes and in the same order as if it were alone, so its bits do not depend on which other trainings are there,
have finished or have failed.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor

from entreg.config import Loss
from entreg.distributed.ranks import Stopped
from entreg.errors import UserError
from entreg.features.grid import Grid
from entreg.features.preload import preloaded
from entreg.features.rectified import Features
from entreg.features.store import FeatureStore
from entreg.losses.nll import fixation_weights, nlls_nats
from entreg.losses.nll_entropy import Settings as NllEntropy
from entreg.losses.nll_entropy import entropies_nats
from entreg.model.deepgaze3 import DeepGaze3, densities
from entreg.model.in_groups import in_groups
from entreg.model.log_density import LogDensity
from entreg.model.per_set import OnSet
from entreg.progress import Progress
from entreg.runs.log_routing import about
from entreg.study.bias_map import bias_map
from entreg.training import batches
from entreg.training.trainer import Trainer
from entreg.units import BITS_PER_NAT, Size, uniform_log_density_nats

log = logging.getLogger(__name__)


class TrainingGroup:
    """Trainings that read the same images in the same batch order, with the same features and centre biases.

    active: the trainings that are neither finished nor failed
    """

    def __init__(
        self, trainers: Sequence[Trainer], on_failure: Callable[[Trainer, UserError], None] | None = None
    ) -> None:
        """Form a group. on_failure: called with each training that fails and its error; None: the error is raised."""
        self.active, self._on_failure = list(trainers), on_failure
        first = self.active[0]
        self.config, self.ranks, self.precision = first.config, first.ranks, first.precision
        self.training, self.validation, self.uniform = first.training, first.validation, first.uniform
        self.landscape, self.prior_nats = first.study.landscape, first.prior_nats

    def run(self) -> Iterator[tuple[Trainer, LogDensity]]:
        """Train all to their last epochs, from their checkpoints where there are any; yield each that has got there.

        With it comes its bias map at the study's landscape size, for the caller to finish the training with.
        Raises Stopped where a rank was asked to stop, after all trainings have been saved.
        """
        for trainer in list(self.active):
            self._guarded(trainer, trainer.begin)
        goes_on = any(trainer.epoch < trainer.config.trainer.epochs for trainer in self.active)
        with preloaded(self._rows_read(), self.config.store.hold, self.ranks) if goes_on else nullcontext():
            while True:
                for trainer in list(self.active):
                    if trainer.epoch >= trainer.config.trainer.epochs:
                        landscape_map = bias_map(trainer.model, self.uniform[self.landscape])
                        self.active.remove(trainer)
                        yield trainer, landscape_map
                if not self.active:
                    return
                self._epoch(min(trainer.epoch for trainer in self.active))

    def _rows_read(self) -> dict[FeatureStore, list[int]]:
        """Return the rows of each feature store that every epoch reads."""
        rows: dict[FeatureStore, list[int]] = {}
        for split in (self.training, self.validation):
            for store, of_part in split.rows_read().items():
                rows.setdefault(store, []).extend(of_part)
        for uniform in self.uniform.values():
            rows.setdefault(uniform.store, []).extend(range(len(uniform)))
        return rows

    def _epoch(self, epoch: int) -> None:
        """Take the remaining steps of an epoch, then validate and save."""
        started, images = time.perf_counter(), 0
        config = self.config
        order = batches.shuffled(self.training.kinds, config.trainer.batch_size, config.order_seed, epoch)
        done = min(trainer.step for trainer in self.active) - epoch * len(order)  # every epoch has as many steps
        with Progress(f"epoch {epoch + 1}", len(order), "step", done) as progress:
            for number, items in enumerate(order[done:], start=done):
                if number + 1 < len(order):
                    self.training.prefetch(self.ranks.shard(order[number + 1]))
                stop = self.step(items, number)
                images += len(items)
                progress.step()
                if stop:
                    self._save_all()
                    raise Stopped
                if not self.active:
                    return
        rate = images / (time.perf_counter() - started)
        for trainer, validation in zip(list(self.active), self.validate(), strict=True):
            # a training that was saved later than the others before a kill has waited for them
            if trainer.epoch == epoch:
                landscape_map = bias_map(trainer.model, self.uniform[self.landscape])
                self._guarded(trainer, partial(trainer.finish_epoch, validation, landscape_map, rate, started))

    def _save_all(self) -> None:
        for trainer in self.active:
            with about(trainer.folder):
                trainer.save(trainer.folder.last)
                log.info("asked to stop: saved at epoch %d, step %d", trainer.epoch + 1, trainer.step)

    def step(self, items: list[int], number: int) -> bool:
        """Take one optimiser step of each training on a global batch; return whether any rank was asked to stop.

        items: the batch's images, as indices into the training split; number: that of the batch in its epoch
        """
        ranks, training = self.ranks, self.training
        step = min(trainer.step for trainer in self.active)
        trainers = [trainer for trainer in self.active if trainer.step == step]
        rank_items = ranks.shard(items)
        # how many ranks were asked to stop, then NLL and bias entropy of each training
        sums = torch.zeros(1 + 2 * len(trainers), device=ranks.device)
        sums[0] = float(ranks.is_asked_to_stop)
        for trainer in trainers:
            trainer.optimizer.zero_grad(set_to_none=False)
        image_nlls = self._minimise_nll(trainers, items, rank_items, sums)
        regularised = self._regularise(step, trainers, training.sizes[items[0]], sums)
        gradients = [_gradient(p) for trainer in trainers for p in trainer.model.parameters()]
        stops, *values = self._summed(sums, gradients)
        for k, trainer in enumerate(trainers):
            nll, regulariser = values[2 * k : 2 * k + 2]
            if math.isfinite(nll) and math.isfinite(regulariser):
                trainer.add_step(nll, regulariser if trainer in regularised else None, len(items))
            else:
                self._guarded(trainer, partial(trainer.refuse_non_finite, number, rank_items, image_nlls[k]))
        return bool(stops > 0)

    def _summed(self, sums: Tensor, gradients: list[Tensor]) -> list[float]:
        """Return the numbers `sums` summed over ranks; the gradients become their sums over ranks."""
        if self.ranks.world_size > 1:
            message = self.ranks.sum(torch.cat([sums, *(gradient.flatten() for gradient in gradients)]))
            sums, *summed = torch.split(message, [len(sums), *(gradient.numel() for gradient in gradients)])
            for gradient, of_all in zip(gradients, summed, strict=True):
                gradient.copy_(of_all.view_as(gradient))
        values: list[float] = sums.tolist()
        return values

    def _minimise_nll(
        self, trainers: list[Trainer], items: list[int], rank_items: Sequence[int], sums: Tensor
    ) -> list[Tensor]:
        """Add this rank's part of the NLLs to `sums` and to the gradients.

        Returns for each training what each of the rank's images adds to the NLL: (n_rank_items,) nats.
        """
        if not rank_items:
            return [torch.zeros(0) for _ in trainers]
        ranks, batch = self.ranks, self.training.batch(rank_items)
        counts, weight = self.training.counts[items], self.training.weight(items)
        weights = [
            (fixation_weights(counts, trainer.config.loss.mean_over)[ranks.rank :: ranks.world_size] * weight).to(
                ranks.device
            )
            for trainer in trainers
        ]
        models = [trainer.model.on(self.training.set_of(items)) for trainer in trainers]
        at = batch.image, batch.y, batch.x
        nlls = nlls_nats(models, batch.features, batch.center_bias, batch.grid, self.precision, at, weights)
        for k, (_, image_nlls) in enumerate(nlls):
            sums[1 + 2 * k] = image_nlls.sum()
        torch.autograd.backward([nll for nll, _ in nlls])
        return [image_nlls for _, image_nlls in nlls]

    def _regularise(self, step: int, trainers: list[Trainer], size: Size, sums: Tensor) -> list[Trainer]:
        """Add to `sums` and to the gradients what losses compute from bias maps of `size`.

        Returns the trainings whose loss does so in this step.
        """
        regularised = [
            trainer for trainer in trainers if trainer.config.loss.regularises and step % trainer.config.loss.every == 0
        ]
        if not regularised:
            return []
        size = size if size in self.uniform else self.landscape  # images of any shape have uniform ones of that alone
        uniform = self.uniform[size]
        items = self.ranks.shard(range(len(uniform)))
        # a rank without images takes part in the sum over ranks all the same, forwards and backwards: it predicts one
        # map and keeps none of it
        features, center_bias, grid = uniform.inputs(items or [0])
        flat = torch.full_like(center_bias[:1], uniform_log_density_nats(size)).expand_as(center_bias)
        center_biases = [
            flat if trainer.config.loss.center_bias == "uniform" else center_bias for trainer in regularised
        ]

        # uniform images belong to no set, so their numbers are the averages, as their centre bias is that of all sets
        def shares(is_mean_entropy: bool, numbers: list[int]) -> list[Tensor]:
            chosen, biases = [regularised[k] for k in numbers], [center_biases[k] for k in numbers]
            models = [trainer.model for trainer in chosen]
            if is_mean_entropy:
                entropies = entropies_nats(models, features, biases, grid, self.precision)
                return [total * bool(items) / len(uniform) for total in entropies]
            predicted = self._densities(models, features, biases, grid)
            kept = [dataclasses.replace(density, grid=density.grid[: len(items)]) for density in predicted]
            pairs = zip(chosen, kept, strict=True)
            return [trainer.share(density, len(uniform), self.ranks) for trainer, density in pairs]

        losses = []
        found = in_groups([_is_mean_entropy(trainer.config.loss) for trainer in regularised], shares)
        for trainer, share in zip(regularised, found, strict=True):
            sums[2 + 2 * trainers.index(trainer)] = share.detach()
            losses.append(trainer.config.loss.weight * share)
        torch.autograd.backward(losses)
        return regularised

    @torch.no_grad()
    def validate(self) -> list[tuple[float, float]]:
        """Return each training's validation NLL (nats) and IG over the Gaussian prior (bit/fixation).

        Both are means over images of the mean over an image's fixations; images of several sets have the weights that
        they would have in the loss.
        """
        validation, device = self.validation, self.ranks.device
        sums = torch.zeros(len(self.active), 2, dtype=torch.float64, device=device)
        for items in batches.in_order(validation.kinds, self.config.trainer.batch_size):
            rank_items = self.ranks.shard(items)
            if not rank_items:
                continue
            batch = validation.batch(rank_items)
            models = [trainer.model.on(validation.set_of(items)) for trainer in self.active]
            predicted = self._densities(models, batch.features, [batch.center_bias] * len(models), batch.grid)
            for total, density in zip(sums, predicted, strict=True):
                log_p = torch.zeros(len(rank_items), dtype=torch.float64, device=device)
                log_p.index_add_(0, batch.image, density.at(batch.image, batch.y, batch.x).double())
                log_p /= validation.counts[rank_items].to(log_p)
                weight = validation.weight(items)
                total[0] -= weight * log_p.sum()
                total[1] += weight * ((log_p - self.prior_nats[rank_items].to(log_p)) * BITS_PER_NAT).sum()
        return [(nll, ig) for nll, ig in (self.ranks.sum(sums) / len(validation)).tolist()]

    def _densities(
        self,
        models: Sequence[DeepGaze3 | OnSet],
        features: Tensor | Sequence[Features],
        center_biases: list[Tensor],
        grid: Grid,
    ) -> list[LogDensity]:
        return densities(models, features, center_biases, grid, self.precision)

    def _guarded(self, trainer: Trainer, work: Callable[[], None]) -> None:
        """Do the work of one training; where it fails, that training leaves the group and the others go on."""
        try:
            with about(trainer.folder):
                work()
        except UserError as error:
            if self._on_failure is None:
                raise
            self._on_failure(trainer, error)
            self.active.remove(trainer)


def _gradient(parameter: torch.nn.Parameter) -> Tensor:
    """Return the parameter's gradient, which is 0 where no loss depends on it."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _is_mean_entropy(loss: Loss) -> bool:
    return isinstance(loss, NllEntropy) and loss.is_mean_entropy
