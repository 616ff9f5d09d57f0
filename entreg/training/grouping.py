"""Which runs of a sweep can be trained together: those that read the same images in the same order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from entreg.config import Config

# groups and settings that may differ between runs of a group; of the trainer also those that `shared_settings` names
MAY_DIFFER = ("loss", "optim", "evaluation", "ood", "seed", "study", "runs")


def groups(configs: Sequence[Config], most: int | None = None) -> list[list[int]]:
    """Return the numbers of the configs that can be trained together, a list for each group.

    The groups stand in the order of their first runs.

    most: the greatest number of runs in a group; None: there is no limit
    """
    by_settings: dict[str, list[int]] = {}
    for number, config in enumerate(configs):
        by_settings.setdefault(shared_settings(config), []).append(number)
    size = most or len(configs)
    return [numbers[k : k + size] for numbers in by_settings.values() for k in range(0, len(numbers), size)]


def shared_settings(config: Config) -> str:
    """Return all settings in which the runs of a group must agree.

    These say what the runs read, in which order, and on which devices.
    """
    # an order seed that was not set is the run's own seed
    trainer = dataclasses.replace(config.trainer, epochs=0, checkpoint_every=0, order_seed=config.order_seed)
    settings = dataclasses.asdict(dataclasses.replace(config, trainer=trainer))
    settings["model"] |= {"sigma_px": None, "per_set": None}
    return repr({key: value for key, value in settings.items() if key not in MAY_DIFFER})
