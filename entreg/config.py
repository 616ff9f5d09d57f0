"""Schemas of every setting: type, unit, range and meaning.

YAML under conf/ holds the values; these dataclasses hold what the values may be. Hydra checks names and types when it
composes; `check` adds ranges, for every job of a sweep before the first is started; `resolved` hands a plain typed
object to the task, below which nobody sees a DictConfig.
"""
from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, List, Optional

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from entreg.errors import SettingError


def setting(default: Any, meaning: str, **limits: Any) -> Any:
    """A field with its meaning and limits: at_least, at_most, above, one_of (also applied to each item of a list).

    path=True: a file or folder; relative paths are made absolute against the folder the command was typed in.
    """
    metadata = {"meaning": meaning, **limits}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Task:
    """What to do. `_target_` is called with the composed config."""

    _target_: str = MISSING
    name: str = MISSING


@dataclass
class Backbone:
    """The frozen feature extractor."""

    name: str = setting("vgg19", "architecture", one_of=("vgg19",))
    weights: Optional[str] = setting(
        None, "torchvision weights name (IMAGENET1K_V1), a local file, or null: random weights, a demonstration only"
    )
    seed: int = setting(0, "seed of random weights (weights=null), not of the run", at_least=0)
    taps: List[str] = setting(
        ["conv5_1", "relu5_1", "relu5_2", "conv5_3", "relu5_4"], "layers whose outputs the readout sees (DeepGaze II's)"
    )


@dataclass
class Model:
    """DeepGaze III, spatial (Kuemmerer, Bethge & Wallis 2022, doi 10.1167/jov.22.5.7)."""

    backbone: Backbone = field(default_factory=Backbone)
    downsample: int = setting(2, "the image is downsampled by this factor before the backbone", at_least=1)
    readout_factor: int = setting(4, "pixels of the downsampled image to a pixel of the readout", at_least=1)
    saliency_map_factor: int = setting(4, "pixels of the image to a pixel of the blurred map", at_least=1)
    sigma_px: float = setting(8.0, "initial blur, pixels of the saliency map", above=0)
    center_bias: str = setting(
        "kde", "centre bias that the model receives: from the training fixations, a Gaussian, or none",
        one_of=("kde", "gaussian", "uniform"),
    )


@dataclass
class Data:
    """A data set: where it is, which of its images are used, and how they are brought to one size."""

    _target_: str = MISSING
    name: str = MISSING
    root: Optional[str] = setting(None, "folder of the data set", path=True)
    limit: Optional[int] = setting(None, "use only the first so many images (after sample)", at_least=2)
    sample: Optional[int] = setting(None, "draw so many images at random", at_least=1)
    sample_seed: int = setting(0, "seed of that draw, independent of the run's seed", at_least=0)
    split_seed: int = setting(42, "seed of the shuffle before the folds are cut", at_least=0)
    folds: int = setting(10, "number of folds; fold `fold` is the validation part, the rest is trained on", at_least=2)
    fold: int = setting(0, "fold that validates", at_least=0)
    geometry: str = setting(
        "stretch", "stretch to the size, or crop: cover it and cut the centre", one_of=("stretch", "crop")
    )
    long_side_px: int = setting(1024, "longer side of the images given to the model", at_least=32)
    short_side_px: int = setting(768, "shorter side of the images given to the model", at_least=32)
    sigma_px: float = setting(35.0, "blur of the ground-truth density, pixels (35 px = 1 degree in MIT1003)", above=0)


@dataclass
class Mit1003(Data):
    """ALLSTIMULI and ALLFIXATIONMAPS of Judd et al. 2009."""


@dataclass
class Cat2000(Data):
    """trainSet of Borji & Itti 2015."""


@dataclass
class Folder(Data):
    """stimuli/ and fixations.csv (image, x, y, optionally subject and order): everybody's own data."""

    drop_first: bool = setting(True, "drop each trial's first fixation (order 0), where the order is known")


