"""Small densities whose cells are pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from entreg.model.log_density import LogDensity


def density_of(p: np.ndarray) -> LogDensity:
    """(B, h, w) probabilities of pixels as a log density whose cells are pixels."""
    ones = torch.ones(p.shape[1], dtype=torch.long), torch.ones(p.shape[2], dtype=torch.long)
    return LogDensity(torch.from_numpy(p).log(), *ones)


@pytest.fixture
def two() -> LogDensity:
    return density_of(np.random.default_rng(0).dirichlet(np.ones(12), 2).reshape(2, 3, 4))
