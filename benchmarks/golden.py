"""Golden vectors of the published model, and the differences of this project's model from them.

    python -m benchmarks.golden FILE.npz ... [--weights vgg19_imagenet_features.pth]

prints the greatest differences and exits with 1 where one is past its bound.

The vectors were computed in float32: a float64 evaluation of spatial_landscape's differs from them by 1.09e-5 where the
log density is -26. A log density may therefore differ by 1e-5 nats and, beyond that, by its own rounding, 1e-6 of its
value.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from entreg.config import Backbone
from entreg.features.backbone import build
from entreg.features.grid import grid_of
from entreg.features.normalisation import normalised
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity
from entreg.model.step_library import TORCH

BOUNDS = {
    "log_density": None,
    "log_density_beyond_rounding": 1e-5,
    "nll_nats": 1e-5,
    "entropy_nats": 1e-5,
    "gradient": 1e-3,
    "tap_mean": 1e-3,
}


class Golden:
    """A file of golden vectors: tensors by name, and parameters under their published names."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.tensors = {name: torch.as_tensor(file[name]) for name in file}
        self.parameters = {n[6:]: t for n, t in self.tensors.items() if n.startswith("param:")}
        self.factors = tuple(int(self.tensors[n]) for n in ("downsample", "readout_factor", "saliency_map_factor"))

    def taps(self) -> list[torch.Tensor]:
        """Return the taps of the backbone."""
        return [self.tensors[f"feature_{k}"] for k in range(sum(n.startswith("feature_") for n in self.tensors))]


def fast(golden: Golden, taps: list[torch.Tensor], step: str = TORCH) -> tuple[DeepGaze3, LogDensity]:
    """Return this project's model with the golden parameters, and its log density. step: see `DeepGaze3`."""
    channels = sum(tap.shape[1] for tap in taps)
    model = DeepGaze3(channels, sigma_px=1.0, seed=0)
    model.load_state_dict(golden.parameters)
    model.step = step
    center_bias = golden.tensors["center_bias"]
    grid = grid_of(_size(center_bias), tuple(map(_size, taps)), *golden.factors)
    small = center_bias[:, grid.rows.center_bias[:, None], grid.columns.center_bias]
    return model, model(normalised(grid.gather(taps), grid.weights()), small, grid)


def differences(path: Path, weights: str | None = None, step: str = TORCH) -> dict[str, float]:
    """Return the greatest differences of this project's model from one file.

    They are absolute, in nats; those of gradients are relative to the greatest gradient of each parameter.

    step: see `DeepGaze3`
    """
    golden = Golden(path)
    if "image" in golden.tensors:
        return _photo_differences(golden, weights)
    model, density = fast(golden, golden.taps(), step)
    y, x = golden.tensors["fix_y"], golden.tensors["fix_x"]
    image = torch.arange(len(y))[:, None].expand_as(y)
    nll = -density.at(image.flatten(), y.flatten(), x.flatten()).mean()
    torch.autograd.backward(nll)
    density = LogDensity(density.grid.detach(), density.rows, density.columns)
    gradients = [
        relative(gradient(parameter), golden.tensors[f"grad:{name}"]) for name, parameter in model.named_parameters()
    ]
    return {
        **log_density_differences(density.full(), golden.tensors["log_density"]),
        "nll_nats": abs(float(nll.detach()) - float(golden.tensors["nll_nats"])),
        "entropy_nats": float((density.entropy_nats() - golden.tensors["entropy_nats"]).abs().max()),
        "gradient": max(gradients),
    }


def log_density_differences(actual: torch.Tensor, expected: torch.Tensor) -> dict[str, float]:
    """Return the greatest absolute difference, and the greatest beyond float32's rounding (1e-6 of the value)."""
    difference = (actual - expected).abs()
    beyond = (difference - 1e-6 * expected.abs()).max().clamp_min(0)
    return {"log_density": float(difference.max()), "log_density_beyond_rounding": float(beyond)}


def relative(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the greatest absolute difference over the greatest absolute expected value."""
    return float((actual - expected).abs().max() / expected.abs().max())


def gradient(parameter: torch.Tensor) -> torch.Tensor:
    """Return the gradient that backward() has stored in a parameter."""
    assert parameter.grad is not None
    return parameter.grad


def _photo_differences(golden: Golden, weights: str | None) -> dict[str, float]:
    if weights is None:
        raise SystemExit("vectors of a photo need the backbone's weights: --weights vgg19_imagenet_features.pth")
    backbone = build(Backbone(weights=weights), golden.factors[0], ".")
    photo = golden.tensors["image"].permute(2, 0, 1)[None].float()
    with torch.no_grad():
        taps = backbone(photo)
        _, density = fast(golden, taps)
    assert backbone.tap_sizes(_size(photo)) == tuple(map(_size, taps))
    tap_mean = max(
        relative(tap.mean((0, 2, 3)), golden.tensors[f"tap_mean:{name}"])
        for name, tap in zip(backbone.taps, taps, strict=True)
    )
    return log_density_differences(density.full(), golden.tensors["log_density"]) | {"tap_mean": tap_mean}


def _size(maps: torch.Tensor) -> tuple[int, int]:
    return maps.shape[-2], maps.shape[-1]


def main() -> int:
    """Compare the files on the command line with the model, and return 1 where a difference exceeds its bound."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.golden", description="Compare golden vectors with the model."
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.npz")
    parser.add_argument("--weights", help="VGG-19 weights, which vectors of a photo need")
    arguments = parser.parse_args()
    past = False
    for path in arguments.files:
        for name, difference in differences(path, arguments.weights).items():
            bound = BOUNDS[name]
            too_far = bound is not None and not difference <= bound
            past |= too_far
            verdict = "" if bound is None else f" (bound {bound:.0e}){' PAST' if too_far else ''}"
            print(f"{path.name}: {name} {difference:.2e}{verdict}")
    return int(past)


if __name__ == "__main__":
    sys.exit(main())
