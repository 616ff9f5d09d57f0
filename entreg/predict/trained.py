"""A finished training that says where people look in any image, at the image's own size."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
import torch

from entreg import tensors
from entreg.data.geometry import shape_of
from entreg.data.images import Picture, rgb_of
from entreg.errors import DataError, SettingError, UserError
from entreg.model.log_density import LogDensity
from entreg.prior import kept
from entreg.ranks import Ranks
from entreg.run.folder import RunFolder, SweepFolder
from entreg.study import arithmetic
from entreg.study.finished import Run, final_model, finished, saved
from entreg.study.study import Stages, recipe_settings

log = logging.getLogger(__name__)


class Trained:
    """A finished training with all that it needs to predict. `load` makes one from a run's folder."""

    def __init__(self, run: Run, device: torch.device, typed: Sequence[str] = ()) -> None:
        """run: its config says where the weights are; typed: keys of settings that somebody chose for this prediction.

        UserError: the run was trained on crops, or its backbone's weights or its centre bias are missing or others.
        """
        config, self.run, self.device = run.config, run, device
        if config.data.geometry == "crop":
            raise UserError(
                f"{run.folder} was trained with data.geometry=crop: of what is cut off nothing is predicted, so that "
                "there is no density of a whole image"
            )
        self.arithmetic = arithmetic.settle([run], device.type, typed)
        self.geometry = shape_of(config.data)
        self.recipe = Stages(Ranks(device=device)).recipe(recipe_settings(config, device.type))
        expected = run.state["fingerprints"].get("weights")
        if self.recipe.weights_sha256 != expected:
            raise DataError(
                f"{run.folder}: the backbone's weights ({config.model.backbone.weights}) are not those that it was "
                f"trained with: their SHA-256 is {self.recipe.weights_sha256[:12]}... and not {str(expected)[:12]}..."
            )
        self.center_bias = kept.read(run.folder.center_bias, config.model.center_bias, config.model.saliency_map_factor)
        self.model = final_model(run, self.recipe.channels).to(device)
        self.recipe.backbone.to(device)

    @overload
    def log_density(self, image: Picture) -> np.ndarray: ...
    @overload
    def log_density(self, image: list[Picture] | tuple[Picture, ...]) -> list[np.ndarray]: ...
    def log_density(self, image: Picture | list[Picture] | tuple[Picture, ...]) -> np.ndarray | list[np.ndarray]:
        """(H, W) float64, nats, at the image's own size; the exponentials sum to 1. Of a list of images a list.

        image: a path, a Pillow image, or a uint8 array (H, W, 3), RGB, or (H, W), grey; read as stored: an EXIF
            orientation is not applied. Alpha is left out where every pixel is opaque; else the image is refused, since
            what people saw is not known.
        The image is brought to the size that the run was trained at. Each of its own pixels takes the density at its
        place there, and the density is normalised again. DataError names a file that cannot be read, SettingError says
        what to do with an array of another form.
        """
        if isinstance(image, (list, tuple)):
            # one after the other: the result must not depend on what stands beside an image
            return [self.log_density(one) for one in image]
        rgb = rgb_of(image)
        return self.density(rgb).at_size(*rgb.shape[:2]).full()[0].cpu().numpy()

    @torch.inference_mode()
    def density(self, rgb: np.ndarray) -> LogDensity:
        """A batch of one, at the run's size; rgb: (h, w, 3) uint8."""
        photo = self.geometry.image(rgb)
        size = photo.shape[0], photo.shape[1]
        # cuDNN would round to TF32
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            features = self.recipe.row(photo, self.device)[None].to(self.device)
            center_bias = self.center_bias.map(size)[None].to(self.device)
            found = self.model(features, center_bias, self.recipe.grid(size), self.recipe.precision)
        return LogDensity(found.grid.cpu(), found.rows.cpu(), found.columns.cpu())


def load(
    run: str | Path,
    *,
    device: str | torch.device | None = None,
    weights: str | Path | None = None,
    trust: bool = False,
) -> Trained:
    """The finished training in the folder `run`. See `entreg.load`."""
    tensors.trust(trust)
    folder, on = finished_in(Path(run).expanduser()), _device(device)
    cfg = saved(folder, loads_data=False)
    cfg.hardware.kind, cfg.hardware.devices = on.type, 1
    if weights is not None and Path(weights).expanduser().is_dir():
        cfg.paths.weights = str(weights)
    elif weights is not None:
        cfg.model.backbone.weights = str(weights)
    return Trained(finished(folder, cfg), on)


def finished_in(path: Path) -> RunFolder:
    """The folder of a finished training. UserError where there is none, with what is there instead."""
    folder = RunFolder(path)
    if folder.is_trained:
        return folder
    if not path.is_dir():
        raise UserError(f"{path}: there is no such folder (seen from {Path.cwd()})")
    if folder.is_training:
        raise UserError(f"{path}: the training there is not finished ({folder.state_said})")
    runs = [str(one) for one in SweepFolder(path).trainings() if one.is_trained]
    instead = f"; a sweep: choose one of {', '.join(runs[:5])}{', ...' * (len(runs) > 5)}" if runs else ""
    raise UserError(f"{path}: there is no finished training{instead}")


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise SettingError(f"device={device}: cpu, cuda or cuda:NUMBER") from None
    visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found.type not in ("cpu", "cuda") or found.type == "cuda" and (found.index or 0) >= visible:
        raise SettingError(f"device={device}: PyTorch {torch.__version__} sees the CPU and {visible} GPUs (cuda)")
    return found
