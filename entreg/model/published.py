"""Files of published DeepGaze models, which their users supply, under our names; what does not fit is named key by key.

Nobody ships them: they have no licence. Names and shapes are those of github.com/matthias-k/DeepGaze: `models.{b}.` is
one of IIE's four backbones; then `features.features.1.*` (the backbone after its normalisation),
`saliency_networks.{k}.*`, `scanpath_networks.{k}.*`, `fixation_selection_networks.{k}.*` and `finalizers.{k}.*`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from entreg import files, tensors
from entreg.config import Backbone, Model
from entreg.errors import DataError, SettingError
from entreg.fetch.published import DEEPGAZE2E
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.mixture import Mixture

log = logging.getLogger(__name__)

TAPS = [f"features.denseblock4.denselayer{layer}" for layer in ("32.norm1", "32.conv1", "31.conv2")]
CHANNELS, DOWNSAMPLE = 2048, 2
BACKBONE = "features.features.1."
# on which both were trained, in this order (Linardos et al. 2021, arXiv 2105.12441; Kuemmerer et al. 2022)
TRAINED_ON = ("SALICON", "MIT1003")
MOST_NAMED = 10  # keys in a message


@dataclass(frozen=True)
class Kind:
    """A published model. sha256: of its file, where it is known; is_spatial: whether it needs no scanpath."""

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
    """What a file holds.

    components: for each one its parameters under our names; of a model with scanpath input those that do without it
    backbone: the DenseNet-201 that they were trained on, under torchvision's names
    """

    path: Path
    kind: Kind
    sha256: str
    components: list[dict[str, Tensor]]
    backbone: dict[str, Tensor]

    def parameters(self, component: int) -> dict[str, Tensor]:
        """Of one component. SettingError where there is none of that number."""
        if component >= len(self.components):
            raise SettingError(
                f"component {component}: {self.kind.name} has {len(self.components)} components, counted from 0"
            )
        return self.components[component]

    def model(self, component: int | None) -> DeepGaze3 | Mixture:
        """One component, or all of them: a mixture. SettingError where a spatial model is none of what there is."""
        if not self.kind.is_spatial:
            raise SettingError(
                f"{self.path}: {self.kind.name} cannot be judged: its fixation selection networks expect where the "
                "observer looked before, beside the saliency, and without it they are no trained model.\n"
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
        """The settings under which its components mean what they were trained to mean, its own backbone included."""
        backbone = Backbone("densenet201", str(self.path), taps=list(TAPS))
        return Model(backbone, DOWNSAMPLE, self.kind.readout_factor, self.kind.map_factor, center_bias=center_bias)

    def start(self, model: DeepGaze3, settings: Model, backbone: Mapping[str, Tensor]) -> None:
        """Gives a model the parameters of the component `settings.init_component`, to be trained further.

        backbone: the weights of the training's backbone, under torchvision's names behind `layers.`
        DataError where they are not those of the file's.
        """
        for key in backbone:
            name = key.removeprefix("layers.")
            if key.startswith("layers.") and not key.endswith("num_batches_tracked"):
                theirs = self.backbone.get(name)
                if theirs is None or not torch.equal(theirs.float(), backbone[key].cpu()):
                    raise DataError(
                        f"{self.path}: {self.kind.name} was trained on another DenseNet-201 than this one: {name} "
                        f"{'is missing there' if theirs is None else 'differs'}\n"
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
    """What can be said before a file is read. SettingError where no published model could start this training."""
    if settings.init_from is None:
        return
    if not Path(settings.init_from).is_file():
        raise SettingError(f"model.init_from={settings.init_from}: there is no such file\n  {_where()}")
    own = Model(Backbone("densenet201", taps=list(TAPS)), DOWNSAMPLE)
    _refuse_other(settings, own, ("backbone.name", "backbone.taps", "downsample"), "every published model")


def start_of(settings: Model) -> PublishedModel | None:
    """What a training starts from; None where it starts from random numbers.

    DataError as `read`, SettingError where the training has another architecture than the file, or no such component.
    """
    if settings.init_from is None:
        return None
    found = read(Path(settings.init_from))
    own = found.settings(settings.center_bias)
    _refuse_other(settings, own, ("readout_factor", "saliency_map_factor"), found.kind.name)
    found.parameters(settings.init_component)
    return found


def read(path: Path) -> PublishedModel:
    """What a file holds. DataError where it is none of the published models', naming each key that does not fit."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file\n  {_where()}")
    state = tensors.read(path, known_sha256={IIE.sha256})
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: is no state dict of a published model\n  {_where()}")
    prefix, kind = _prefix(path, state)
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    components, wrong = _components(own, kind)
    if wrong:
        more = f"\n  and {len(wrong) - MOST_NAMED} others" if len(wrong) > MOST_NAMED else ""
        listed = "\n  ".join(f"{prefix}{line}" for line in wrong[:MOST_NAMED])
        raise DataError(f"{path}: does not fit {kind.name}:\n  {listed}{more}")
    digest = files.sha256(path)
    if kind.sha256 is not None and digest != kind.sha256:
        log.warning(
            "%s is not the published file of %s: its sha256 is %s, not %s",
            path,
            kind.name,
            digest[:12],
            kind.sha256[:12],
        )
    backbone = {key.removeprefix(BACKBONE): value for key, value in own.items() if key.startswith(BACKBONE)}
    return PublishedModel(path, kind, digest, components, backbone)


