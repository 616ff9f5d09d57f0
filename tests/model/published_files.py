"""Files of the published layout with random numbers: no real file was at hand when this was written.

Names and shapes are those of deepgaze_pytorch's modules (IIE: MixtureModel of DeepGazeIIIMixture; DeepGaze III).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torchvision
from torch import Tensor

BACKBONE = "features.features.1."


def densenet(seed: int = 0) -> dict[str, Tensor]:
    """DenseNet-201's state dict."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torchvision.models.densenet201(weights=None).state_dict()


def component(generator: torch.Generator, scanpath_channels: int = 0) -> dict[str, Tensor]:
    """One component's parameters, by the three networks' names without their numbers."""

    def random(*shape: int, around: float = 0.0, spread: float = 0.2) -> Tensor:
        return around + spread * torch.randn(shape, generator=generator)

    found = {}
    for i, (before, after) in enumerate(((2048, 8), (8, 16), (16, 1))):
        found |= {
            f"saliency_networks.layernorm{i}.weight": random(before, around=1.0),
            f"saliency_networks.layernorm{i}.bias": random(before),
            f"saliency_networks.conv{i}.weight": random(after, before, 1, 1, spread=before**-0.5),
            f"saliency_networks.bias{i}.bias": random(after),
        }
    networks = "fixation_selection_networks"
    for part, channels in enumerate((1, scanpath_channels)[: 2 if scanpath_channels else 1]):
        found |= {
            f"{networks}.layernorm0.layernorm_part{part}.weight": random(channels, around=1.0),
            f"{networks}.layernorm0.layernorm_part{part}.bias": random(channels),
            f"{networks}.conv0.conv_part{part}.weight": random(128, channels, 1, 1),
        }
    found |= {
        f"{networks}.bias0.bias": random(128),
        f"{networks}.layernorm1.weight": random(128, around=1.0),
        f"{networks}.layernorm1.bias": random(128),
        f"{networks}.conv1.weight": random(16, 128, 1, 1, spread=0.1),
        f"{networks}.bias1.bias": random(16),
        f"{networks}.conv2.weight": random(1, 16, 1, 1, spread=0.5),
        "finalizers.gauss.sigma": random(around=4.0)[()],
        "finalizers.center_bias_weight": random(1, around=0.8),
    }
    if scanpath_channels:
        found |= {"scanpath_networks.encoding0.conv_x.weight": random(128, 4, 1, 1)}
    return found


def iie(backbone: Mapping[str, Tensor], components: int = 30) -> dict[str, Tensor]:
    """deepgaze2e.pth: the third of its four backbones is DenseNet-201; of the others a few keys."""
    generator = torch.Generator().manual_seed(7)
    state = {f"models.{b}.features.features.1.module.conv1.weight": torch.zeros(64, 3, 7, 7) for b in (0, 3)}
    state |= {"models.0.saliency_networks.0.conv0.weight": torch.zeros(8, 2048, 1, 1)}
    state |= {f"models.2.{BACKBONE}{key}": value for key, value in backbone.items()}
    for number in range(components):
        for key, value in component(generator).items():
            state[f"models.2.{key.replace('.', f'.{number}.', 1)}"] = value
    return state


def iii(backbone: Mapping[str, Tensor], components: int = 10) -> dict[str, Tensor]:
    """deepgaze3.pth, whose fixation selection networks take 16 channels of the scanpath beside the saliency."""
    generator = torch.Generator().manual_seed(8)
    state = {f"{BACKBONE}{key}": value for key, value in backbone.items()}
    for number in range(components):
        for key, value in component(generator, scanpath_channels=16).items():
            state[key.replace(".", f".{number}.", 1)] = value
    return state


def of_component(state: Mapping[str, Tensor], prefix: str, number: int) -> dict[str, Tensor]:
    """Its parameters as `reference.log_density` names them, written down once more: networks in the singular."""
    found = {}
    for network in ("saliency_network", "fixation_selection_network", "finalizer"):
        start = f"{prefix}{network}s.{number}."
        found |= {f"{network}.{key[len(start) :]}": value for key, value in state.items() if key.startswith(start)}
    return found
