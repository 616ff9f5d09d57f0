"""Threads and normalisations whose bits, forwards and backwards, are the same for an image whatever its batch holds.

Some gradients of the model nearly cancel, and Adam makes whole steps of what is left: that must not be rounding, which
would depend on how a batch is cut up among ranks.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Event
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

BITS_PER_NAT = 1 / math.log(2)
VECTOR = 32  # float32 numbers that a pointwise function of PyTorch computes at a time

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Does the work for each item, every thread one at a time and alone.

    Threads that share a small product mostly wait for each other, and its bits would depend on their number. Where one
    item fails the rest is not begun.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(work, items)
        return

    running: list[Event] = []
    left = Event()

    def alone(item: Item) -> Result:
        ended = Event()
        running.append(ended)  # before it is asked whether to begin: so whoever leaves sees this, or this sees it
        try:
            if left.is_set():
                raise CancelledError
            torch.set_num_threads(1)  # of this thread; those that begin meanwhile take it too, so it is put back below
            return work(item)
        finally:
            ended.set()

    begun: deque[Future[Result]] = deque()
    try:
        pool = _pool(threads)
        begun.extend(pool.submit(alone, item) for item in items)
        while begun:
            yield begun.popleft().result()
    finally:
        left.set()
        for future in begun:
            future.cancel()
        for ended in running:  # also of a future that an interrupt kept from being noted
            ended.wait()
        torch.set_num_threads(threads)


@contextmanager
def one_thread() -> Iterator[None]:
    """Meanwhile PyTorch computes in this thread alone: bits of a sum that threads share depend on their number."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Kept: threads that are new for each step take a seventh of it, for their start, their memory and their end."""
    return ThreadPoolExecutor(threads, "entreg")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork has the pool, but none of its threads


def wake_log1p() -> None:
    """Makes log1p, and with it softplus, as fast on the CPU as it can be: ten times faster where this was never done.

    Its AVX-512 code reads a constant through a mask that is empty unless an argument is -0. As long as nothing else has
    touched that constant's page of memory the processor handles a suppressed fault for each 16 numbers instead.
    """
    torch.log1p(torch.full((64,), -0.0))


def softplus(x: Tensor) -> Tensor:
    """Log(1 + exp x), of each number to bits that do not depend on where it stands.

    PyTorch rounds what is left over of whole vectors otherwise, so nothing is left over.
    """
    missing = -x.numel() % VECTOR
    if missing == 0 or x.is_cuda:
        return F.softplus(x)
    return F.softplus(F.pad(x.flatten(), (0, missing)))[: x.numel()].view(x.shape)


def bmm(a: Tensor, b: Tensor) -> Tensor:
    """(B, n, m) times (B, m, k): (B, n, k), each product to bits that do not depend on B.

    PyTorch gives a batch of one to another function of the library than one of several, so it becomes one of two.
    """
    if len(a) == 1 and not a.is_cuda:
        return torch.bmm(a.expand(2, -1, -1), b.expand(2, -1, -1))[:1]
    return torch.bmm(a, b)


def normalised(features: Tensor, weights: Tensor | None) -> Tensor:
    """Features (B, cells, C) with mean 0 and variance 1 over cells and channels together, one pair an image.

    The published layer normalisation (eps 1e-12) without its affine part. weights: see `Grid.weights`.
    """
    if weights is None:
        return _Normalised.apply(features)
    weights = (weights.to(features) / features.shape[2])[:, None]
    centred = features - (weights * features).sum((1, 2), keepdim=True)
    return centred * ((weights * centred.square()).sum((1, 2), keepdim=True) + 1e-12).rsqrt()


class _Normalised(torch.autograd.Function):
    """PyTorch's layer norm with a backward pass of ours: its own leaves several times the rounding of float32."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        found, _, rstd = torch.native_layer_norm(features, features.shape[1:], None, None, 1e-12)
        ctx.save_for_backward(found, rstd)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        found, rstd = ctx.saved_tensors
        mean = gradient.mean((1, 2), keepdim=True)
        slope = torch.linalg.vecdot(gradient.flatten(1), found.flatten(1))[:, None, None] / found[0].numel()
        return (gradient - mean).addcmul_(found, slope, value=-1).mul_(rstd)
