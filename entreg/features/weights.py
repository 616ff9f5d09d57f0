"""The backbones' weights: a local file, or torchvision's by name, which are downloaded where they are missing."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from entreg.config import Backbone
from entreg.errors import DataError
from entreg.io import digests, tensors
from entreg.io.download import download, remove_unfinished
from entreg.io.published_file import Published

log = logging.getLogger(__name__)

# hashes and sizes of torchvision's files, which states only the beginning of the hash, in the name, and no licence
FILES = {
    "vgg19-dcbb9e9d.pth": (
        "sha256:dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        574_673_361,
    ),
}
NEVER_READ = "num_batches_tracked"  # counts training steps
# other files that hold an architecture's ImageNet weights
OTHER_FILES = {"vgg19": ("vgg19_imagenet_features.pth",)}


def random(what: str) -> None:
    """Warn that the weights are random; what: further words about them."""
    log.warning("backbone: RANDOM WEIGHTS (model.backbone.weights=null)%s. This is a demonstration, not science.", what)


def known(name: str) -> dict[str, Any]:
    """Return torchvision's weights of an architecture by name, each with its URL and its training's transforms.

    There are none where torchvision lacks the architecture, as it does a module of another package.
    """
    from torchvision import models  # takes seconds, and random weights or a file do not need it

    return dict(models.get_model_weights(name).__members__) if name in models.list_models() else {}


def published(name: str, weights: str) -> Published:
    """Return where torchvision's weights of this name are published."""
    address = known(name)[weights].url
    return Published(address, *FILES.get(Published(address).name, (None, None)))


def file_of(name: str, weights: str, folder: Path) -> Path | None:
    """Return the file of these weights, or None where torchvision's are not in `folder`.

    Raises a DataError where a local file is missing.
    """
    names = known(name)
    if weights in names:
        file_names = (*OTHER_FILES.get(name, ()), published(name, weights).name)
        return next((folder / file_name for file_name in file_names if (folder / file_name).is_file()), None)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise DataError(
            f"model.backbone.weights={weights} is neither a file (it would be {path.absolute()})\n"
            f"  nor one of torchvision's names ({', '.join(names) or 'it has none'}); null means random weights"
        )
    return path


def missing(backbone: Backbone, folder: Path) -> str | None:
    """Return and log the name of the weights that have to be downloaded, or None.

    Raises a DataError where a local file is missing.
    """
    wanted = backbone.read_weights
    if wanted is None:
        log.info("weights: random or the module's own, none are needed (model.backbone.weights=%s)", backbone.weights)
        return None
    path = file_of(backbone.name, wanted, folder)
    if path is not None:
        log.info("weights: found in %s", path)
        return None
    log.info(
        "weights: %s are not in %s; licence: none stated; to be downloaded:\n  %s",
        wanted,
        folder,
        published(backbone.name, wanted),
    )
    return wanted


def fetched(name: str, weights: str, folder: Path) -> Path:
    """Return the file of these weights. Torchvision's are downloaded to `folder` where they are missing.

    Raises a DataError where the weights cannot be downloaded.
    """
    path = file_of(name, weights, folder)
    if path is not None:
        if weights in known(name):
            remove_unfinished(path)
        return path
    torchvisions = published(name, weights)
    path = folder / torchvisions.name
    try:
        download(torchvisions, path)
        if not digests.sha256(path).startswith(_hash_in(torchvisions.name)):
            path.unlink()
            raise DataError(f"{torchvisions.address} does not have the hash that its name begins to state")
    except DataError as error:
        title = "VGG-19" if name == "vgg19" else name
        raise DataError(
            f"{title} weights {weights} are not in {folder}: {error}\n"
            "  have them elsewhere   paths.weights=FOLDER or model.backbone.weights=FILE\n"
            "  just want to look     model.backbone.weights=null (random weights, a demonstration)"
        ) from error
    return path


def read(name: str, weights: str, folder: Path) -> tuple[dict[str, Tensor], Path]:
    """Return the state dict of these weights and its file.

    Raises a DataError where the weights cannot be downloaded or the file does not hold a state dict.
    """
    path = fetched(name, weights, folder)
    state = tensors.read(path)
    if not isinstance(state, dict):
        raise DataError(
            f"{path}: is not a state dict, it holds a {type(state).__name__}; "
            "model.backbone.weights=FILE names another file"
        )
    return {str(key): value for key, value in state.items() if isinstance(value, Tensor)}, path


@torch.no_grad()
def fill(layers: nn.Module, state: dict[str, Tensor], source: Path, what: str) -> str:
    """Copy the weights of the layers from a state dict, and return the prefix of their names there.

    Raises a DataError that names those that are missing or do not fit. what: the words for the whole network
    """
    needed = {key: value for key, value in layers.state_dict().items() if not key.endswith(NEVER_READ)}
    first = next(iter(needed))
    prefixes = sorted({key.removesuffix(first) for key in state if f".{key}".endswith(f".{first}")}, key=len)
    wrong = {prefix: _misfits(needed, state, prefix) for prefix in prefixes or [""]}
    prefix = min(wrong, key=lambda prefix: len(wrong[prefix]))
    if wrong[prefix]:
        listed = "\n  ".join(wrong[prefix][:5])
        more = f"\n  and {len(wrong[prefix]) - 5} others" if len(wrong[prefix]) > 5 else ""
        raise DataError(f"{source}: is not a state dict of {what}:\n  {listed}{more}")
    for key, value in needed.items():
        value.copy_(state[prefix + key])
    return prefix


def digest_of(network: nn.Module, *further: object) -> str:
    """Return the SHA-256 of a network's weights, and of the text of whatever else its outputs depend on."""
    digest = hashlib.sha256("".join(map(repr, further)).encode())
    for name, tensor in network.state_dict().items():
        if not name.endswith(NEVER_READ):
            digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _misfits(needed: dict[str, Tensor], state: dict[str, Tensor], prefix: str) -> list[str]:
    misfits = []
    for key, value in needed.items():
        stored = state.get(prefix + key)
        if stored is None:
            misfits.append(f"{prefix}{key} is missing")
        elif stored.shape != value.shape:
            misfits.append(f"{prefix}{key} has the shape {tuple(stored.shape)}, and {tuple(value.shape)} is needed")
    return misfits


def _hash_in(name: str) -> str:
    """Return the first digits of the file's SHA-256, which end torchvision's names."""
    return Path(name).stem.rpartition("-")[2]
