"""The backbones' weights: a local file, or torchvision's by name, which are downloaded where they are not there."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torchvision
from torch import Tensor

from entreg import files, tensors
from entreg.config import Backbone
from entreg.errors import DataError
from entreg.fetch.download import download
from entreg.fetch.published import DEEPGAZE2E, Published

log = logging.getLogger(__name__)

# hashes and sizes of torchvision's own files: it states the hash's beginning in the name alone, and no licence
FILES = {
    "vgg19-dcbb9e9d.pth": (
        "sha256:dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        574_673_361,
    ),
}
# whole digests of published files that hold a backbone; where a name alone tells how one begins, that is not enough
KNOWN_SHA256 = {DEEPGAZE2E.sha256, *(known_hash.removeprefix("sha256:") for known_hash, _ in FILES.values())}
# names of further files that hold an architecture's ImageNet weights
OTHER_FILES = {"vgg19": ("vgg19_imagenet_features.pth",)}


def random(what: str) -> None:
    """Says loudly that there are none."""
    log.warning("backbone: RANDOM WEIGHTS (model.backbone.weights=null)%s. This is a demonstration, not science.", what)


def known(name: str) -> dict[str, Any]:
    """Torchvision's weights of an architecture by name; each has a url and the transforms it was trained with."""
    return dict(torchvision.models.get_model_weights(name).__members__)


def published(name: str, weights: str) -> Published:
    """Where torchvision's weights of this name are published."""
    address = known(name)[weights].url
    return Published(address, *FILES.get(Published(address).name, (None, None)))


def found(name: str, weights: str, folder: Path) -> Path | None:
    """The file of these weights; None where torchvision's are not in `folder`. DataError: the local file is missing."""
    names = known(name)
    if weights in names:
        places = (*OTHER_FILES.get(name, ()), published(name, weights).name)
        return next((folder / place for place in places if (folder / place).is_file()), None)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise DataError(
            f"model.backbone.weights={weights} is neither a file (looked at {path.absolute()})\n"
            f"  nor one of torchvision's names ({', '.join(names)}); null means random weights"
        )
    return path


def missing(backbone: Backbone, folder: Path) -> str | None:
    """Return the name of the weights that have to be downloaded, and log it. DataError: a local file is missing."""
    wanted = backbone.weights
    if wanted is None:
        log.info("weights: random, none are needed (model.backbone.weights=null)")
        return None
    path = found(backbone.name, wanted, folder)
    if path is not None:
        log.info("weights: there, %s", path)
        return None
    log.info(
        "weights: %s are not in %s; licence: none stated; to be downloaded:\n  %s",
        wanted,
        folder,
        published(backbone.name, wanted),
    )
    return wanted


def fetched(name: str, weights: str, folder: Path) -> Path:
    """The file of these weights, downloaded to `folder` where need be. DataError: they cannot be had."""
    path = found(name, weights, folder)
    if path is not None:
        return path
    one = published(name, weights)
    path = folder / one.name
    try:
        download(one, path)
        if not files.sha256(path).startswith(_hash_in(one.name)):
            path.unlink()
            raise DataError(f"{one.address} is not what its name says: its hash begins with other digits")
    except DataError as error:
        title = "VGG-19" if name == "vgg19" else name
        raise DataError(
            f"{title} weights {weights} are not in {folder}: {error}\n"
            "  have them elsewhere   paths.weights=FOLDER or model.backbone.weights=FILE\n"
            "  just want to look     model.backbone.weights=null (random weights, a demonstration)"
        ) from error
    return path


def read(name: str, weights: str, folder: Path) -> tuple[dict[str, Tensor], Path]:
    """The state dict of these weights, and its file. DataError where they cannot be had, or the file holds others."""
    path = fetched(name, weights, folder)
    state = tensors.read(path, known_sha256=KNOWN_SHA256)
    if not isinstance(state, dict):
        raise DataError(
            f"{path}: is no state dict, it holds a {type(state).__name__}; "
            "model.backbone.weights=FILE names another file"
        )
    return {str(key): value for key, value in state.items() if isinstance(value, Tensor)}, path


def _hash_in(name: str) -> str:
    """Torchvision's names end with how the file's digest begins."""
    return Path(name).stem.rpartition("-")[2]
