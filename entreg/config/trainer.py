"""The settings of the training loop."""

from __future__ import annotations

from dataclasses import dataclass

from entreg.config.settings import MOST_SEED, setting


@dataclass
class Training:
    """The epochs and batches of a training."""

    epochs: int = setting(25, "number of epochs; training never stops early", affects="result", at_least=1)
    batch_size: int = setting(32, "images per step, over all devices", affects="result", at_least=1)
    order_seed: int | None = setting(
        None,
        "seed of the batch order; null: the run's seed. Runs with the same one can be trained together",
        affects="replicate",
        at_least=0,
        at_most=MOST_SEED,
    )
    checkpoint_every: int = setting(5, "number of epochs between numbered checkpoints", affects="machine", at_least=1)
