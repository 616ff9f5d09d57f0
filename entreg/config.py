"""The settings of a job: what each means, its unit and range, and what another value of it changes.

A default stands here. The options under conf/ say where they differ from it, and with which command to use them. Hydra
checks names and types when it composes; `settings.check` adds ranges, for every job of a sweep before the first is
started. Below the task nobody sees a DictConfig.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict, read_write

from entreg.settings import group, groups, listed, setting, settings_of

Rule = tuple[str, str]  # a field, and why its value does not fit

MOST_SEED = 2**32 - 1  # NumPy's older generator takes no greater one
MOST_PX = 16_384  # side of an image given to the model; its features would be 10 GB


@dataclass
class Task:
    """What to do."""

    name: str = setting(MISSING, "what to do: a task, by the name of its module in entreg/tasks/", changes="replicate")
    devices: int | None = setting(
        None, "devices that it can use; null: all of hardware's", changes="replicate", at_least=1
    )


@dataclass
class Backbone:
    """The frozen feature extractor."""

    name: str = setting(
        "vgg19", "architecture: vgg19, or another of torchvision's classifiers, such as densenet201", changes="result"
    )
    weights: str | None = setting(
        None,
        "torchvision weights name (IMAGENET1K_V1), a local file, or null: random weights, a demonstration only",
        changes="result",
        path="unless a name",
    )
    seed: int = setting(
        0, "seed of random weights (weights=null), not of the run", changes="result", at_least=0, at_most=MOST_SEED
    )
    taps: list[str] = setting(
        ["conv5_1", "relu5_1", "relu5_2", "conv5_3", "relu5_4"],
        "layers whose outputs the readout sees (DeepGaze II's); names: python -m entreg.features.classifier NAME",
        changes="result",
    )


@dataclass
class Model:
    """DeepGaze III, spatial (Kuemmerer, Bethge & Wallis 2022, doi 10.1167/jov.22.5.7)."""

    backbone: Backbone = group(Backbone)
    downsample: int = setting(
        2, "the image is downsampled by this factor before the backbone", changes="result", at_least=1
    )
    readout_factor: int = setting(
        4, "pixels of the downsampled image to a pixel of the readout", changes="result", at_least=1
    )
    saliency_map_factor: int = setting(
        4, "pixels of the image to a pixel of the blurred map", changes="result", at_least=1
    )
    sigma_px: float = setting(
        8.0, "initial blur, pixels of the saliency map", changes="result", at_least=0.01, at_most=1000
    )
    center_bias: str = setting(
        "kde",
        "centre bias that the model receives: from the training fixations, a Gaussian, or none",
        changes="result",
        one_of=("kde", "gaussian", "uniform"),
    )
    init_from: str | None = setting(
        None,
        "file of a published DeepGaze (IIE or III) whose parameters a training starts from; null: random ones",
        changes="result",
        path=True,
    )
    init_component: int = setting(0, "which of its components", changes="result", at_least=0)

    def broken_rules(self) -> Iterator[Rule]:
        """A component is one of a file's."""
        if self.init_component and self.init_from is None:
            yield "init_component", "model.init_from says of which file"


