"""The backbone's weights: a local file, or torchvision's by name, which are downloaded where they are not there."""
from __future__ import annotations

from pathlib import Path

import torchvision

from entreg.errors import DataError
from entreg.fetch.download import download
from entreg.fetch.published import Published

# torchvision's own files, by name: it states the beginning of the hash in the name alone, and no licence of the weights
FILES = {
    "vgg19-dcbb9e9d.pth": (
        "sha256:dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44", 574_673_361,
    ),
}


def is_name(weights: str) -> bool:
    """Whether these are weights of torchvision's rather than a file."""
    return weights in torchvision.models.VGG19_Weights.__members__


def published(name: str) -> Published:
    """Where torchvision's weights of this name are published. DataError: by a torchvision whose file is not known."""
    address = torchvision.models.VGG19_Weights[name].url
    file = Published(address).name
    if file not in FILES:
        raise DataError(f"model.backbone.weights={name}: the hash of torchvision's {address} is not known here")
    known_hash, size_bytes = FILES[file]
    return Published(address, known_hash, size_bytes)


def found(weights: str, folder: Path) -> Path | None:
    """The file of these weights; None where torchvision's are not in `folder`. DataError: the local file is missing."""
    if is_name(weights):
        places = (folder / "vgg19_imagenet_features.pth", folder / published(weights).name)
        return next((path for path in places if path.is_file()), None)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise DataError(
            f"model.backbone.weights={weights} is neither a file (looked at {path.absolute()})\n"
            f"  nor one of torchvision's names ({', '.join(torchvision.models.VGG19_Weights.__members__)}); "
            "null means random weights"
        )
    return path


def fetched(weights: str, folder: Path) -> Path:
    """The file of these weights, downloaded to `folder` where need be. DataError: they cannot be had."""
    path = found(weights, folder)
    if path is not None:
        return path
    path = folder / published(weights).name
    try:
        download(published(weights), path)
    except DataError as error:
        raise DataError(
            f"VGG-19 weights {weights} are not in {folder}: {error}\n"
            "  have them elsewhere   paths.weights=FOLDER or model.backbone.weights=FILE\n"
            "  just want to look     model.backbone.weights=null (random weights, a demonstration)"
        ) from error
    return path
