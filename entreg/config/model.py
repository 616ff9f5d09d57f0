"""The settings of the model and its backbone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from entreg.config.settings import MOST_SEED, Rule, group, setting


@dataclass
class Backbone:
    """The frozen feature extractor."""

    name: str = setting(
        "vgg19", "architecture: vgg19 or another classifier of torchvision, such as densenet201", affects="result"
    )
    weights: str | None = setting(
        None,
        "torchvision's name of the weights (IMAGENET1K_V1), or a local file; null: random weights, for "
        "demonstrations only",
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
    init_from: str | None = setting(
        None,
        "file of a published DeepGaze (IIE or III) from whose parameters a training starts; null: random parameters",
        affects="result",
        path=True,
    )
    init_component: int = setting(0, "number of the component in that file", affects="result", at_least=0)

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong where a component is given without a file."""
        if self.init_component and self.init_from is None:
            yield "init_component", "it needs model.init_from, the file that holds the component"