@dataclass
class Data:
    """A data set: where it is, which of its images are used, and how they are brought to one size.

    Each file under entreg/data/sources/ has a `Settings` that inherits from this and adds what its source needs.
    """

    source: str = setting(
        MISSING, "where it comes from: a source, by the name of its module in entreg/data/sources/", changes="result"
    )
    name: str = setting(MISSING, "its name", changes="result")
    root: str | None = setting(None, "folder of the data set", changes="place", path=True)
    limit: int | None = setting(None, "use only the first so many images (after sample)", changes="result", at_least=2)
    sample: int | None = setting(None, "draw so many images at random", changes="result", at_least=1)
    sample_seed: int = setting(
        0, "seed of that draw, independent of the run's seed", changes="result", at_least=0, at_most=MOST_SEED
    )
    split_seed: int = setting(
        42, "seed of the shuffle before the folds are cut", changes="result", at_least=0, at_most=MOST_SEED
    )
    folds: int = setting(
        10,
        "number of folds; fold `fold` is the validation part, the rest is trained on",
        changes="result",
        at_least=2,
        at_most=100_000,
    )
    fold: int = setting(
        0, "fold that validates; all of them in one sweep are a cross-validation", changes="replicate", at_least=0
    )
    geometry: str = setting(
        "stretch",
        "stretch to the size; crop: cover it and cut the centre; degrees: keep each image's shape and bring "
        "foreign sets to the training set's pixels for a degree of visual angle (the sides are then the bias maps')",
        changes="result",
        one_of=("stretch", "crop", "degrees"),
    )
    px_per_degree: float | None = setting(
        None,
        "pixels of the stored images to a degree of visual angle, as they were shown; null: not known",
        changes="result",
        above=0,
    )
    model_px_per_degree: float | None = setting(
        None,
        "pixels to a degree that geometry=degrees brings images to, of foreign sets always the training set's; "
        "null: the training set's own",
        changes="result",
        above=0,
    )
    long_side_px: int = setting(
        1024, "longer side of the images given to the model", changes="result", at_least=32, at_most=MOST_PX
    )
    short_side_px: int = setting(
        768, "shorter side of the images given to the model", changes="result", at_least=32, at_most=MOST_PX
    )
    sigma_px: float = setting(
        35.0,
        "blur of the ground-truth density, pixels (35 px = 1 degree in MIT1003)",
        changes="judgement",
        above=0,
        at_most=MOST_PX,
    )

    @property
    def unused(self) -> tuple[str, ...]:
        """Settings that this geometry has no use for, so that they cannot tell one run from another."""
        return () if self.geometry == "degrees" else ("px_per_degree", "model_px_per_degree")

    def require(self) -> None:
        """DataError where the data set is not there. A look at names alone: quick, and before anything is read."""

    def true_log_density(self, index: int) -> np.ndarray | None:
        """(H, W) nats: the log density that the index-th image's fixations come from; None where nobody knows it."""
        return None

    def broken_rules(self) -> Iterator[Rule]:
        """Rules that tie settings together."""
        if self.fold >= self.folds:
            yield "fold", f"folds is {self.folds}, and folds count from 0"
        if self.short_side_px > self.long_side_px:
            yield "short_side_px", f"at most long_side_px={self.long_side_px}"
        if self.geometry == "degrees":
            if self.px_per_degree is None:
                yield "px_per_degree", "geometry=degrees needs it: how many pixels were a degree of visual angle?"
            elif self.model_px_per_degree is None:
                yield "geometry", "the training set's is another, so there are no pixels for a degree to be brought to"
        elif self.model_px_per_degree is not None:
            yield "geometry", "model_px_per_degree is of geometry=degrees alone, where every set keeps its shapes"


@dataclass
class Download:
    """An archive that a data set was published in: a zip file, kept below the data set's root."""

    address: str = setting(MISSING, "where it can be had", changes="place")
    holds: str = setting(
        MISSING, "folder or file in it that comes to lie below root; the rest is left out", changes="place"
    )
    hash: str | None = setting(None, "md5:DIGITS or sha256:DIGITS, as published; null: not published", changes="place")
    size_bytes: int | None = setting(None, "its size; null: not known", changes="place", at_least=1)

    def broken_rules(self) -> Iterator[Rule]:
        """An address on the web with a file name, a place below root, a hash that can be compared."""
        if not re.fullmatch(r"https?://[^/]+/(.*/)?[\w-][\w.-]*(\?.*)?", self.address):
            yield "address", "http:// or https://, ending with a file's name"
        if not re.fullmatch(r"[\w-][\w. -]*(/[\w-][\w. -]*)*", self.holds):
            yield "holds", "a name below root, such as trainSet"
        if self.hash is not None and not re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", self.hash):
            yield "hash", "md5: and 32 or sha256: and 64 digits of 0-9a-f"


