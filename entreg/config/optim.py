"""The settings of the optimiser and of the schedule of its learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from entreg.config.settings import Rule, setting

MILESTONES = "milestones"  # the schedule of the study, and the only one that is not PyTorch's


@dataclass
class Optim:
    """The optimiser. By default its rate falls from `lr` to `lr_final` by an equal factor at each milestone."""

    name: str = setting("Adam", "optimiser: a class of torch.optim, such as AdamW, SGD or NAdam", affects="result")
    settings: dict[str, Any] = setting(
        {},
        "further settings of the optimiser, by PyTorch's names: +optim.settings.weight_decay=0.01",
        affects="result",
    )
    lr: float = setting(0.001585, "first learning rate, 10^-2.8", affects="result", above=0)
    lr_final: float = setting(1.5e-7, "last learning rate, 10^-6.8 rounded", affects="result", above=0)
    milestones: list[float] = setting(
        [0.2, 0.4, 0.6, 0.8],
        "shares of the epochs after which the learning rate falls",
        affects="result",
        above=0,
        at_most=1,
    )
    schedule: str = setting(
        MILESTONES,
        "schedule of the learning rate: milestones, or a class of torch.optim.lr_scheduler that steps after each "
        "epoch, such as CosineAnnealingLR",
        affects="result",
    )
    schedule_settings: dict[str, Any] = setting(
        {}, "settings of such a class, by PyTorch's names: +optim.schedule_settings.T_max=25", affects="result"
    )

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong where the learning rate would rise, or where the schedule leaves a setting unused."""
        if self.schedule == MILESTONES:
            if self.lr_final > self.lr:
                yield "lr_final", f"at most lr={self.lr}"
            if self.schedule_settings:
                yield "schedule_settings", "they need optim.schedule=NAME, a class of torch.optim.lr_scheduler"
            return
        for name in ("lr_final", "milestones"):
            if getattr(self, name) != getattr(Optim(), name):
                yield name, f"optim.schedule={self.schedule} does not use it"
