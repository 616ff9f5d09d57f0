"""NLL + lambda_entropy times a regulariser of the bias map, which is a function of another package."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from entreg.config import Loss
from entreg.config.loss import Share
from entreg.config.settings import Rule, setting
from entreg.distributed.ranks import Ranks
from entreg.errors import SettingError
from entreg.model.log_density import LogDensity
from entreg.runs import foreign_code

KEY = "loss.regulariser"


@dataclass
class Settings(Loss):
    """The mean over uniform images of what `regulariser` returns is punished."""

    name: str = setting("nll_regulariser", "name of the loss", affects="result", one_of=("nll_regulariser",))
    regulariser: dict[str, Any] = setting(
        {},
        "{_target_: PACKAGE.FUNCTION, SETTING: VALUE}: called with the log densities of uniform images, a tensor (B, "
        "H, W) in nats, it returns a value for each, a tensor (B,) with a gradient; it needs allow=[PACKAGE]",
        affects="result",
    )
    column = "regulariser"

    @property
    def weight(self) -> float:
        """The regulariser's weight in the loss. The training multiplies by it."""
        return self.lambda_entropy

    def broken_rules(self) -> Iterator[Rule]:
        """Yield the settings of the entropy that the regulariser does not use."""
        for name in ("normalisation", "aggregation"):
            if getattr(self, name) != getattr(Loss(), name):
                yield name, "it belongs to loss=nll_entropy"

    def ready(self, allow: Collection[str]) -> Share:
        """Return `share`, see `Loss`. Raises a SettingError where the regulariser's package is not allowed."""
        function = foreign_code.resolved(KEY, self.regulariser, allow)

        def share(density: LogDensity, images: int, ranks: Ranks) -> Tensor:
            if len(density.grid) == 0:  # a rank without uniform images takes part in the sum all the same
                return density.grid.sum()
            values = function(density.full())
            if not isinstance(values, Tensor) or values.shape != (len(density.grid),):
                found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
                wanted = f"a tensor ({len(density.grid)},), a value for each map"
                raise SettingError(f"{KEY}: {self.regulariser[foreign_code.TARGET]} returned {found}, not {wanted}")
            return values.sum() / images

        return share