@dataclass
class PublishedData(Data):
    """A data set that was published: where, under which licence, in which archives and with which counts."""

    published_at: str | None = setting(None, "where the set can be had", changes="place")
    licence: str | None = setting(None, "licence that is stated for it; null: none is", changes="place")
    downloads: dict[str, Download] = groups(changes="place")
    expected_images: int | None = setting(None, "stimuli of the published set", changes="judgement", at_least=1)
    expected_fixations: int | None = setting(
        None, "fixations of the published set that are used", changes="judgement", at_least=1
    )

    def differences(self, images: int, fixations: int) -> list[str]:
        """What sets a copy with these counts apart from the published set: a line, or none."""
        counts = (("images", images, self.expected_images), ("fixations", fixations, self.expected_fixations))
        found = [f"{n} {what} instead of {expected}" for what, n, expected in counts if expected not in (None, n)]
        return [f"{self.root} is not the published set: {', '.join(found)}"] if found else []


@dataclass
class Loss:
    """What is minimised: the NLL of human fixations, plus `weight` times what a loss computes from the bias map.

    Each file under entreg/losses/ has a `Settings` that inherits from this, computes the loss and adds what it needs.
    Of the settings here, `mean_over` is the NLL's; the others are of the bias map, and losses may share them.

    column: the column of steps.csv that holds what is computed from the bias map
    """

    column: ClassVar[str]

    name: str = setting(MISSING, "its name", changes="result")
    lambda_entropy: float = setting(
        1.0,
        "weight of what is computed from the bias map (nats of entropy); nll ignores it",
        changes="result",
        at_least=0,
    )
    every: int = setting(10, "the entropy enters on global steps 0, every, 2*every, ...", changes="result", at_least=1)
    mean_over: str = setting(
        "images",
        "NLL is the mean over images of each image's mean, or the mean over all fixations of a batch",
        changes="result",
        one_of=("images", "fixations"),
    )
    normalisation: str = setting(
        "softmax",
        "bias map: the density as it is, or its log density rescaled to 0..1 first",
        changes="result",
        one_of=("softmax", "minmax"),
    )
    aggregation: str = setting(
        "mean_entropy",
        "mean of the uniform images' entropies, or entropy of their mean map",
        changes="result",
        one_of=("mean_entropy", "entropy_of_mean"),
    )
    center_bias: str = setting(
        "model",
        "centre bias of the uniform images: what the model receives, or a uniform one",
        changes="result",
        one_of=("model", "uniform"),
    )

    @property
    def weight(self) -> float:
        """Weight of `share` in the sum that is minimised, with its sign; 0: the bias map plays no part."""
        return 0.0

    def share(self, density: Any, images: int, ranks: Any) -> Any:
        """Compute a rank's share of what the loss makes of the bias map: a scalar tensor, unweighted, with a gradient.

        density: the LogDensity that was predicted for this rank's uniform images
        images: number of uniform images over all ranks; the shares of all ranks add up
        """
        raise NotImplementedError

    def remark(self) -> str | None:
        """What a person is told before a training; None where there is nothing to say."""
        return None

    @property
    def regularises(self) -> bool:
        """Whether the bias map enters at all: with lambda 0 the regularised arm is the baseline, to the bit."""
        return self.weight != 0

    @property
    def of_bias_map(self) -> tuple[str, ...]:
        """Settings of what is computed from the bias map."""
        return tuple(item.name for item in fields(self) if item.name not in ("name", "mean_over"))

    @property
    def unused(self) -> tuple[str, ...]:
        """Settings that no step of this loss uses, so that they cannot tell one run from another."""
        return () if self.regularises else self.of_bias_map


@dataclass
class Optim:
    """Adam; the rate falls in equal factors at the milestones and meets both ends exactly."""

    lr: float = setting(0.001585, "first learning rate, 10^-2.8", changes="result", above=0)
    lr_final: float = setting(1.5e-7, "last learning rate, 10^-6.8 rounded", changes="result", above=0)
    milestones: list[float] = setting(
        [0.2, 0.4, 0.6, 0.8], "shares of the epochs after which it falls", changes="result", above=0, at_most=1
    )

    def broken_rules(self) -> Iterator[Rule]:
        """The rate falls."""
        if self.lr_final > self.lr:
            yield "lr_final", f"at most lr={self.lr}"


