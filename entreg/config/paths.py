"""The folders of data sets, weights and feature stores."""

from __future__ import annotations

from dataclasses import dataclass

from entreg.config.settings import setting


@dataclass
class Paths:
    """The folders of data sets, weights and feature stores."""

    data: str = setting("data", "folder of the data sets", affects="location", path=True)
    weights: str = setting("weights", "folder of the backbones' weights", affects="location", path=True)
    store: str = setting(
        "~/.cache/entreg",
        "folder of the feature stores and synthetic images (gigabytes)",
        affects="location",
        path=True,
    )
