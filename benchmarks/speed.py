"""Times. Work that is compared is measured in turns in one process, and medians are reported."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.exactness import Inputs
from benchmarks.fresh import in_a_fresh_process
from benchmarks.generated import (
    CPU,
    LANDSCAPE,
    GeneratedStudy,
    Pictures,
    backbone,
    recipe,
    settings,
)
from benchmarks.plain import PlainStep
from entreg.distributed.ranks import Ranks
from entreg.distributed.threads import in_threads
from entreg.features.recipe import Recipe
from entreg.features.store_builder import open_store
from entreg.model import step_library
from entreg.model.deepgaze3 import DeepGaze3
from entreg.runs.folder import RunFolder
from entreg.training.trainer import Trainer
from entreg.training.training_group import TrainingGroup

PLAIN_BATCH = 4


def by_turns(repetitions: int, **work: Callable[[], object]) -> dict[str, float]:
    """Return the median seconds of each work, measured in turns after one turn that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(repetitions + 1):
        for name, do in work.items():
            started = time.perf_counter()
            do()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def fastest() -> Recipe:
    """Return the recipe with the precision, memory format and algorithm in which this machine's backbone is fastest."""
    return recipe(precision="auto")


class Steps:
    """The steps of a Trainer, or of several together, on the batches of a study, one per call."""

    def __init__(
        self,
        study: GeneratedStudy,
        folder: Path,
        loss: str = "nll",
        every: int = 10,
        step: str = "auto",
        trainers: int = 1,
    ) -> None:
        config = settings(loss, every)
        config.hardware.step = step
        made = replace(study, config=config)
        self.group = TrainingGroup([Trainer(made, RunFolder(folder)) for _ in range(trainers)])
        self.batches = len(study.training) // 32
        self.number = 0

    def __call__(self) -> None:
        """Do the next step."""
        number = self.number % self.batches
        self.group.step(list(range(32 * number, 32 * (number + 1))), number)
        self.number += 1


def repeated(step: Steps, times: int) -> Callable[[], None]:
    """Return what does so many steps."""

    def work() -> None:
        for _ in range(times):
            step()

    return work


def steps(study: GeneratedStudy, inputs: Inputs, folder: Path) -> dict[str, float]:
    """Return the times per image of the training step from the store and of the plain one, and their ratios."""
    parameters = dict(DeepGaze3(2560, 8.0, 0).named_parameters())
    plain = PlainStep(backbone(), parameters)
    plain_with_fastest = PlainStep(fastest().backbone, parameters, fastest().precision)
    arguments = inputs.images[:PLAIN_BATCH], inputs.center_bias[:PLAIN_BATCH], inputs.fixations[:PLAIN_BATCH]
    fast = Steps(study, folder)

    def several() -> None:
        for _ in range(8):
            fast()

    seconds = by_turns(
        3,
        plain=lambda: plain(*arguments),
        several=several,
        taps=lambda: plain.taps(arguments[0]),
        plain_with_fastest=lambda: plain_with_fastest(*arguments),
    )
    train, reference = seconds["several"] / (8 * 32), seconds["plain"] / PLAIN_BATCH
    return {
        "train_ms_per_image": train * 1e3,
        "reference_ms_per_image": reference * 1e3,
        "train_step_speedup": reference / train,
        "backbone_share_percent": 100 * seconds["taps"] / seconds["plain"],
        "reference_fastest_backbone_ms_per_image": seconds["plain_with_fastest"] / PLAIN_BATCH * 1e3,
        "train_step_speedup_against_fastest_backbone": seconds["plain_with_fastest"] / PLAIN_BATCH / train,
    }


def entropy(study: GeneratedStudy, folder: Path) -> dict[str, float]:
    """Return the time that the entropy term adds to ten steps, percent."""
    arms = {
        "without": Steps(study, folder),
        "every10": Steps(study, folder, "nll_entropy", 10),
        "every1": Steps(study, folder, "nll_entropy", 1),
    }

    seconds = by_turns(5, **{name: repeated(step, 10) for name, step in arms.items()})
    return {
        f"entropy_overhead_{name}_percent": 100 * (seconds[name] / seconds["without"] - 1)
        for name in ("every10", "every1")
    }