@dataclass
class Training:
    """Length and rhythm of a training."""

    epochs: int = setting(25, "epochs; no early stop", changes="result", at_least=1)
    batch_size: int = setting(32, "images of a step, over all devices", changes="result", at_least=1)
    order_seed: int | None = setting(
        None,
        "seed of the batch order; null: the run's seed. Runs that share it can be trained together",
        changes="replicate",
        at_least=0,
        at_most=MOST_SEED,
    )
    checkpoint_every: int = setting(5, "epochs between numbered checkpoints", changes="machine", at_least=1)


@dataclass
class Hardware:
    """Devices of a run and what to ask of SLURM for it."""

    name: str = setting(MISSING, "its name", changes="machine")
    kind: str = setting("auto", "device kind", changes="replicate", one_of=("auto", "cpu", "cuda"))
    devices: int | None = setting(
        None,
        "ranks, one for each device; null: all visible GPUs, else one CPU process",
        changes="replicate",
        at_least=1,
    )
    precision: str = setting(
        "float32",
        "of the backbone's and the readout's products",
        changes="result",
        one_of=("auto", "float32", "bfloat16", "float16"),
    )
    convolution: str = setting(
        "auto",
        "the backbone's algorithm; winograd: on the CPU in float32, a third faster, error far below float16's "
        "rounding; auto: winograd where it can be used and store.dtype is not float32",
        changes="result",
        one_of=("auto", "direct", "winograd"),
    )
    threads: int | None = setting(
        None, "CPU threads of a rank; null: the cores, shared between the ranks", changes="replicate", at_least=1
    )
    gpus: int | None = setting(None, "GPUs to ask of SLURM; null: none", changes="machine", at_least=1)
    cpus: int = setting(2, "CPUs to ask of SLURM", changes="machine", at_least=1)
    memory_gb: int = setting(16, "memory to ask of SLURM", changes="machine", at_least=1)
    timeout_min: int = setting(240, "wall time to ask of SLURM", changes="machine", at_least=1)
    partition: str | None = setting(None, "SLURM partition", changes="machine")
    account: str | None = setting(None, "SLURM account", changes="machine")
    constraint: str | None = setting(None, "SLURM constraint, such as a100", changes="machine")


@dataclass
class Logger:
    """Where a training's progress is shown. metrics.csv and steps.csv are written in any case."""

    name: str = setting(
        "csv",
        "csv: the tables alone; tensorboard: also there, with settings and pictures",
        changes="machine",
        one_of=("csv", "tensorboard"),
    )


@dataclass
class Uniform:
    """Uniform images: what the bias map is predicted from."""

    images: int = setting(
        16, "levels, evenly spaced over normalised intensity 0..1", changes="result", at_least=1, at_most=100_000
    )
    levels: list[float] | None = setting(None, "these intensities instead", changes="result", at_least=0, at_most=1)

    def broken_rules(self) -> Iterator[Rule]:
        """There is at least one image."""
        if self.levels == []:
            yield "levels", "give intensities in 0..1, or null for uniform.images of them"


@dataclass
class Prior:
    """Centre priors: baselines of information gain and the centre bias that the model receives."""

    gaussian_variance: float = setting(
        0.22,
        "x variance, half-width = 1 (Clarke & Tatler 2014; one source says 0.23)",
        changes="result",
        at_least=0.001,
    )
    gaussian_nu: float = setting(
        0.45, "y variance over x variance (Clarke & Tatler 2014)", changes="result", at_least=0.001
    )
    kde_bandwidth: float = setting(
        0.021539, "10^-1.6667673, share of each side (DeepGaze III)", changes="result", at_least=0.001, at_most=1
    )
    kde_regularisation: float = setting(
        1.3062e-15,
        "10^-14.884, weight of a uniform density (DeepGaze III)",
        changes="result",
        at_least=1e-30,
        at_most=1,
    )


@dataclass
class Stored:
    """How the backbone's features are kept: computed once for each image, on disk, shared by all runs."""

    dtype: str = setting("float16", "stored precision", changes="result", one_of=("float16", "bfloat16", "float32"))
    hold: str = setting(
        "auto",
        "where a training reads them from. memory: a GPU's, else the machine's, once for all ranks, at most "
        "half of what the job has left; map: the disk, through the page cache; auto: memory where they fit, unless a "
        "local disk's page cache has them",
        changes="machine",
        one_of=("auto", "map", "memory"),
    )


