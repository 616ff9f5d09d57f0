"""Five million fixations on 200 images are evaluated in less than 2 GB of anonymous memory."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from benchmarks.fresh import in_a_fresh_process
from benchmarks.generated import picture
from benchmarks.growth import rss_anon_gb
from entreg.cli import composition
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.runs.folder import RunFolder
from entreg.tasks.evaluate import evaluate_on_rank
from tests.conftest import ROOT
from tests.evaluation.photos import OWN, SIZE, trained, words, write_set

IMAGES, FIXATIONS, PEOPLE = 200, 25_000, 20  # fixations on each image


def write_many(root: Path) -> None:
    """A data set as the `folder` source reads it, by 20 people whose gazes lie around the middle."""
    (root / "stimuli").mkdir(parents=True)
    rng, (height, width) = np.random.default_rng(0), SIZE
    with (root / "fixations.csv").open("w") as table:
        table.write("image,subject,x,y\n")
        for seed in range(100, 100 + IMAGES):
            name = picture(root / f"stimuli/{seed}.jpg", SIZE, seed).name
            y, x = (rng.normal(side / 2, side / 6, FIXATIONS).clip(0.5, side - 0.6) for side in (height, width))
            table.writelines(
                f"{name},p{i % PEOPLE},{a:.2f},{b:.2f}\n" for i, (a, b) in enumerate(zip(x, y, strict=True))
            )


def composed(*typed: str):
    composition.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return resolved(compose("config", list(typed)))


def make_run(place: Path) -> None:
    trained(place / "run", composed(*words(place, place / "store")), EvaluationCache(Ranks()), 1)


def highest_gb(place: Path) -> float:
    """The highest anonymous memory of this process while it evaluates the run."""
    typed = "task=evaluate", f"runs={place}/run", "hardware=cpu", f"paths.store={place}/store", "study=judged"
    folder = RunFolder(place / "judged")
    folder.write_typed(typed, "")
    found, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            found.append(max(found.pop(), rss_anon_gb()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        evaluate_on_rank(Ranks(), composed(*typed), folder)
    finally:
        done.set()
        watcher.join()
    return found[0]


@pytest.mark.slow
def test_five_million_fixations_are_evaluated_below_two_gigabytes(tmp_path, capsys):
    write_set(tmp_path / "own", OWN)
    write_many(tmp_path / "foreign")
    in_a_fresh_process(make_run, tmp_path)
    highest = in_a_fresh_process(highest_gb, tmp_path)
    with capsys.disabled():
        print(f"\nevaluation of {IMAGES * FIXATIONS:,} fixations: {highest:.2f} GB")
    assert 0.5 < highest < 2  # the fixations alone are more than half of one
    assert RunFolder(tmp_path / "judged").results.is_file()
