"""Times. What is compared is measured by turns in one process; of each the median counts."""

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
    GeneratedStudy,
    Pictures,
    backbone,
    recipe,
    settings,
)
from benchmarks.plain import PlainStep
from entreg.config import Hardware
from entreg.features.build import open_store
from entreg.features.recipe import Recipe
from entreg.model.deepgaze3 import DeepGaze3
from entreg.numerics import in_threads
from entreg.ranks import Ranks
from entreg.run.folder import RunFolder
from entreg.train.company import Company
from entreg.train.trainer import Trainer

PLAIN_BATCH = 4


def by_turns(repetitions: int, **work: Callable[[], object]) -> dict[str, float]:
    """Median seconds of each, measured one after the other, again and again, after one turn that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(repetitions + 1):
        for name, do in work.items():
            started = time.perf_counter()
            do()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def fastest() -> Recipe:
    """Precision, memory format and algorithm in which this machine's backbone is fastest."""
    return recipe(hardware=Hardware(precision="auto"))


class Steps:
    """A Trainer's steps on the batches of a study, one a call."""

    def __init__(self, study: GeneratedStudy, folder: Path, loss: str = "nll", every: int = 10) -> None:
        trainer = Trainer(replace(study, config=settings(loss, every)), RunFolder(folder))
        self.company = Company([trainer])
        self.batches = len(study.training) // 32
        self.number = 0

    def __call__(self) -> None:
        number = self.number % self.batches
        self.company.step(list(range(32 * number, 32 * (number + 1))), number)
        self.number += 1


def steps(study: GeneratedStudy, inputs: Inputs, folder: Path) -> dict[str, float]:
    """The training step from the store against the plain one, an image."""
    parameters = dict(DeepGaze3(2560, 8.0, 0).named_parameters())
    plain = PlainStep(backbone(), parameters)
    plain_with_fastest = PlainStep(fastest().backbone, parameters, fastest().precision)
    arguments = inputs.images[:PLAIN_BATCH], inputs.center_bias[:PLAIN_BATCH], inputs.fixations[:PLAIN_BATCH]
    fast = Steps(study, folder)

    def several() -> None:
        for _ in range(8):
            fast()

    found = by_turns(
        3,
        plain=lambda: plain(*arguments),
        several=several,
        taps=lambda: plain.taps(arguments[0]),
        plain_with_fastest=lambda: plain_with_fastest(*arguments),
    )
    train, reference = found["several"] / (8 * 32), found["plain"] / PLAIN_BATCH
    return {
        "train_ms_per_image": train * 1e3,
        "reference_ms_per_image": reference * 1e3,
        "train_step_speedup": reference / train,
        "backbone_share_percent": 100 * found["taps"] / found["plain"],
        "reference_fastest_backbone_ms_per_image": found["plain_with_fastest"] / PLAIN_BATCH * 1e3,
        "train_step_speedup_against_fastest_backbone": found["plain_with_fastest"] / PLAIN_BATCH / train,
    }


def entropy(study: GeneratedStudy, folder: Path) -> dict[str, float]:
    """What the entropy term adds to ten steps, percent."""
    arms = {
        "without": Steps(study, folder),
        "every10": Steps(study, folder, "nll_entropy", 10),
        "every1": Steps(study, folder, "nll_entropy", 1),
    }

    def ten(step: Steps) -> Callable[[], None]:
        def work() -> None:
            for _ in range(10):
                step()

        return work

    found = by_turns(5, **{name: ten(step) for name, step in arms.items()})
    return {
        f"entropy_overhead_{name}_percent": 100 * (found[name] / found["without"] - 1) for name in ("every10", "every1")
    }


def store(pictures: Pictures, folder: Path) -> dict[str, float]:
    """Rate of building a store from image files over that of the backbone alone, both in the fastest way."""
    return in_a_fresh_process(_store, pictures, folder)


def _store(pictures: Pictures, folder: Path) -> dict[str, float]:
    made_by = fastest()
    images = [torch.from_numpy(pictures.read(i)).permute(2, 0, 1)[None].float() for i in range(len(pictures.paths))]
    direct = recipe(hardware=Hardware(precision="auto", convolution="direct"))
    alone, by_direct = (PlainStep(r.backbone, {"none": torch.zeros(1)}, r.precision) for r in (made_by, direct))

    def build() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        open_store(pictures, made_by, folder, Ranks())

    def passes(step: PlainStep) -> Callable[[], None]:
        def work() -> None:
            for _ in in_threads(step.taps, images):
                pass

        return work

    found = by_turns(3, alone=passes(alone), direct=passes(by_direct), build=build)
    return {
        "store_build_efficiency": found["alone"] / found["build"],
        "store_build_efficiency_against_direct_convolution": found["direct"] / found["build"],
        "store_build_s_per_image": found["build"] / len(images),
    }