@dataclass
class Synthetic(Data):
    """Images drawn from a seed with a known fixation density."""

    images: int = setting(120, "images to draw", at_least=4)
    seed: int = setting(1, "seed of images and fixations, independent of the run's seed", at_least=0)
    observers: int = setting(15, "observers", at_least=1)
    fixations_per_observer: int = setting(6, "fixations of an observer on an image", at_least=1)
    bias_x: float = setting(0.5, "centre of the observers' spatial bias, share of the width", at_least=0, at_most=1)
    bias_y: float = setting(0.5, "centre of the observers' spatial bias, share of the height", at_least=0, at_most=1)
    bias_sigma: float = setting(0.18, "spread of that bias, share of each side", above=0)
    bias_share: float = setting(0.35, "share of fixations that follow the bias", at_least=0, at_most=1)
    object_share: float = setting(0.55, "share of fixations on objects; the rest is uniform", at_least=0, at_most=1)


@dataclass
class Loss:
    """nll: human fixations alone. nll_entropy: nll - lambda_entropy * H(bias map) on every `every`-th step."""

    name: str = setting(MISSING, "nll or nll_entropy", one_of=("nll", "nll_entropy"))
    lambda_entropy: float = setting(1.0, "weight of the bias map's entropy (nats); nll ignores it", at_least=0)
    every: int = setting(10, "the entropy enters on global steps 0, every, 2*every, ...", at_least=1)
    mean_over: str = setting(
        "images", "NLL is the mean over images of each image's mean, or the mean over all fixations of a batch",
        one_of=("images", "fixations"),
    )
    normalisation: str = setting(
        "softmax", "bias map: the density as it is, or its log density rescaled to 0..1 first", one_of=("softmax", "minmax")
    )
    aggregation: str = setting(
        "mean_entropy", "mean of the uniform images' entropies, or entropy of their mean map",
        one_of=("mean_entropy", "entropy_of_mean"),
    )
    center_bias: str = setting(
        "model", "centre bias of the uniform images: what the model receives, or a uniform one", one_of=("model", "uniform")
    )


@dataclass
class Optim:
    """Adam; the rate falls in equal factors at the milestones and meets both ends exactly."""

    lr: float = setting(0.001585, "first learning rate, 10^-2.8", above=0)
    lr_final: float = setting(1.5e-7, "last learning rate, 10^-6.8 rounded", above=0)
    milestones: List[float] = setting([0.2, 0.4, 0.6, 0.8], "shares of the epochs after which it falls", above=0, at_most=1)


@dataclass
class Trainer:
    """Length and rhythm of a training."""

    epochs: int = setting(25, "epochs; no early stop", at_least=1)
    batch_size: int = setting(32, "images of a step, over all devices", at_least=1)
    checkpoint_every: int = setting(5, "epochs between numbered checkpoints", at_least=1)


@dataclass
class Hardware:
    """Devices of a run and what to ask of SLURM for it."""

    name: str = MISSING
    kind: str = setting("auto", "device kind", one_of=("auto", "cpu", "cuda"))
    devices: Optional[int] = setting(None, "ranks, one a device; null: all visible GPUs, else one CPU process", at_least=1)
    precision: str = setting(
        "float32", "of the backbone's and the readout's products", one_of=("auto", "float32", "bfloat16", "float16")
    )
    convolution: str = setting(
        "auto",
        "the backbone's algorithm; winograd: on the CPU in float32, a third faster, error far below float16's rounding; "
        "auto: winograd where it can be used and store.dtype is not float32",
        one_of=("auto", "direct", "winograd"),
    )
    threads: Optional[int] = setting(None, "CPU threads a rank; null: cores shared between the ranks", at_least=1)
    gpus: Optional[int] = setting(None, "GPUs to ask of SLURM; null: none", at_least=1)
    cpus: int = setting(2, "CPUs to ask of SLURM", at_least=1)
    memory_gb: int = setting(16, "memory to ask of SLURM", at_least=1)
    timeout_min: int = setting(240, "wall time to ask of SLURM", at_least=1)
    partition: Optional[str] = setting(None, "SLURM partition")
    account: Optional[str] = setting(None, "SLURM account")
    constraint: Optional[str] = setting(None, "SLURM constraint, such as a100")


