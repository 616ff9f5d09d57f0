"""The training step as published, with the backbone and full resolution for every image of every step."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor

from entreg.features.backbone import Taps
from entreg.model import reference


class PlainStep:
    """The backbone, forward pass, backward pass and Adam on a batch, by default in float32."""

    def __init__(
        self, backbone: Taps, parameters: Mapping[str, Tensor], precision: torch.dtype = torch.float32
    ) -> None:
        self.backbone, self.precision = backbone, precision
        self.parameters = {name: p.detach().clone().requires_grad_() for name, p in parameters.items()}
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=0.001585)

    @torch.no_grad()
    def taps(self, images: Tensor) -> list[Tensor]:
        """Return each tap, (B, C, h, w), float32."""
        with nullcontext() if self.precision == torch.float32 else torch.autocast("cpu", self.precision):
            return [tap.float() for tap in self.backbone(images)]

    def gradients(self, images: Tensor, center_bias: Tensor, fixations: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return the log density (B, H, W), and store the gradients of the NLL in the parameters."""
        self.optimizer.zero_grad()
        log_density = reference.log_density(self.parameters, self.taps(images), center_bias, 2, 4, 4)
        torch.autograd.backward(reference.nll_nats(log_density, fixations))
        return log_density.detach()

    def __call__(self, images: Tensor, center_bias: Tensor, fixations: list[tuple[Tensor, Tensor]]) -> None:
        """Do a training step."""
        self.gradients(images, center_bias, fixations)
        self.optimizer.step()
