"""The settings of the uniform images, for which bias maps are predicted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from entreg.config.settings import Rule, setting


@dataclass
class Uniform:
    """The uniform images, for which the bias map is predicted."""

    images: int = setting(
        16,
        "number of images, with intensities evenly spaced over 0..1",
        affects="result",
        at_least=1,
        at_most=100_000,
    )
    levels: list[float] | None = setting(
        None, "intensities of the images, instead of evenly spaced ones", affects="result", at_least=0, at_most=1
    )

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong where there are no images."""
        if self.levels == []:
            yield "levels", "give intensities in 0..1, or null for uniform.images of them"
