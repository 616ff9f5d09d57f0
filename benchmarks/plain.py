"""The training step as published: backbone and full resolution for every image of every step."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor

from entreg.features.backbone import Taps
from entreg.model import reference


class PlainStep:
    """Backbone, forward, backward and Adam on a batch, float32 and contiguous unless told otherwise."""

    def __init__(
        self, backbone: Taps, parameters: Mapping[str, Tensor], precision: torch.dtype = torch.float32
    ) -> None:
        self.backbone, self.precision = backbone, precision
        self.parameters = {name: p.detach().clone().requires_grad_() for name, p in parameters.items()}
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=0.001585)

    @torch.no_grad()
    def taps(self, images: Tensor) -> list[Tensor]:
        """(B, C, h, w) of each tap, float32."""
        with nullcontext() if self.precision == torch.float32 else torch.autocast("cpu", self.precision):
            return [tap.float() for tap in self.backbone(images)]

    def gradients(self, images: Tensor, center_bias: Tensor, fixations: list[tuple[Tensor, Tensor]]) -> Tensor:
        """(B, H, W) log density; leaves the gradients of the NLL in the parameters."""
        self.optimizer.zero_grad()
        found = reference.log_density(self.parameters, self.taps(images), center_bias, 2, 4, 4)
        reference.nll_nats(found, fixations).backward()
        return found.detach()

    def __call__(self, images: Tensor, center_bias: Tensor, fixations: list[tuple[Tensor, Tensor]]) -> None:
        self.gradients(images, center_bias, fixations)
        self.optimizer.step()
