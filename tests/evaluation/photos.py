"""Small data sets of photo-like images in files, and finished runs on them that were never trained."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.generated import gazes, picture
from entreg.config import Config, Data
from entreg.data.splits import split
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.per_set import PerSet
from entreg.runs import checkpoint
from entreg.runs.folder import RunFolder
from entreg.study import changed_sets
from entreg.study.finished_run import FinishedRun
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache

SIZE, PORTRAIT = (384, 512), (512, 384)
FIXATIONS = 12  # of each image
OWN, FOREIGN = range(12), range(100, 122)
HISTORY = [
    {
        "epoch": epoch,
        "lr": 0.001,
        "train_nll_nats": 9 - epoch / 10,
        "validation_nll_nats": 9.1 - epoch / 10,
        "validation_ig_bits_per_fixation": epoch / 10,
        "bias_entropy_nats": 10.0,
        "center_bias_weight": 0.9,
        "sigma_px": 8.0,
    }
    for epoch in (1, 2)
]


def name_of(seed: int) -> str:
    """The file of the image that is drawn from this seed."""
    return f"{seed:03d}.jpg"


def write_set(root: Path, seeds: Sequence[int], copies: Mapping[int, Path] | None = None) -> None:
    """A data set as the `folder` source reads it: an image for each seed, every fourth a portrait.

    copies: by seed, the image that stands in its place, saved anew and at half the size
    """
    (root / "stimuli").mkdir(parents=True)
    with (root / "fixations.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "x", "y"])
        for seed in seeds:
            path = root / "stimuli" / name_of(seed)
            size = PORTRAIT if seed % 4 == 3 else SIZE
            if copies and seed in copies:
                with Image.open(copies[seed]) as image:
                    image.resize((image.width // 2, image.height // 2)).save(path, quality=60)
                    size = image.height // 2, image.width // 2
            else:
                picture(path, size, seed)
            table.writerows(
                [path.name, f"{x:.2f}", f"{y:.2f}"] for y, x in zip(*gazes(size, FIXATIONS, seed), strict=True)
            )


def write_sets(place: Path) -> tuple[list[int], list[int]]:
    """`own`, twelve images, and `foreign`, twenty-two; the seeds of own's training and of its validation images.

    A validation image and the foreign images 103 and 110 copy training images, 120 copies a validation image.
    """
    training, validation = (part.tolist() for part in split(len(OWN), Data(name="own", folds=4)))
    write_set(place / "unique", OWN)
    stimuli = place / "unique/stimuli"
    write_set(place / "own", OWN, {validation[1]: stimuli / name_of(training[4])})
    write_set(
        place / "foreign",
        FOREIGN,
        {
            103: stimuli / name_of(training[0]),
            110: stimuli / name_of(training[7]),
            120: stimuli / name_of(validation[0]),
        },
    )
    return training, validation


def words(place: Path, store: Path) -> list[str]:
    """What makes a config of the sets `own` and `foreign` under a place."""
    small = ("long_side_px=96", "short_side_px=72", "sigma_px=4")
    return [
        "data=folder",
        "data.name=own",
        "data.folds=4",
        "ood=[]",
        "+data@ood.foreign=folder",
        f"paths.store={store}",
        "uniform.images=2",
        "model.backbone.taps=[conv1_2,relu2_2]",
        "hardware=cpu",
        "hardware.threads=1",
        f"data.root={place / 'own'}",
        f"ood.foreign.root={place / 'foreign'}",
        *(f"{role}.{word}" for role in ("data", "ood.foreign") for word in small),
    ]


def trained(folder: Path, config: Config, cache: StudyCache, weights: int) -> FinishedRun:
    """A finished run, in its folder: its weights are drawn from a seed, and so are the numbers that sets have."""
    study, place = Study(config, cache), RunFolder(folder)
    sets = [settings.name for settings in study.trained_on.sets]
    own = PerSet(sets, config.model.per_set) if config.model.per_set else None
    model = DeepGaze3(study.recipe.channels, config.model.sigma_px, weights, own)
    if own is not None:
        generator = torch.Generator().manual_seed(weights)
        for parameter in own.parameters():
            parameter.data = 0.5 * torch.randn(len(sets), generator=generator)
    numbers = {
        f"{key}.{of_set}": value for of_set, known in model.own_numbers().items() for key, value in known.items()
    }
    state: dict[str, Any] = {
        "model": model.state_dict(),
        "history": [row | numbers for row in HISTORY],
        "fingerprints": study.fingerprints,
        "sets": sets,
    }
    place.write_config(config)
    place.write_plan(config)
    changed_sets.record(place, study.sets)
    checkpoint.write(place.final, state)
    return FinishedRun(place, config, state)
