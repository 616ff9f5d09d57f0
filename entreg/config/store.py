"""The settings of the feature stores."""

from __future__ import annotations

from dataclasses import dataclass

from entreg.config.settings import setting


@dataclass
class Stored:
    """How the backbone's features are stored: once for each image, on the disk, shared by all runs."""

    dtype: str = setting(
        "float16", "precision of the stored features", affects="result", one_of=("float16", "bfloat16", "float32")
    )
    hold: str = setting(
        "auto",
        "where a training reads features from; memory: the GPU's, else the machine's, one copy for all ranks, up to "
        "half of what the job has left; map: the disk, through the page cache; auto: memory where they fit, unless the "
        "page cache of a local disk already has them",
        affects="machine",
        one_of=("auto", "map", "memory"),
    )