@dataclass
class Uniform:
    """Uniform images: what the bias map is predicted from."""

    images: int = setting(16, "levels, evenly spaced over normalised intensity 0..1", at_least=1)
    levels: Optional[List[float]] = setting(None, "these intensities instead", at_least=0, at_most=1)


@dataclass
class Prior:
    """Centre priors: baselines of information gain and the centre bias that the model receives."""

    gaussian_variance: float = setting(
        0.22, "x variance, half-width = 1 (Clarke & Tatler 2014; one source says 0.23)", above=0
    )
    gaussian_nu: float = setting(0.45, "y variance over x variance (Clarke & Tatler 2014)", above=0)
    kde_bandwidth: float = setting(0.021539, "10^-1.6667673, share of each side (DeepGaze III)", above=0, at_most=1)
    kde_regularisation: float = setting(
        1.3062e-15, "10^-14.884, weight of a uniform density (DeepGaze III)", above=0, at_most=1
    )


@dataclass
class Store:
    """The backbone's features, computed once an image, kept on disk and shared by all runs."""

    dtype: str = setting("float16", "stored precision", one_of=("float16", "bfloat16", "float32"))


@dataclass
class Paths:
    """Where things lie."""

    data: str = setting("data", "data sets", path=True)
    weights: str = setting("weights", "backbone weights", path=True)
    store: str = setting("~/.cache/entreg", "feature stores and synthetic images (gigabytes)", path=True)


@dataclass
class Evaluation:
    """How an evaluation judges."""

    bootstrap: int = setting(10000, "resamples of the images", at_least=100)
    seed: int = setting(0, "seed of the resampling", at_least=0)
    ig_band_bits: Optional[List[float]] = setting(None, "band in which the baseline's validation IG is expected: low, high")
    ig_band_data: Optional[str] = setting(None, "data set (its name) that the band is for")
    ig_band_prior: str = setting("gaussian", "prior that the band is measured over", one_of=("gaussian", "kde"))
    ig_band_source: Optional[str] = setting(None, "where that band comes from")


@dataclass
class Config:
    """One job."""

    task: Task = field(default_factory=Task)
    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    ood: Optional[Data] = None
    loss: Loss = field(default_factory=Loss)
    optim: Optim = field(default_factory=Optim)
    trainer: Trainer = field(default_factory=Trainer)
    hardware: Hardware = field(default_factory=Hardware)
    uniform: Uniform = field(default_factory=Uniform)
    prior: Prior = field(default_factory=Prior)
    store: Store = field(default_factory=Store)
    paths: Paths = field(default_factory=Paths)
    evaluation: Evaluation = field(default_factory=Evaluation)
    seed: int = setting(0, "of initial weights and batch order", at_least=0)
    study: str = setting(MISSING, "name shared by the runs of a sweep; the same name resumes it")
    runs: Optional[str] = setting(None, "runs to evaluate: a folder or a glob; null: the newest sweep")


SCHEMAS = {
    (None, "schema"): Config,
    ("data", "schema_mit1003"): Mit1003,
    ("data", "schema_cat2000"): Cat2000,
    ("data", "schema_folder"): Folder,
    ("data", "schema_synthetic"): Synthetic,
}


def register() -> None:
    """Makes the schemas known to Hydra, and the list of settings to its --help."""
    for (group, name), node in SCHEMAS.items():
        ConfigStore.instance().store(group=group, name=name, node=node)
    OmegaConf.register_new_resolver("settings", settings_help, replace=True)