@dataclass
class Paths:
    """Where things lie."""

    data: str = setting("data", "data sets", changes="place", path=True)
    weights: str = setting("weights", "backbone weights", changes="place", path=True)
    store: str = setting(
        "~/.cache/entreg", "feature stores and synthetic images (gigabytes)", changes="place", path=True
    )


@dataclass
class Primary:
    """The one comparison that the study is for, named before anything is run; every other one is exploratory.

    It is recorded when a run is first started and read from there: what is typed for an evaluation comes too late.
    """

    arm: dict[str, Any] = setting(
        {
            "loss.name": "nll_entropy",
            "loss.lambda_entropy": 1.0,
            "loss.every": 10,
            "loss.normalisation": "softmax",
            "loss.aggregation": "mean_entropy",
            "loss.center_bias": "model",
            "model.center_bias": "kde",
        },
        "the arm: every setting in which it differs from its baseline, and further ones that tell it from other arms",
        changes="judgement",
    )
    domain: str = setting("ood", "in_domain, ood (the mean over the foreign sets) or ood.NAME", changes="judgement")
    metric: str = setting(
        "ig", "what is compared: ig, ll, nss, auc or any other metric by which arms are compared", changes="judgement"
    )
    prior: str = setting("gaussian", "prior that IG is measured over", changes="judgement", one_of=("gaussian", "kde"))

    def broken_rules(self) -> Iterator[Rule]:
        """The domain is one that a study has."""
        if self.domain not in ("in_domain", "ood") and not self.domain.startswith("ood."):
            yield "domain", "in_domain, ood or ood.NAME"


@dataclass
class Evaluation:
    """How an evaluation judges."""

    seed: int = setting(
        0,
        "of the folds on which models are adapted to a foreign set",
        changes="judgement",
        at_least=0,
        at_most=MOST_SEED,
    )
    primary: Primary = group(Primary)
    ig_band_bits: list[float] | None = setting(
        None, "band in which the baseline's validation IG is expected: low, high", changes="judgement"
    )
    ig_band_data: str | None = setting(None, "data set (its name) that the band is for", changes="judgement")
    ig_band_prior: str = setting(
        "gaussian", "prior that the band is measured over", changes="judgement", one_of=("gaussian", "kde")
    )
    ig_band_source: str | None = setting(None, "where that band comes from", changes="judgement")

    def broken_rules(self) -> Iterator[Rule]:
        """A band has two ends."""
        band = self.ig_band_bits
        if band is not None and not (len(band) == 2 and band[0] < band[1]):
            yield "ig_band_bits", "two numbers, the lower one first"


@dataclass
class Predicting:
    """What task=predict leaves of each image beside its log density."""

    pictures: bool = setting(True, "the density as a picture, alone and over the photo", changes="judgement")
    hdf5: bool = setting(
        False,
        "all log densities in one HDF5 file, too, as pysaliency and the MIT/Tuebingen benchmark read them",
        changes="judgement",
    )