def compiled(study: GeneratedStudy, folder: Path) -> dict[str, float]:
    """Return the shares of PyTorch's time that the compiled step takes, over four batches, each measured in turns.

    The entropy's share is that of the time that the term adds where it is computed in every batch.
    """
    if not step_library.available():
        return {}
    steps = {
        f"{step}_{what}": Steps(study, folder, loss, every, step, trainers)
        for what, loss, every, trainers in (
            ("one", "nll", 10, 1),
            ("entropy", "nll_entropy", 1, 1),
            ("six", "nll_entropy", 10, 6),
        )
        for step in ("plain", "compiled")
    }

    seconds = by_turns(7, **{name: repeated(step, 4) for name, step in steps.items()})
    added = {step: seconds[f"{step}_entropy"] - seconds[f"{step}_one"] for step in ("plain", "compiled")}
    return {
        "compiled_step_ratio": seconds["compiled_one"] / seconds["plain_one"],
        "compiled_six_together_ratio": seconds["compiled_six"] / seconds["plain_six"],
        "compiled_entropy_added_ratio": added["compiled"] / added["plain"],
    }


def store_bytes_ratio() -> float:
    """Return the bytes of an image's row in a store over those of all of its channels."""
    stored = recipe()
    return stored.row_bytes(LANDSCAPE) / stored.uncompacted().row_bytes(LANDSCAPE)


def backbones(pictures: Pictures) -> dict[str, float]:
    """Return the time of the backbone in bfloat16 over that in float32, an image in each thread.

    Where the processor does not multiply bfloat16 there is no ratio.
    """
    found: dict[str, float] = in_a_fresh_process(_backbones, pictures)
    return found


def _backbones(pictures: Pictures) -> dict[str, float]:
    images = [pictures.read(i) for i in range(len(pictures.paths))]

    def passes(of: Recipe) -> Callable[[], None]:
        def work() -> None:
            for _ in in_threads(lambda image: of.row(image, CPU), images):
                pass

        return work

    precisions = ["float32"] if fastest().precision == torch.float32 else ["float32", "bfloat16"]
    seconds = by_turns(3, **{precision: passes(recipe(precision=precision)) for precision in precisions})
    ratio = {"backbone_bfloat16_ratio": seconds["bfloat16"] / seconds["float32"]} if "bfloat16" in seconds else {}
    return ratio | {"backbone_s_per_image": seconds["float32"] / len(images)}


def store(pictures: Pictures, folder: Path) -> dict[str, float]:
    """Return the rate of building a store from image files over that of the backbone alone, both in the fastest way."""
    figures: dict[str, float] = in_a_fresh_process(_store, pictures, folder)
    return figures


def _store(pictures: Pictures, folder: Path) -> dict[str, float]:
    fast = fastest()
    images = [torch.from_numpy(pictures.read(i)).permute(2, 0, 1)[None].float() for i in range(len(pictures.paths))]
    direct = recipe(precision="auto", convolution="direct")
    alone, by_direct = (PlainStep(r.backbone, {"none": torch.zeros(1)}, r.precision) for r in (fast, direct))

    def build() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        open_store(pictures, fast, folder, Ranks())

    def passes(step: PlainStep) -> Callable[[], None]:
        def work() -> None:
            for _ in in_threads(step.taps, images):
                pass

        return work

    seconds = by_turns(3, alone=passes(alone), direct=passes(by_direct), build=build)
    return {
        "store_build_efficiency": seconds["alone"] / seconds["build"],
        "store_build_efficiency_against_direct_convolution": seconds["direct"] / seconds["build"],
        "store_build_s_per_image": seconds["build"] / len(images),
    }