def _prefix(path: Path, state: Mapping[str, Tensor]) -> tuple[str, Kind]:
    """Where the networks on DenseNet-201 begin, and of which model they are."""
    mark = f"{BACKBONE}{TAPS[0]}.weight"
    found = [key.removesuffix(mark) for key in state if key.endswith(mark)]
    if len(found) == 1 and re.fullmatch(r"models\.\d+\.", found[0]):
        return found[0], IIE
    if found == [""]:
        return "", III
    raise DataError(
        f"{path}: is neither IIE's file nor DeepGaze III's: a key models.NUMBER.{mark} or {mark} is needed, "
        f"{len(found)} are there, and {len(state)} keys in all\n  {_where()}"
    )


def _components(own: Mapping[str, Tensor], kind: Kind) -> tuple[list[dict[str, Tensor]], list[str]]:
    """The parameters of each component under our names, and what is wrong with them."""
    needed = {key: value.shape for key, value in DeepGaze3(CHANNELS, 8.0, 0).state_dict().items()}
    dropped: tuple[str, ...] = ()
    if not kind.is_spatial:
        needed = {key: shape for key, shape in needed.items() if not key.startswith("fixation_selection_network.")}
        dropped = ("fixation_selection_networks.", "scanpath_networks.")
    components, wrong, known = [], [], set()
    for number in range(kind.components):
        component = {}
        for key, shape in needed.items():
            theirs = key.replace(".", f"s.{number}.", 1)
            known.add(theirs)
            if theirs not in own:
                wrong.append(f"{theirs} is missing")
            elif own[theirs].shape != shape:
                wrong.append(f"{theirs} has the shape {tuple(own[theirs].shape)}, {tuple(shape)} is needed")
            elif not own[theirs].isfinite().all():
                wrong.append(f"{theirs} holds numbers that are not finite")
            else:
                component[key] = own[theirs].float()
        components.append(component)
    wrong += [f"{key} is not known" for key in own if key not in known and not key.startswith((BACKBONE, *dropped))]
    return components, wrong


def _refuse_other(settings: Model, needed: Model, keys: tuple[str, ...], of: str) -> None:
    wrong = []
    for key in keys:
        here, there = settings, needed
        for part in key.split("."):
            here, there = getattr(here, part), getattr(there, part)
        if here != there:
            wrong.append(f"  model.{key}={here}, {there} is needed")
    if wrong:
        raise SettingError(
            f"model.init_from={settings.init_from}: {of} has another architecture than this training:\n"
            + "\n".join(wrong)
            + "\n  both are in place with   model=deepgaze2e_densenet201 (IIE's) or "
            "model=deepgaze3_densenet201 (DeepGaze III's)"
        )


def _where() -> str:
    return f"IIE's is at {IIE.address}, DeepGaze III's at {III.address} (no licence: for yourself)"