@dataclass
class Config:
    """One job."""

    task: Task = group(Task)
    model: Model = group(Model)
    data: Data = group(Data)
    ood: dict[str, Data] = groups(changes="judgement")
    loss: Loss = group(Loss)
    optim: Optim = group(Optim)
    trainer: Training = group(Training)
    hardware: Hardware = group(Hardware)
    logger: Logger = group(Logger)
    uniform: Uniform = group(Uniform)
    prior: Prior = group(Prior)
    store: Stored = group(Stored)
    paths: Paths = group(Paths)
    evaluation: Evaluation = group(Evaluation)
    seed: int = setting(
        0,
        "of initial weights and, where trainer.order_seed is null, of batch order",
        changes="replicate",
        at_least=0,
        at_most=MOST_SEED,
    )
    study: str = setting(MISSING, "name shared by the runs of a sweep; the same name resumes it", changes="place")
    trust: bool = setting(
        False,
        "read checkpoints and weights from elsewhere also with a PyTorch that they can make run their code",
        changes="machine",
    )
    runs: str | None = setting(
        None, "runs to evaluate: a folder or a glob; null: the newest sweep", changes="judgement"
    )
    run: str | None = setting(None, "finished run that predicts, its folder", changes="result", path=True)
    images: str | None = setting(None, "folder of the images to predict", changes="result", path=True)
    prediction: Predicting = group(Predicting)
    published: str | None = setting(
        None,
        "file of a published DeepGaze IIE, whose DenseNet member is judged beside the runs",
        changes="judgement",
        path=True,
    )
    published_component: int | None = setting(
        None, "which of its components; null: all of them, as a mixture", changes="judgement", at_least=0
    )

    def broken_rules(self) -> Iterator[Rule]:
        """The primary outcome's domain is one of this study; its arm is told by settings that change results."""
        primary = self.evaluation.primary
        known = [one.key for one in settings_of(self) if one.changes == "result"]
        # a setting of a loss may be another run's loss's own: entreg/losses knows them all
        unknown = [key for key in primary.arm if key not in known and not key.startswith("loss.")]
        if unknown:
            yield "evaluation.primary.arm", f"{', '.join(unknown)}: no settings that change a result"
        if self.published is not None and self.task.name != "evaluate":
            yield "published", "it is judged with task=evaluate; a training starts from a file with model.init_from"
        name = primary.domain.removeprefix("ood.")
        if primary.domain.startswith("ood.") and name not in self.ood:
            yield "evaluation.primary.domain", f"{name} is none of the foreign sets (ood=[{','.join(self.ood)}])"

    @property
    def order_seed(self) -> int:
        """The seed of the batch order."""
        return self.seed if self.trainer.order_seed is None else self.trainer.order_seed

    def __post_init__(self) -> None:
        # a foreign set goes by the name under which it stands
        for name, settings in self.ood.items():
            settings.name = name
        if self.data.geometry == "degrees":
            if self.data.model_px_per_degree is None:
                self.data.model_px_per_degree = self.data.px_per_degree
            for settings in (self.data, *self.ood.values()):
                settings.model_px_per_degree = self.data.model_px_per_degree
                settings.geometry = "degrees" if settings.geometry == "stretch" else settings.geometry


def register(sources: Mapping[str, type[Data]], losses: Mapping[str, type[Loss]], folders: Iterable[Path]) -> None:
    """Makes known to Hydra the schemas and that each data set can also be a foreign one, and to --help the settings.

    sources, losses: the settings of each data source and of each loss, by its name; conf/data/ and conf/loss/ call them
        schema_NAME
    folders: in whose data/ the options are: each is one of `ood`, too, where it stands under its name
    """
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    schemas: dict[str, Mapping[str, type[Any]]] = {"data": sources, "loss": losses}
    for name, schema in sources.items():
        store.store(group="data", name=f"schema_{name}", node=schema(source=name))
    for name, loss in losses.items():
        store.store(group="loss", name=f"schema_{name}", node=loss)

    for path in (path for folder in folders for path in folder.glob("data/*.yaml")):
        store.store(group="ood", name=path.stem, node={"defaults": [f"/data/{path.stem}@{path.stem}"]})

    def settings_help(*, _root_: DictConfig) -> str:
        return _settings_help(_root_, schemas)

    OmegaConf.register_new_resolver("settings", settings_help, replace=True)


def without_hydra(cfg: DictConfig) -> DictConfig:
    """A copy of a composed config without Hydra's own part."""
    own = copy.deepcopy(cfg)
    with read_write(own), open_dict(own):
        own.pop("hydra", None)
    return own


def _settings_help(cfg: DictConfig, schemas: Mapping[str, Mapping[str, type[Any]]]) -> str:
    """Every setting with its value in this composition, and those of data sources and losses that are not composed."""
    config: Any = OmegaConf.to_object(without_hydra(cfg))
    lines = listed(config)
    for option, base, words in (
        ("data", Data, "data sources of the kind {} also have"),
        ("loss", Loss, "the loss {} also has"),
    ):
        shared = [item.name for item in fields(base)]
        for name, schema in schemas[option].items():
            if schema is not type(getattr(config, option)):
                own = listed(schema(), f"{option}.", leave_out=shared)
                lines += [f"  ({words.format(name)})", *own] if own else []
    return "\n".join(lines)
