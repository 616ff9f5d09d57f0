"""Seconds of commands of train.py, each in a new process, by turns in two checkouts of this project."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import generated

TURNS, PHOTOS, RUNS = 7, 24, 60
TINY = (
    "data.images=20",
    "ood.synthetic_ood.images=6",
    "data.folds=4",
    "trainer.batch_size=6",
    "uniform.images=4",
    *(
        f"{role}.{side}_side_px={px}"
        for role in ("data", "ood.synthetic_ood")
        for side, px in (("long", 192), ("short", 144))
    ),
    "trainer.epochs=2",
    "hardware=cpu",
    "paths.store=store",
)


class Checkout:
    """A checkout whose train.py is run in a folder of its own."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self._starts = 0
        folder.mkdir()
        for name, count in (("photos", PHOTOS), ("photo", 1)):
            (folder / name).mkdir()
            generated.pictures(folder / name, count, seed=0)

    def run(self, *words: str) -> float:
        """Return the seconds of train.py with these words, in which {start} is the number of the start."""
        self._starts += 1
        command = [sys.executable, str(self._root / "train.py"), *(word.format(start=self._starts) for word in words)]
        environment = os.environ | {"PYTHONPATH": str(self._root)}
        started = time.perf_counter()
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
        return time.perf_counter() - started


def measure(earlier: Path, here: Path, folder: Path) -> dict[str, float]:
    """Return this checkout's shares of an earlier one's median times, and its own seconds."""
    checkouts = {"ours": Checkout(here, folder / "ours"), "earlier": Checkout(earlier, folder / "theirs")}
    sweep = ("-m", *TINY, "trainer.epochs=1", f"seed=range({RUNS})", "hydra/launcher=together", "study=many")
    for checkout in checkouts.values():
        checkout.run(*TINY, "hydra.run.dir=run")
        checkout.run(*sweep)
    predict = ("task=predict", "run=run", "hardware=cpu", "hydra.run.dir=predicted_{start}")
    figures = {}
    for name, turns, words in (
        ("help", TURNS, ("--help",)),
        ("tiny_training", TURNS, (*TINY, "hydra.run.dir=run_{start}")),
        ("one_photo", TURNS, (*predict, "images=photo")),
        ("photos", 1, (*predict, "images=photos")),
        ("finished_sweep", 1, sweep),
    ):
        seconds = _by_turns(checkouts, turns, words)
        figures[f"against_{name}"] = seconds["ours"] / seconds["earlier"]
        figures[f"against_{name}_s"] = seconds["ours"]
        print(f"{name}: {seconds['ours']:.1f} s here, {seconds['earlier']:.1f} s there", flush=True)
    return figures


def _by_turns(checkouts: dict[str, Checkout], turns: int, words: Sequence[str]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {who: [] for who in checkouts}
    for _ in range(turns):
        for who, checkout in checkouts.items():
            seconds[who].append(checkout.run(*words))
    return {who: statistics.median(values) for who, values in seconds.items()}
