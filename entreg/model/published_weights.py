"""Files of published DeepGaze models, which users supply, read under this program's parameter names.

They cannot be distributed, because they have no licence. Names and shapes are those of github.com/matthias-k/DeepGaze:
`models.{b}.` is one of IIE's four backbones, followed by `features.features.1.*` (the backbone after its
normalisation), `saliency_networks.{k}.*`, `scanpath_networks.{k}.*`, `fixation_selection_networks.{k}.*` and
`finalizers.{k}.*`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from entreg.config import Backbone, Model
from entreg.errors import DataError, SettingError
from entreg.io import digests, tensors
from entreg.io.published_file import DEEPGAZE2E
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.mixture import Mixture

log = logging.getLogger(__name__)

TAPS = [f"features.denseblock4.denselayer{layer}" for layer in ("32.norm1", "32.conv1", "31.conv2")]
CHANNELS, DOWNSAMPLE = 2048, 2
BACKBONE = "features.features.1."
# the data sets on which both were trained, in this order (Linardos et al. 2021, arXiv 2105.12441; Kuemmerer et al.
# 2022)
TRAINED_ON = ("SALICON", "MIT1003")
MOST_NAMED = 10  # keys that a message names


@dataclass(frozen=True)
class Kind:
    """A published model.

    sha256: the hash of its file; None where it is unknown
    is_spatial: whether it works without a scanpath
    """

    name: str
    components: int
    readout_factor: int
    map_factor: int
    is_spatial: bool
    sha256: str | None
    address: str


IIE = Kind("IIE's DenseNet member", 30, 16, 2, True, DEEPGAZE2E.sha256, DEEPGAZE2E.address)
III = Kind(
    "DeepGaze III",
    10,
    4,
    4,
    False,
    None,
    "https://github.com/matthias-k/DeepGaze/releases/download/v1.1.0/deepgaze3.pth",
)


@dataclass(frozen=True)
class PublishedModel:
    """The content of a file.

    components: the parameters of each component under this program's names; for a model with scanpath input only those
        that do not depend on it
    backbone: the DenseNet-201 that they were trained on, under torchvision's names
    """

    path: Path
    kind: Kind
    sha256: str
    components: list[dict[str, Tensor]]
    backbone: dict[str, Tensor]

    def parameters(self, component: int) -> dict[str, Tensor]:
        """Return the parameters of one component. Raises a SettingError where it does not exist."""
        if component >= len(self.components):
            raise SettingError(
                f"component {component}: {self.kind.name} has {len(self.components)} components, counted from 0"
            )
        return self.components[component]

    def model(self, component: int | None) -> DeepGaze3 | Mixture:
        """Return one component, or the mixture of all components.

        Raises a SettingError where the model is not spatial.
        """
        if not self.kind.is_spatial:
            raise SettingError(
                f"{self.path}: {self.kind.name} cannot be evaluated: besides the saliency, its fixation selection "
                "networks need to know where the observer looked before, and they were not trained without it.\n"
                "  its saliency networks and finalizers can start a training   model.init_from=FILE\n"
                f"  a published model without scanpaths                         {IIE.address}"
            )
        numbers = range(len(self.components)) if component is None else [component]
        models = []
        for number in numbers:
            model = DeepGaze3(CHANNELS, sigma_px=8.0, seed=0)
            model.load_state_dict(self.parameters(number))
            models.append(model)
        return models[0] if component is not None else Mixture(models)

    def settings(self, center_bias: str) -> Model:
        """Return the settings with which its components were trained, including its backbone."""
        backbone = Backbone("densenet201", str(self.path), taps=list(TAPS))
        return Model(backbone, DOWNSAMPLE, self.kind.readout_factor, self.kind.map_factor, center_bias=center_bias)

    def start(self, model: DeepGaze3, settings: Model, backbone: Mapping[str, Tensor]) -> None:
        """Set a model's parameters to those of the component `settings.init_component`, to train it further.

        backbone: the weights of the training's backbone, under torchvision's names after `layers.`

        Raises a DataError where the file's backbone has other weights.
        """
        for key, weights in backbone.items():
            name = key.removeprefix("layers.")
            if key.startswith("layers.") and not key.endswith("num_batches_tracked"):
                published = self.backbone.get(name)
                if published is None or not torch.equal(published.float(), weights.cpu()):
                    raise DataError(
                        f"{self.path}: {self.kind.name} was trained on another DenseNet-201 than this one: {name} "
                        f"{'is missing in the file' if published is None else 'differs'}\n"
                        f"  the one that it was trained on   model.backbone.weights={self.path}"
                    )
        parameters = self.parameters(settings.init_component)
        model.load_state_dict(model.state_dict() | parameters)
        fresh = sorted({key.split(".")[0] for key in model.state_dict().keys() - parameters.keys()})
        log.info(
            "training starts from %s, component %d (%s, sha256 %s)%s; it was trained on %s",
            self.kind.name,
            settings.init_component,
            self.path,
            self.sha256[:12],
            f", with a fresh {', '.join(fresh)}" if fresh else "",
            " and ".join(TRAINED_ON),
        )


def check(settings: Model) -> None:
    """Raise a SettingError where no published model could start this training. No file is read."""
    if settings.init_from is None:
        return
    if not Path(settings.init_from).is_file():
        raise SettingError(f"model.init_from={settings.init_from}: this file does not exist\n  {_where()}")
    published = Model(Backbone("densenet201", taps=list(TAPS)), DOWNSAMPLE)
    _refuse_other(settings, published, ("backbone.name", "backbone.taps", "downsample"), "every published model")


def start_of(settings: Model) -> PublishedModel | None:
    """Return the published model that a training starts from; None where it starts from random parameters.

    Raises a DataError as `read` does, and a SettingError where the training has another architecture or the component
    does not exist.
    """
    if settings.init_from is None:
        return None
    published = read(Path(settings.init_from))
    needed = published.settings(settings.center_bias)
    _refuse_other(settings, needed, ("readout_factor", "saliency_map_factor"), published.kind.name)
    published.parameters(settings.init_component)
    return published


def read(path: Path) -> PublishedModel:
    """Return the content of a file.

    Raises a DataError that names each key that does not fit where the file is not that of a published model.
    """
    if not path.is_file():
        raise DataError(f"{path}: this file does not exist\n  {_where()}")
    state = tensors.read(path)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: is not a state dict of a published model\n  {_where()}")
    prefix, kind = _prefix(path, state)
    networks = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    components, wrong = _components(networks, kind)
    if wrong:
        more = f"\n  and {len(wrong) - MOST_NAMED} others" if len(wrong) > MOST_NAMED else ""
        listed = "\n  ".join(f"{prefix}{line}" for line in wrong[:MOST_NAMED])
        raise DataError(f"{path}: does not fit {kind.name}:\n  {listed}{more}")
    digest = digests.sha256(path)
    if kind.sha256 is not None and digest != kind.sha256:
        log.warning(
            "%s is not the published file of %s: its sha256 is %s, not %s",
            path,
            kind.name,
            digest[:12],
            kind.sha256[:12],
        )
    backbone = {key.removeprefix(BACKBONE): value for key, value in networks.items() if key.startswith(BACKBONE)}
    return PublishedModel(path, kind, digest, components, backbone)


def _prefix(path: Path, state: Mapping[str, Tensor]) -> tuple[str, Kind]:
    """Return the prefix of the networks on DenseNet-201, and the model that they belong to."""
    mark = f"{BACKBONE}{TAPS[0]}.weight"
    prefixes = [key.removesuffix(mark) for key in state if key.endswith(mark)]
    if len(prefixes) == 1 and re.fullmatch(r"models\.\d+\.", prefixes[0]):
        return prefixes[0], IIE
    if prefixes == [""]:
        return "", III
    raise DataError(
        f"{path}: is neither IIE's file nor DeepGaze III's: one key models.NUMBER.{mark} or {mark} is needed, and "
        f"{len(prefixes)} of its {len(state)} keys are like that\n  {_where()}"
    )


def _components(networks: Mapping[str, Tensor], kind: Kind) -> tuple[list[dict[str, Tensor]], list[str]]:
    """Return the parameters of each component under this program's names, and what is wrong with them."""
    needed = {key: value.shape for key, value in DeepGaze3(CHANNELS, 8.0, 0).state_dict().items()}
    dropped: tuple[str, ...] = ()
    if not kind.is_spatial:
        needed = {key: shape for key, shape in needed.items() if not key.startswith("fixation_selection_network.")}
        dropped = ("fixation_selection_networks.", "scanpath_networks.")
    components, wrong, known = [], [], set()
    for number in range(kind.components):
        component = {}
        for key, shape in needed.items():
            published = key.replace(".", f"s.{number}.", 1)
            known.add(published)
            if published not in networks:
                wrong.append(f"{published} is missing")
            elif networks[published].shape != shape:
                wrong.append(f"{published} has the shape {tuple(networks[published].shape)}, {tuple(shape)} is needed")
            elif not networks[published].isfinite().all():
                wrong.append(f"{published} holds numbers that are not finite")
            else:
                component[key] = networks[published].float()
        components.append(component)
    unknown = [key for key in networks if key not in known and not key.startswith((BACKBONE, *dropped))]
    return components, wrong + [f"{key} is unknown" for key in unknown]


def _refuse_other(settings: Model, needed: Model, keys: tuple[str, ...], model: str) -> None:
    wrong = []
    for key in keys:
        here, there = settings, needed
        for part in key.split("."):
            here, there = getattr(here, part), getattr(there, part)
        if here != there:
            wrong.append(f"  model.{key}={here}, {there} is needed")
    if wrong:
        raise SettingError(
            f"model.init_from={settings.init_from}: {model} has another architecture than this training:\n"
            + "\n".join(wrong)
            + "\n  set it with   model=deepgaze2e_densenet201 (IIE's) or model=deepgaze3_densenet201 (DeepGaze III's)"
        )


def _where() -> str:
    return f"IIE's is at {IIE.address}, DeepGaze III's at {III.address} (no licence: for personal use)"
