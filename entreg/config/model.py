"""The settings of the model and its backbone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from entreg.config.settings import MOST_SEED, Rule, group, setting

OWN = "own"  # as weights: those that a module is made with
# the numbers that each of several sets may have of its own, see entreg/model/per_set.py
PER_SET = ("center_bias", "scale", "spread")
PRECISIONS = "auto", "float32", "bfloat16", "float16"  # of products


@dataclass
class Backbone:
    """The frozen feature extractor. `patch_px`, `mean` and `std` are for a `module` alone."""

    name: str = setting(
        "vgg19", "architecture: vgg19 or another classifier of torchvision, such as densenet201", affects="result"
    )
    weights: str | None = setting(
        None,
        "torchvision's name of the weights (IMAGENET1K_V1), or a local file; null: random weights, for "
        "demonstrations only; own: those that a module is made with",
        affects="result",
        path="unless a name",
    )
    seed: int = setting(
        0,
        "seed of random weights (weights=null), independent of the run's seed",
        affects="result",
        at_least=0,
        at_most=MOST_SEED,
    )
    taps: list[str] = setting(
        ["conv5_1", "relu5_1", "relu5_2", "conv5_3", "relu5_4"],
        "layers whose outputs the readout receives (default: DeepGaze II's); "
        "python -m entreg.features.torchvision_backbone NAME lists their names",
        affects="result",
    )
    module: dict[str, Any] = setting(
        {},
        "{_target_: PACKAGE.FUNCTION, SETTING: VALUE}, which returns a torch.nn.Module in place of torchvision's "
        "classifier `name`; its taps are the names of its submodules, and it needs allow=[PACKAGE]",
        affects="result",
    )
    precision: str = setting(
        "float32",
        "precision of the backbone's products; auto: bfloat16 where the device computes it natively, else float32",
        affects="result",
        one_of=PRECISIONS,
    )
    patch_px: int | None = setting(
        None,
        "pixels of a side of a patch, for a module whose taps are tokens: images' sides are brought to multiples of it "
        "and the last tokens become a map; null: its taps are maps (images, channels, rows, columns)",
        affects="result",
        at_least=1,
    )
    mean: list[float] = setting(
        [0.485, 0.456, 0.406], "mean of red, green and blue (0..1) by which images are normalised", affects="result"
    )
    std: list[float] = setting(
        [0.229, 0.224, 0.225], "standard deviation of the colours, likewise", affects="result", above=0
    )

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong with colours that are not three, and settings that have no use without a module."""
        if self.module and self.name == Backbone().name:
            yield "name", "a module has a name of its own, under which tables list it: model.backbone.name=NAME"
        for name in ("mean", "std"):
            if len(getattr(self, name)) != 3:
                yield name, "a number for each of red, green and blue"
        for name in ("patch_px", "mean", "std"):
            if not self.module and getattr(self, name) != getattr(Backbone(), name):
                yield name, "it needs model.backbone.module"

    @property
    def read_weights(self) -> str | None:
        """The weights that are read from a file; None where they are random or the module's own."""
        return None if self.module and self.weights == OWN else self.weights


@dataclass
class Model:
    """Spatial DeepGaze III (Kuemmerer, Bethge & Wallis 2022, doi 10.1167/jov.22.5.7)."""

    backbone: Backbone = group(Backbone)
    downsample: int = setting(
        2, "factor by which the image is downsampled before the backbone", affects="result", at_least=1
    )
    readout_factor: int = setting(
        4, "pixels of the downsampled image per pixel of the readout", affects="result", at_least=1
    )
    saliency_map_factor: int = setting(
        4, "pixels of the image per pixel of the blurred map", affects="result", at_least=1
    )
    sigma_px: float = setting(
        8.0, "initial blur, in pixels of the saliency map", affects="result", at_least=0.01, at_most=1000
    )
    center_bias: str = setting(
        "kde",
        "centre bias that the model receives; kde: estimated from the training fixations; gaussian: the Gaussian "
        "prior; uniform: none",
        affects="result",
        one_of=("kde", "gaussian", "uniform"),
    )
    per_set: list[str] = setting(
        [],
        "numbers that each of several `sets` has of its own; center_bias: the weight of the centre bias; scale: a "
        "factor on the readout; spread: the blur. On other images their averages over the sets stand in",
        affects="result",
        one_of=PER_SET,
    )
    init_from: str | None = setting(
        None,
        "file of a published DeepGaze (IIE or III) from whose parameters a training starts; null: random parameters",
        affects="result",
        path=True,
    )
    init_component: int = setting(0, "number of the component in that file", affects="result", at_least=0)

    def __post_init__(self) -> None:
        # neither the order in which they were typed nor a repetition means anything
        self.per_set = sorted({*self.per_set})

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong where a component is given without a file, or a weight without a centre bias."""
        if self.init_component and self.init_from is None:
            yield "init_component", "it needs model.init_from, the file that holds the component"
        if self.center_bias == "uniform" and "center_bias" in self.per_set:
            yield "per_set", "model.center_bias=uniform changes no density, whatever its weight; leave center_bias out"
