"""The settings of the optimiser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from entreg.config.settings import Rule, setting


@dataclass
class Optim:
    """Adam. The learning rate falls from `lr` to exactly `lr_final` by an equal factor at each milestone."""

    lr: float = setting(0.001585, "first learning rate, 10^-2.8", affects="result", above=0)
    lr_final: float = setting(1.5e-7, "last learning rate, 10^-6.8 rounded", affects="result", above=0)
    milestones: list[float] = setting(
        [0.2, 0.4, 0.6, 0.8],
        "shares of the epochs after which the learning rate falls",
        affects="result",
        above=0,
        at_most=1,
    )

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong where the learning rate would rise."""
        if self.lr_final > self.lr:
            yield "lr_final", f"at most lr={self.lr}"
