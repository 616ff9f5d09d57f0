"""Steps of trainings side by side, on every rank: one alone, or several that read the same images in the same order.

Each rank takes its slice of every global batch, features are read and cast once for all trainings, and sums over ranks
are made once a step. Nothing else is shared: every number of a training is computed in the same shapes and in the same
order as if it were alone, so its bits do not depend on who else is there, has finished or has left.
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

from entreg.errors import UserError
from entreg.features.grid import Grid
from entreg.features.held import held
from entreg.features.store import FeatureStore
from entreg.losses.nll import fixation_weights, nll_nats
from entreg.model.deepgaze3 import densities
from entreg.model.log_density import LogDensity
from entreg.numerics import BITS_PER_NAT
from entreg.progress import Progress
from entreg.ranks import Stopped
from entreg.run.logs import about
from entreg.study.part import Size
from entreg.train import batches
from entreg.train.trainer import Trainer

log = logging.getLogger(__name__)


class Company:
    """Trainings of one batch order on the same images with the same features and centre biases.

    working: those that have epochs to go
    """

    def __init__(self, trainers: Sequence[Trainer], leave: Callable[[Trainer, UserError], None] | None = None) -> None:
        """leave: told of each training that failed and why, while the others go on; None: its error is raised."""
        self.working, self._leave = list(trainers), leave
        first = self.working[0]
        self.config, self.ranks, self.precision = first.config, first.ranks, first.precision
        self.training, self.validation, self.uniform = first.training, first.validation, first.uniform
        self.landscape, self.prior_nats = first.study.landscape, first.prior_nats

    def run(self) -> Iterator[tuple[Trainer, LogDensity]]:
        """Train all to their last epochs, from their checkpoints where they have some; yield each that is done.

        With it comes its bias map at the study's landscape size: who asked for the trainings finishes them.
        Stopped where asked to stop, after all have saved.
        """
        for trainer in list(self.working):
            self._guarded(trainer, trainer.begin)
        goes_on = any(trainer.epoch < trainer.config.trainer.epochs for trainer in self.working)
        with held(self._read(), self.config.store.hold, self.ranks) if goes_on else nullcontext():
            while True:
                for trainer in list(self.working):
                    if trainer.epoch >= trainer.config.trainer.epochs:
                        (bias_map,) = self.bias_maps([trainer])
                        self.working.remove(trainer)
                        yield trainer, bias_map
                if not self.working:
                    return
                self._epoch(min(trainer.epoch for trainer in self.working))

    def _read(self) -> dict[FeatureStore, list[int]]:
        """The features that every epoch reads: of each store its numbers."""
        found: dict[FeatureStore, list[int]] = {}
        for part in (self.training, self.validation):
            found.setdefault(part.store, []).extend(part.rows)
        for uniform in self.uniform.values():
            found.setdefault(uniform.store, []).extend(range(len(uniform)))
        return found

    def _epoch(self, epoch: int) -> None:
        started, images = time.perf_counter(), 0
        config = self.config
        order = batches.shuffled(self.training.sizes, config.trainer.batch_size, config.order_seed, epoch)
        done = min(trainer.step for trainer in self.working) - epoch * len(order)  # every epoch has as many steps
        with Progress(f"epoch {epoch + 1}", len(order), "step", done) as progress:
            for number, members in enumerate(order[done:], start=done):
                if number + 1 < len(order):
                    self.training.prefetch(self.ranks.mine(order[number + 1]))
                stop = self.step(members, number)
                images += len(members)
                progress.step()
                if stop:
                    self._save_all()
                    raise Stopped
                if not self.working:
                    return
        rate = images / (time.perf_counter() - started)
        validations, bias_maps = self.validate(), self.bias_maps(self.working)
        for trainer, validation, bias_map in zip(list(self.working), validations, bias_maps, strict=True):
            # one that was saved later than the others before a kill has waited for them
            if trainer.epoch == epoch:
                self._guarded(trainer, partial(trainer.finish_epoch, validation, bias_map, rate, started))

    def _save_all(self) -> None:
        for trainer in self.working:
            with about(trainer.folder):
                trainer.save(trainer.folder.last)
                log.info("asked to stop: saved at epoch %d, step %d", trainer.epoch + 1, trainer.step)

    def step(self, members: list[int], number: int) -> bool:
        """One optimiser step of each training on a global batch; whether any rank was asked to stop."""
        ranks, device, training = self.ranks, self.ranks.device, self.training
        step = min(trainer.step for trainer in self.working)
        trainers = [trainer for trainer in self.working if trainer.step == step]
        mine = ranks.mine(members)
        own = {trainer.folder: torch.zeros(0) for trainer in trainers}
        sums = torch.zeros(1 + 2 * len(trainers), device=device)  # stop requests; NLL and bias entropy of each
        sums[0] = float(ranks.is_asked_to_stop)
        for trainer in trainers:
            trainer.optimizer.zero_grad(set_to_none=False)
        if mine:
            counts = training.counts[members]
            batch = training.batch(mine)
            found = self._densities(trainers, batch.features, [batch.center_bias] * len(trainers), batch.grid)
            losses = []
            for place, (trainer, density) in enumerate(zip(trainers, found, strict=True)):
                weights = fixation_weights(counts, trainer.config.loss.mean_over)[ranks.rank :: ranks.count]
                one = nll_nats(density, batch.image, batch.y, batch.x, weights.to(device))
                own[trainer.folder] = one.detach()
                sums[1 + 2 * place] = one.detach().sum()
                losses.append(one.sum())
            torch.autograd.backward(losses)
        regularised = self._regularise(step, trainers, training.sizes[members[0]], sums)
        gradients = [[_gradient(p) for p in trainer.model.parameters()] for trainer in trainers]
        flat = [gradient.flatten() for own_ones in gradients for gradient in own_ones]
        message = ranks.sum(torch.cat([sums, *flat]))
        stops, *values = message[: len(sums)].tolist()
        totals = iter(message[len(sums) :].split([len(one) for one in flat]))
        for trainer, own_ones, nll, of_bias_map in zip(trainers, gradients, values[::2], values[1::2], strict=True):
            for gradient in own_ones:
                gradient.copy_(next(totals).view_as(gradient))
            if math.isfinite(nll) and math.isfinite(of_bias_map):
                trainer.add_step(nll, of_bias_map if trainer in regularised else None, len(members))
            else:
                self._guarded(trainer, partial(trainer.refuse_non_finite, number, mine, own[trainer.folder]))
        return stops > 0

    def _regularise(self, step: int, trainers: list[Trainer], size: Size, sums: Tensor) -> list[Trainer]:
        """Adds to gradients and sums what losses compute from bias maps of `size`; the trainings where one does."""
        regularised = [
            trainer for trainer in trainers if trainer.config.loss.regularises and step % trainer.config.loss.every == 0
        ]
        if not regularised:
            return []
        size = size if size in self.uniform else self.landscape  # images of any shape have uniform ones of that alone
        uniform = self.uniform[size]
        members = self.ranks.mine(range(len(uniform)))
        # a rank without images joins a sum over ranks all the same, forwards and backwards: it keeps none of one map
        features, center_bias, grid = uniform.inputs(members or [0])
        flat = torch.full_like(center_bias, -math.log(size[0] * size[1]))
        given = [flat if trainer.config.loss.center_bias == "uniform" else center_bias for trainer in regularised]
        losses = []
        for trainer, density in zip(regularised, self._densities(regularised, features, given, grid), strict=True):
            loss = trainer.config.loss
            density = dataclasses.replace(density, grid=density.grid[: len(members)])
            share = loss.share(density, len(uniform), self.ranks)
            sums[2 + 2 * trainers.index(trainer)] = share.detach()
            losses.append(loss.weight * share)
        torch.autograd.backward(losses)
        return regularised

    @torch.no_grad()
    def bias_maps(self, trainers: Sequence[Trainer]) -> list[LogDensity]:
        """Return of each training the mean density on the uniform images at the study's landscape size."""
        uniform = self.uniform[self.landscape]
        features, center_bias, grid = uniform.inputs(range(len(uniform)))
        found = self._densities(trainers, features, [center_bias] * len(trainers), grid)
        return [density.mean() for density in found]

    @torch.no_grad()
    def validate(self) -> list[tuple[float, float]]:
        """Of each training validation NLL (nats) and IG over the Gaussian prior (bit/fixation): means over images."""
        validation, device = self.validation, self.ranks.device
        sums = torch.zeros(len(self.working), 2, dtype=torch.float64, device=device)
        for members in batches.in_order(validation.sizes, self.config.trainer.batch_size):
            mine = self.ranks.mine(members)
            if not mine:
                continue
            batch = validation.batch(mine)
            given = [batch.center_bias] * len(self.working)
            found = self._densities(self.working, batch.features, given, batch.grid)
            for total, density in zip(sums, found, strict=True):
                log_p = torch.zeros(len(mine), dtype=torch.float64, device=device)
                log_p.index_add_(0, batch.image, density.at(batch.image, batch.y, batch.x).double())
                log_p /= validation.counts[mine].to(log_p)
                total[0] -= log_p.sum()
                total[1] += ((log_p - self.prior_nats[mine].to(log_p)) * BITS_PER_NAT).sum()
        return [(nll, ig) for nll, ig in (self.ranks.sum(sums) / len(validation)).tolist()]

    def _densities(
        self, trainers: Sequence[Trainer], features: Tensor | Sequence[Tensor], center_biases: list[Tensor], grid: Grid
    ) -> list[LogDensity]:
        return densities([trainer.model for trainer in trainers], features, center_biases, grid, self.precision)

    def _guarded(self, trainer: Trainer, work: Callable[[], None]) -> None:
        """Work for one training, which leaves where that fails for a reason of its own."""
        try:
            with about(trainer.folder):
                work()
        except UserError as error:
            if self._leave is None:
                raise
            self._leave(trainer, error)
            self.working.remove(trainer)


def _gradient(parameter: torch.nn.Parameter) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
