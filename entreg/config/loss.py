"""The settings of the loss."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from omegaconf import MISSING

from entreg.config.settings import setting

Share = Callable[[Any, int, Any], Any]  # see `Loss.share`


@dataclass
class Loss:
    """The loss: the NLL of human fixations, plus `weight` times a function of the bias map.

    Each module in entreg/losses/ has a `Settings` that inherits from this, computes the loss and adds what it needs.
    `mean_over` belongs to the NLL. The others belong to the function of the bias map, and losses may share them.

    column: the column of steps.csv that holds the function of the bias map
    """

    column: ClassVar[str]

    name: str = setting(MISSING, "name of the loss", affects="result")
    lambda_entropy: float = setting(
        1.0,
        "weight of the bias map's entropy (nats); nll ignores it",
        affects="result",
        at_least=0,
    )
    every: int = setting(
        10, "the entropy enters the loss on global steps 0, every, 2*every, ...", affects="result", at_least=1
    )
    mean_over: str = setting(
        "images",
        "how the NLL is averaged; images: over each image's fixations, then over the images of a batch; fixations: "
        "over all fixations of a batch",
        affects="result",
        one_of=("images", "fixations"),
    )
    normalisation: str = setting(
        "softmax",
        "how the bias map is normalised; softmax: the density as predicted; minmax: its log density rescaled to 0..1",
        affects="result",
        one_of=("softmax", "minmax"),
    )
    aggregation: str = setting(
        "mean_entropy",
        "mean_entropy: mean of the uniform images' entropies; entropy_of_mean: entropy of their mean map",
        affects="result",
        one_of=("mean_entropy", "entropy_of_mean"),
    )
    center_bias: str = setting(
        "model",
        "centre bias of the uniform images; model: as the model receives for other images; uniform: a uniform one",
        affects="result",
        one_of=("model", "uniform"),
    )

    @property
    def weight(self) -> float:
        """The weight of `share` in the loss, with its sign; 0 where the bias map does not enter."""
        return 0.0

    def share(self, density: Any, images: int, ranks: Any) -> Any:
        """Return a rank's share of the function of the bias map: a scalar tensor, unweighted, with a gradient.

        density: the LogDensity that was predicted for this rank's uniform images
        images: the number of uniform images over all ranks; the shares of all ranks add up to the function
        """
        raise NotImplementedError

    def ready(self, allow: Collection[str]) -> Share:
        """Return `share` for a training. Raises a SettingError where it needs a package that `allow` does not name."""
        return self.share

    def remark(self) -> str | None:
        """Return a remark to log before a training, or None."""
        return None

    @property
    def regularises(self) -> bool:
        """Whether the bias map enters the loss. With lambda 0 the regularised arm equals the baseline to the bit."""
        return self.weight != 0

    @property
    def bias_map_settings(self) -> tuple[str, ...]:
        """The settings of the function of the bias map."""
        return tuple(item.name for item in fields(self) if item.name not in ("name", "mean_over"))

    @property
    def unused(self) -> tuple[str, ...]:
        """The settings that no step of this loss uses, so that they do not distinguish runs."""
        return () if self.regularises else self.bias_map_settings