def check(cfg: DictConfig) -> None:
    """Checks every setting's range. SettingError names each wrong key in full (`ood.sigma_px`), its value and its range."""
    wrong = [line for line in _complaints(OmegaConf.to_object(cfg), "") if line]
    if wrong:
        raise SettingError("\n".join(wrong))


def resolved(cfg: DictConfig) -> Config:
    """The composed config as a typed object: interpolations resolved, ranges checked, paths absolute."""
    check(cfg)
    config = OmegaConf.to_object(cfg)
    _make_paths_absolute(config)
    return config


def settings_help() -> str:
    """One line a setting: full key, default, range, meaning."""
    lines: list[str] = []

    def describe(schema: type, prefix: str) -> None:
        for item in dataclasses.fields(schema):
            nested = _NESTED.get((schema, item.name))
            if nested:
                describe(nested, f"{prefix}{item.name}.")
            elif item.metadata:
                default = item.default_factory() if item.default is dataclasses.MISSING else item.default
                shown = "" if default == MISSING else f" = {'null' if default is None else default}"
                lines.append(f"  {prefix}{item.name}{shown}: {item.metadata['meaning']}{_range(item.metadata)}")

    describe(Config, "")
    return "\n".join(lines)


_NESTED = {
    (Config, "model"): Model, (Model, "backbone"): Backbone, (Config, "data"): Data, (Config, "loss"): Loss,
    (Config, "optim"): Optim, (Config, "trainer"): Trainer, (Config, "hardware"): Hardware, (Config, "uniform"): Uniform,
    (Config, "prior"): Prior, (Config, "store"): Store, (Config, "paths"): Paths, (Config, "evaluation"): Evaluation,
}


def _range(metadata: Any) -> str:
    words = [f"{word} {metadata[key]}" for key, word in
             (("at_least", "at least"), ("above", "above"), ("at_most", "at most")) if key in metadata]
    if "one_of" in metadata:
        words.append("one of " + ", ".join(metadata["one_of"]))
    return f" ({', '.join(words)})" if words else ""


def _complaints(node: Any, prefix: str) -> list[str]:
    lines: list[str] = []
    for item in dataclasses.fields(node):
        value, key = getattr(node, item.name), prefix + item.name
        if dataclasses.is_dataclass(value):
            lines += _complaints(value, key + ".")
        for entry in value if isinstance(value, list) else [value]:
            if entry is not None and not _allowed(entry, item.metadata):
                lines.append(f"{key}={value} is out of range: {item.metadata['meaning']}{_range(item.metadata)}")
                break
    if isinstance(node, Data) and node.fold >= node.folds:
        lines.append(f"{prefix}fold={node.fold} is out of range: {prefix}folds is {node.folds}, folds count from 0")
    if isinstance(node, Data) and node.short_side_px > node.long_side_px:
        limit = f"{prefix}long_side_px={node.long_side_px}"
        lines.append(f"{prefix}short_side_px={node.short_side_px} is out of range: at most {limit}")
    if isinstance(node, Synthetic) and node.bias_share + node.object_share > 1:
        lines.append(f"{prefix}bias_share={node.bias_share} is out of range: with {prefix}object_share at most 1")
    if isinstance(node, Optim) and node.lr_final > node.lr:
        lines.append(f"{prefix}lr_final={node.lr_final} is out of range: at most {prefix}lr={node.lr}")
    return lines


def _allowed(value: Any, metadata: Any) -> bool:
    if "one_of" in metadata:
        return value in metadata["one_of"]
    if isinstance(value, float) and value != value:
        return False
    return not ("at_least" in metadata and value < metadata["at_least"]
                or "at_most" in metadata and value > metadata["at_most"]
                or "above" in metadata and value <= metadata["above"])


def _make_paths_absolute(node: Any) -> None:
    for item in dataclasses.fields(node):
        value = getattr(node, item.name)
        if dataclasses.is_dataclass(value):
            _make_paths_absolute(value)
        elif item.metadata.get("path") and value is not None:
            setattr(node, item.name, os.path.abspath(Path(value).expanduser()))
