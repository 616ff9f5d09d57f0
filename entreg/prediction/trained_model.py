"""A finished training that predicts where people look in any image, at the image's own size."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
import torch

from entreg.config import Config, Data, Loss
from entreg.data.geometry import shape_of
from entreg.data.images import Picture, rgb_of
from entreg.distributed.precision import precision_of
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError, SettingError, UserError
from entreg.model import published_weights
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity
from entreg.model.mixture import Mixture
from entreg.prediction.of_set import chosen
from entreg.prediction.photo_density import PhotoDensity
from entreg.priors import center_bias_file
from entreg.priors.center_bias import CenterBias
from entreg.runs.folder import RunFolder, SweepFolder
from entreg.study import feature_precision
from entreg.study.finished_run import FinishedRun, final_model, finished, saved
from entreg.study.study_cache import StudyCache, recipe_settings_of

log = logging.getLogger(__name__)


class TrainedModel:
    """A finished training with everything that it needs to predict. `load` returns that of a run's folder."""

    def __init__(
        self, run: FinishedRun, device: torch.device, typed: Sequence[str] = (), of_set: str | None = None
    ) -> None:
        """Load the model, the backbone and the centre bias.

        Raises a UserError where the run was trained on crops, or where its backbone's weights or its centre bias are
        missing or are not those of the training.

        run: its config says where the weights are; typed: the keys of settings that were typed for this prediction
        of_set: the set that the images are taken to belong to, see `load`
        """
        config, self.run, self.device = run.config, run, device
        if config.data.geometry == "crop":
            raise UserError(
                f"{run.folder} was trained with data.geometry=crop: the model predicts nothing for what is cut off, so "
                "that there is no density of a whole image"
            )
        self.arithmetic = feature_precision.choose([run], device.type, typed)
        self.precision = precision_of(config.hardware, device.type)
        self.geometry = shape_of(config.data)
        self.recipe = StudyCache(Ranks(device=device)).recipe(recipe_settings_of(config, device.type))
        expected = run.state["fingerprints"].get("weights")
        if run.fixed is None and self.recipe.weights_sha256 != expected:
            raise DataError(
                f"{run.folder}: the backbone's weights ({config.model.backbone.weights}) are not those that it was "
                f"trained with: their SHA-256 is {self.recipe.weights_sha256[:12]}... and not {str(expected)[:12]}..."
            )
        kind, map_factor = config.model.center_bias, config.model.saliency_map_factor
        self.center_bias: CenterBias = (
            center_bias_file.read(run.folder.center_bias, kind, map_factor)
            if run.fixed is None
            else CenterBias(kind, config.prior, map_factor, None)
        )
        model = run.fixed.eval() if run.fixed else final_model(run, self.recipe.channels)
        if isinstance(model, DeepGaze3):
            model, self.center_bias = chosen(run, model, self.center_bias, of_set)
        self.model = model.to(device)
        self.recipe.backbone.to(device)

    @cached_property
    def module(self) -> PhotoDensity:
        """The model as a torch.nn.Module, from photos (B, 3, H, W), RGB, 0..255, float, to log densities (B, H, W).

        See `PhotoDensity`. It is frozen; gradients flow to the photos, and torch.export takes it with dynamic B, H, W.
        Raises a SettingError where images keep their shapes (data.geometry=degrees).
        """
        if self.run.config.data.geometry == "degrees":
            raise SettingError(
                f"{self.run.folder} was trained with data.geometry=degrees, under which each shape of image has a "
                "model of its own; log_density predicts it"
            )
        landscape, portrait = self.geometry.size(1, 2), self.geometry.size(2, 1)
        each = self.model.each if isinstance(self.model, Mixture) else [self.model]
        return PhotoDensity(each, self.recipe, self.center_bias, landscape, portrait).to(self.device)

    @overload
    def log_density(self, image: Picture) -> np.ndarray: ...
    @overload
    def log_density(self, image: list[Picture] | tuple[Picture, ...]) -> list[np.ndarray]: ...
    def log_density(self, image: Picture | list[Picture] | tuple[Picture, ...]) -> np.ndarray | list[np.ndarray]:
        """Return the log density at the image's own size: (H, W) float64, nats; for several images, a list of them.

        The exponentials sum to 1. The image is brought to the size that the run was trained at. Each pixel of the
        original image then takes the density at its place there, and the density is normalised again.

        Raises a DataError that names a file that cannot be read, and a SettingError that says what to do with an array
        of another form.

        image: a path, a Pillow image, or a uint8 array (H, W, 3), RGB, or (H, W), grey. It is read as stored: an EXIF
            orientation is not applied. An alpha channel is left out where every pixel is opaque; else the image is
            refused, since what people saw is not known.
        """
        if isinstance(image, (list, tuple)):
            # one after the other, so that a result does not depend on the other images
            return [self.log_density(element) for element in image]
        rgb = rgb_of(image)
        return self.density(rgb).at_size(*rgb.shape[:2]).full()[0].cpu().numpy()

    @torch.no_grad()  # not inference_mode, whose tensors the readout cannot use
    def density(self, rgb: np.ndarray) -> LogDensity:
        """Return the density at the size that the run was trained at, as a batch of one. rgb: (h, w, 3) uint8."""
        photo = self.geometry.image(rgb)
        size = photo.shape[0], photo.shape[1]
        # cuDNN would round to TF32
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            features = self.recipe.row(photo, self.device)[None].to(self.device)
            center_bias = self.center_bias.map(size)[None].to(self.device)
            density = self.model(features, center_bias, self.recipe.grid(size), self.precision)
        return LogDensity(density.grid.cpu(), density.rows.cpu(), density.columns.cpu())


