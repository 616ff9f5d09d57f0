"""The backbones' weights: a local file, or torchvision's by name, looked for in a folder and else downloaded."""
from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor

from entreg import tensors
from entreg.errors import DataError

log = logging.getLogger(__name__)


def random(what: str) -> None:
    """Says loudly that there are none."""
    log.warning("backbone: RANDOM WEIGHTS (model.backbone.weights=null)%s. This is a demonstration, not science.", what)


def published(name: str) -> dict[str, Any]:
    """Torchvision's weights of an architecture by name; each has a url and the transforms it was trained with."""
    return dict(torchvision.models.get_model_weights(name).__members__)


def find(name: str, weights: str, folder: Path, others: Iterable[str] = ()) -> tuple[dict[str, Tensor], str]:
    """The state dict of an architecture's weights, and where it comes from.

    weights: one of torchvision's names, or a file; others: names of files in `folder` that hold them, too
    DataError where they are not there; the message names the alternatives.
    """
    known = published(name)
    if weights in known:
        url = known[weights].url
        for path in (*(folder / other for other in others), folder / url.rsplit("/", 1)[1]):
            if path.is_file():
                return _read(path, url), str(path)
        log.info("backbone: torchvision downloads %s to %s", url, folder)
        try:
            return torch.hub.load_state_dict_from_url(url, str(folder), map_location="cpu", check_hash=True), url
        except OSError as error:
            title = "VGG-19" if name == "vgg19" else name
            raise DataError(
                f"{title} weights {weights} are neither in {folder} nor to be downloaded ({error}).\n"
                "  have them elsewhere   paths.weights=FOLDER or model.backbone.weights=FILE\n"
                "  just want to look     model.backbone.weights=null (random weights, a demonstration)"
            ) from error
    path = Path(weights).expanduser()
    if not path.is_file():
        raise DataError(
            f"model.backbone.weights={weights} is neither a file (looked at {path.absolute()})\n"
            f"  nor one of torchvision's names ({', '.join(known)}); null means random weights"
        )
    return _read(path), str(path)


def _read(path: Path, url: str = "") -> dict[str, Tensor]:
    # torchvision's names end with how the file's digest begins
    found = tensors.read(path, known_sha256=Path(url).stem.rpartition("-")[2])
    if not isinstance(found, dict):
        raise DataError(f"{path}: is no state dict, it holds a {type(found).__name__}")
    return {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