def load(
    run: str | Path,
    *,
    device: str | torch.device | None = None,
    weights: str | Path | None = None,
    center_bias: str | None = None,
    allow: Sequence[str] = (),
    set: str | None = None,
) -> TrainedModel:
    """Return the finished training in the folder `run`, ready to predict where people look in any image.

        import entreg
        import matplotlib.pyplot as plt

        model = entreg.load("outputs/mine")
        plt.imshow(model.log_density("photo.jpg"))
        plt.savefig("density.png")

    `model.log_density(image)` is (H, W) in nats at the image's own size; see `TrainedModel`.

    Raises a UserError where there is no finished training, where it was trained on crops, or where files that it needs
    are missing or were replaced.

    device: such as `cpu`, `cuda` or `cuda:1`; None: a GPU where PyTorch sees one
    weights: the file of the backbone's weights, or its folder, where the file has been moved since the training
    allow: packages whose code may be called where the backbone is a module of one, such as `["timm"]`
    center_bias: for the file of a published model in place of a folder, which holds none: `gaussian` or `uniform`
    set: a set that the run learned from, whose centre bias and own numbers predict; None: those of all sets together
    """
    if Path(run).expanduser().is_file() and set is not None:
        raise SettingError(f"set={set}: a published file has no numbers of its own for a set; leave it out")
    if Path(run).expanduser().is_file():
        return _published(Path(run).expanduser(), _device(device), center_bias)
    if center_bias is not None:
        raise SettingError(f"center_bias={center_bias}: a finished run has its own; this is for published files")
    folder, chosen = finished_in(Path(run).expanduser()), _device(device)
    cfg = saved(folder, loads_data=False)
    cfg.hardware.kind, cfg.hardware.devices, cfg.allow = chosen.type, 1, list(allow)
    if weights is not None and Path(weights).expanduser().is_dir():
        cfg.paths.weights = str(weights)
    elif weights is not None:
        cfg.model.backbone.weights = str(weights)
    return TrainedModel(finished(folder, cfg), chosen, of_set=set)


def _published(path: Path, device: torch.device, center_bias: str | None) -> TrainedModel:
    """Return the model in a published file, which predicts images stretched to 1024x768 (portraits 768x1024)."""
    if center_bias not in ("gaussian", "uniform"):
        raise SettingError(
            f"{path}: a published file holds no centre bias; choose center_bias='gaussian' (the Gaussian prior) or "
            "center_bias='uniform' (none)"
        )
    published = published_weights.read(path)
    config = Config(model=published.settings(center_bias), data=Data(), loss=Loss())
    config.hardware.kind, config.hardware.devices = device.type, 1
    config.store.dtype = "float32"  # nothing is stored, so nothing need be rounded
    return TrainedModel(FinishedRun(RunFolder(path), config, {"fingerprints": {}}, published.model(None)), device)


def finished_in(path: Path) -> RunFolder:
    """Return the folder of a finished training. Raises a UserError that says what is there instead."""
    folder = RunFolder(path)
    if folder.is_trained:
        return folder
    if not path.is_dir():
        raise UserError(f"{path}: there is no such folder (seen from {Path.cwd()})")
    if folder.is_training:
        raise UserError(f"{path}: the training there is not finished ({folder.state_in_words})")
    runs = [str(training) for training in SweepFolder(path).trainings() if training.is_trained]
    instead = f", but a sweep; choose one of its runs: {', '.join(runs[:5])}{', ...' * (len(runs) > 5)}" if runs else ""
    raise UserError(f"{path}: there is no finished training{instead}")


def _device(device: str | torch.device | None) -> torch.device:
    """Return the device, or the one that is taken where none is given. Raises a SettingError where there is no such."""
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise SettingError(f"device={device}: there is no such device; type cpu, cuda or cuda:NUMBER") from None
    visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if chosen.type not in ("cpu", "cuda") or chosen.type == "cuda" and (chosen.index or 0) >= visible:
        raise SettingError(f"device={device}: PyTorch {torch.__version__} sees the CPU and {visible} GPUs (cuda)")
    return chosen
